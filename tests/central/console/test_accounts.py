"""The pages of accounts, tokens, the own account and the audit log, as people use them."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from central.access.caller import on_this_machine
from central.access.perform import perform
from central.access.totp import code_at
from central.actions.action import Context
from central.console.changes import Change, differing, named, text_of
from central.store.schema import accounts
from tests.central.console.person import PASSWORD, Console

NEW = "a new one, and longer"
SECRET = re.compile(r'id="(?:password|token)">([^<]+)<')


def shown_once(text: str) -> str:
    found = SECRET.search(text)
    assert found, text
    return found[1]


async def test_an_admin_lets_somebody_in_who_has_to_change_the_password(console: Console) -> None:
    admin = await console.sign_in("admin", name="chief")
    assert "chief" in (await admin.get("/console/accounts")).text
    made = await admin.post(
        "/console/accounts", account="Lin", title="林館員", roles=["operator"], venues=["main"], password=PASSWORD
    )
    password = shown_once(made.text)
    lin = console.visitor()
    await lin.sign_in("lin", password)
    assert (await lin.get("/console/accounts")).url.endswith("/console/me/password")
    refused = await lin.post("/console/me/password", old=password, new=NEW, again="something else")
    assert (refused.status, "密碼不同" in refused.text) == (422, True)
    assert (
        await lin.post("/console/me/password", old=password, new="password1234", again="password1234")
    ).status == 422
    changed = await lin.post("/console/me/password", old=password, new=NEW, again=NEW)
    assert changed.url.endswith("/console/sign-in")
    assert "密碼已變更" in changed.text
    await lin.sign_in("lin", NEW)
    mine = (await lin.get("/console/me")).text
    assert "林館員" in mine
    assert "場館人員" in mine
    again = (await admin.get("/console/accounts/lin")).text
    assert password not in again
    assert "林館員" in again


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_wrong_is_said_beside_what_was_filled_in(console: Console) -> None:
    admin = await console.sign_in("admin", name="chief")
    await admin.get("/console/accounts")
    for fields, said in (
        ({"account": "lin", "title": "林館員"}, "請至少選擇一個角色"),
        ({"account": "l", "roles": ["operator"], "title": "林館員"}, "account"),
        ({"account": "chief", "roles": ["operator"], "title": "林館員"}, "已有帳號 chief"),
        ({"account": "lin", "roles": ["operator"], "venues": ["nowhere"], "title": "林館員"}, "nowhere"),
    ):
        refused = await admin.post("/console/accounts", password=PASSWORD, **fields)
        assert refused.status == 422
        assert said in refused.text
        assert 'value="林館員"' in refused.text


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_admin_changes_an_account_and_helps_it_in(console: Console) -> None:
    admin = await console.sign_in("admin", name="chief")
    lin = await console.sign_in("operator", name="lin", venues=("main",))
    text = (await admin.get("/console/accounts/lin")).text
    assert re.search(r'name="venues" value="main" checked', text)
    assert re.search(r'name="roles" value="operator" checked', text)
    changed = await admin.post(
        "/console/accounts/lin", title="Lin", roles=["auditor"], state="active", password=PASSWORD
    )
    assert "帳號已變更" in changed.text
    assert "/sign-in" in (await lin.get("/console/me")).url
    text = (await admin.get("/console/accounts/lin")).text
    assert not re.search(r'name="venues" value="main" checked', text)
    assert re.search(r'name="roles" value="auditor" checked', text)
    await lin.sign_in("lin")
    reset = shown_once((await admin.post("/console/accounts/lin/reset", password=PASSWORD)).text)
    assert "/sign-in" in (await lin.get("/console/me")).url
    assert (await lin.sign_in("lin")).status == 403
    await lin.sign_in("lin", reset)
    assert (await lin.get("/console/me")).url.endswith("/me/password")
    await admin.get("/console/accounts/lin")
    assert (
        "最後一位系統管理員"
        in (await admin.post("/console/accounts/chief", roles=["auditor"], state="active", password=PASSWORD)).text
    )


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_locked_account_is_shown_and_unlocked(console: Console) -> None:
    admin = await console.sign_in("admin", name="chief")
    await console.account("lin", "operator")
    stranger = console.visitor()
    for _ in range(5):
        await stranger.sign_in("lin", "wrong password")
    assert (await stranger.sign_in("lin")).status == 429
    assert "已鎖定" in (await admin.get("/console/accounts")).text
    await admin.post("/console/accounts/lin/unlock")
    assert "已鎖定" not in (await admin.get("/console/accounts")).text
    assert "/sign-in" not in (await stranger.sign_in("lin")).url


async def secret_of(console: Console, account: str) -> bytes:
    async with console.services.database.read() as connection:
        query = select(accounts.c.totp_sealed).where(accounts.c.id == account)
        return console.services.keys.open_totp((await connection.execute(query)).scalar_one(), account)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_somebody_adds_a_phone_and_takes_it_away(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin", venues=("main",))
    await lin.get("/console/me/phone")
    assert (await lin.post("/console/me/phone", password="wrong password")).status == 422
    begun = await lin.post("/console/me/phone", password=PASSWORD)
    assert "<svg" in begun.text
    assert "style=" not in begun.text
    wrong = await lin.post("/console/me/phone/confirm", code="000000")
    assert wrong.status == 422
    assert "<svg" not in wrong.text
    assert 'name="code"' in wrong.text
    now_ms = console.services.now_ms()
    secret = await secret_of(console, "lin")
    assert "今後每次登入" in (await lin.post("/console/me/phone/confirm", code=code_at(secret, now_ms))).text
    other = console.visitor()
    assert (await other.sign_in("lin")).status == 403
    assert (await other.sign_in("lin", code=code_at(secret, now_ms + 30_000))).url.endswith("/console/")
    assert 'name="code"' in (await lin.get("/console/tokens")).text
    await lin.get("/console/me/phone")
    assert "已取消驗證碼" in (await lin.post("/console/me/phone/remove", password=PASSWORD)).text


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_somebody_ends_a_session_elsewhere(console: Console) -> None:
    here = await console.sign_in("operator", name="lin", venues=("main",))
    there = console.visitor()
    await there.sign_in("lin")
    text = (await here.get("/console/me")).text
    ids = re.findall(r'name="session" value="([0-9a-f]{64})"', text)
    assert len(ids) == 2
    (mine,) = re.findall(r'<strong>目前的瀏覽器</strong>.*?name="session" value="([0-9a-f]{64})"', text, re.DOTALL)
    (other,) = set(ids) - {mine}
    assert (await here.post("/console/me/sessions")).status == 422
    await here.post("/console/me/sessions", session=other)
    assert "/sign-in" in (await there.get("/console/me")).url
    assert (await here.get("/console/me")).url.endswith("/console/me")
    await here.post("/console/me/sessions", everywhere="yes")
    assert "/sign-in" in (await here.get("/console/me")).url


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_operator_lets_a_system_in_and_stops_it(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin", venues=("main",))
    assert 'name="code"' not in (await lin.get("/console/tokens")).text
    refused = await lin.post("/console/tokens", id="counter", days="30", actions="gate.list", account="")
    assert (refused.status, "password" in refused.text, SECRET.search(refused.text)) == (422, True, None)
    made = await lin.post(
        "/console/tokens", id="counter", days="30", actions="gate.list, device.list", password=PASSWORD
    )
    secret = shown_once(made.text)
    assert (await console.ask_api(secret, "gate.list", {})).status == 200
    assert (await console.ask_api(secret, "venue.list", {})).status == 403
    assert secret not in (await lin.get("/console/tokens")).text
    assert (
        await lin.post("/console/tokens", id="more", days="30", actions="policy.put", password=PASSWORD)
    ).status == 422
    assert (await lin.post("/console/tokens", id="longer", days="367", password=PASSWORD)).status == 422
    assert (await lin.post("/console/tokens", id="theirs", days="1", account="chief")).status == 403
    await lin.get("/console/tokens")
    await lin.post("/console/tokens/counter/revoke")
    assert (await console.ask_api(secret, "gate.list", {})).status == 401


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_who_changes_the_password_is_told_that_tokens_end(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin", venues=("main",))
    secret = await console.token("lin", "gate.list")
    assert "API 權杖都會撤銷" in (await lin.get("/console/me/password")).text
    changed = await lin.post("/console/me/password", old=PASSWORD, new=NEW, again=NEW)
    assert "已撤銷 1 個 API 權杖" in changed.text
    assert (await console.ask_api(secret, "gate.list", {})).status == 401


async def test_the_log_shows_what_was_different_and_is_checked(console: Console) -> None:
    admin = await console.sign_in("admin", name="chief")
    await console.account("lin", "operator")
    await admin.get("/console/accounts/lin")
    await admin.post(
        "/console/accounts/lin",
        title="<b>林</b>",
        roles=["operator"],
        venues=["main"],
        state="active",
        password=PASSWORD,
    )
    text = (await admin.get("/console/audit?action=account.set")).text
    assert text.count('<tr id="row-') == 1
    assert "<b>林" not in text
    assert "&lt;b&gt;林&lt;/b&gt;" in text
    assert re.search(r"account\.venues</span>: .*<ins>main</ins>", text)
    assert "127.0.0.1" in text
    assert "沒有符合條件" in (await admin.get("/console/audit?account=nobody")).text
    assert "沒有符合條件" in (await admin.get("/console/audit?since=2020-01-01&until=2020-01-02")).text
    assert (await admin.get("/console/audit?since=rubbish&before=x&kind=rubbish")).status == 200
    checked = await admin.post("/console/audit/verify")
    assert "完整：共" in checked.text


async def entry(console: Console, title: str) -> None:
    """One more change in the log."""
    services = console.services
    root = on_this_machine("root", "command line")
    context = Context(console.config, services.database, services.keys, services.now_ms(), caller=root)
    await perform(context, "account.set", {"account": "chief", "title": title})


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_log_is_read_page_by_page(console: Console) -> None:
    admin = await console.sign_in("admin", name="chief")
    for n in range(60):
        await entry(console, f"Chief {n}")
    first = (await admin.get("/console/audit?action=account.set")).text
    (more,) = re.findall(r'href="(/console/audit\?[^"]*before=[^"]*)"', first)
    second = (await admin.get(more.replace("&amp;", "&"))).text
    numbers = [int(n) for text in (first, second) for n in re.findall(r'<tr id="row-(\d+)"', text)]
    assert len(numbers) == 60
    assert numbers == sorted(set(numbers), reverse=True)


@pytest.mark.parametrize(
    ("was", "now", "lines"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Change("a.c", "2", "3")]),
        (None, {"a": {"b": 1}}, [Change("a.b", "", "1")]),
        ({"a": 1}, None, [Change("a", "1", "")]),
        ({"a": ["x"]}, {"a": ["x", "y"]}, [Change("a", "x", "x, y")]),
        ({"a": []}, {"a": ["y"]}, [Change("a", "–", "y")]),
        (
            {"s": [{"id": 1}, {"id": 2}]},
            {"s": [{"id": 2}, {"id": 3}]},
            [Change("s", '{"id":1}', ""), Change("s", "", '{"id":3}')],
        ),
        ({"a": 1}, {"a": 1}, []),
        (None, {"a": 1, "b": [], "c": ""}, [Change("a", "", "1")]),
        ({"until_ms": 0}, {"until_ms": 1_790_000_000_000}, [Change("until_ms", "0", "2026-09-21 14:13:20")]),
        ({"idle_ms": 1_800_000}, {"idle_ms": 60_000}, [Change("idle_ms", "1800000", "60000")]),
        ("too long", {"a": 1}, [Change("", "too long", '{"a":1}')]),
    ],
)
def test_a_difference_is_told_field_by_field(was: Any, now: Any, lines: list[Change]) -> None:
    assert differing(was, now) == lines


def test_values_that_say_nothing_are_left_out_and_long_ones_cut() -> None:
    assert named({"a": "", "b": None, "c": [], "d": {"e": 0, "f": False}}) == [("d.e", "0"), ("d.f", "false")]
    assert len(text_of("x" * 10_000)) == 401
