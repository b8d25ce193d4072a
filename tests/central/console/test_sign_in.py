"""Getting in: pages are for people who are signed in, and each session is one person's in one browser."""

from tests.central.console.person import PASSWORD, Console


async def test_a_visitor_is_sent_to_the_sign_in_page_and_back(console: Console) -> None:
    await console.account("ana", "admin")
    visitor = console.visitor()
    asked = await visitor.get("/console/nothing?x=1")
    assert asked.status == 200
    assert "/console/sign-in?next=/console/nothing?x%3D1" in asked.url
    assert (await visitor.sign_in("ana", "wrong password!")).status == 403
    answered = await visitor.post("/console/sign-in", name="ana", password=PASSWORD, next="/console/nothing?x=1")
    assert answered.url == f"{console.address}/console/nothing?x=1"
    assert answered.status == 404


async def test_cookies_are_for_this_browser_alone(console: Console) -> None:
    visitor = console.visitor()
    answered = await visitor.get("/console/sign-in")
    cookie = answered.headers["Set-Cookie"]
    assert "__Host-" in cookie
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"))
