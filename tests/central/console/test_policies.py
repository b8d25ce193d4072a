"""The pages of policies, rollouts and freezes: edited, checked, published by stages, halted, frozen."""

import re

import aiohttp
import pytest

from central.actions.judging.replay import Changed as ReplayChanged
from central.actions.judging.replay import Replayed, TreatedDifferently
from central.console.pages.rollouts import told
from central.console.rendering import reason_text, render
from central.console.words import say
from central.rollouts.conducting import conduct
from central.store.schema import policies
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.person import Console, Person
from tests.central.rollouts.fleet import Fleet

SENIORS = '[[rules]]\nkind = "admit"\nid = "members"\nclasses = ["senior"]\n'


@pytest.fixture
async def fleet(city: City) -> Fleet:
    fleet = Fleet(city)
    await fleet.found()
    return fleet


@pytest.fixture
async def admin(fleet: Fleet, console: Console) -> Person:
    return await console.sign_in("admin")


async def in_force(fleet: Fleet) -> int:
    return max(row.version for row in await fleet.rows(policies))


async def publish(person: Person, **fields: object) -> str:
    """The page of the rollout that was begun."""
    await person.get("/console/policies/open")
    answered = await person.post("/console/policies/open/publish", **({"text": SENIORS, "begins": "now"} | fields))
    assert answered.status == 200, answered.text
    assert "/console/rollouts/" in answered.url, answered.text
    return answered.text


async def test_a_policy_is_shown_as_text_without_what_is_so_anyway(admin: Person) -> None:
    listed = (await admin.get("/console/policies")).text
    assert 'href="/console/policies/open"' in listed
    shown = (await admin.get("/console/policies/open")).text
    assert re.search(
        r"<textarea[^>]*>\n?\[\[rules\]\]\nkind = &#34;admit&#34;\nid = &#34;members&#34;\n</textarea>", shown
    )
    assert all(f'name="first" value="{gate}"' in shown for gate in ("door-1", "door-2", "pool-1"))


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_policy_as_large_as_any_may_be_comes_through_the_form(admin: Person, fleet: Fleet) -> None:
    shown = (await admin.get("/console/policies/open")).text
    assert re.search(r'<form[^>]*id="editor" enctype="multipart/form-data"', shown)
    assert 'enctype="multipart/form-data"' in (await admin.get("/console/policies")).text
    names = [f'"class-of-people-{n:03}"' for n in range(250)]
    some = [", ".join(name for at, name in enumerate(names) if at != n) for n in range(200)]  # none is in vain
    text = "".join(f'[[rules]]\nkind = "refuse"\nid = "r{n}"\nclasses = [{some[n]}]\n' for n in range(200)) + SENIORS
    assert 1_000_000 < len(text) < 2_000_000
    form = aiohttp.FormData()
    for name, value in {"csrf": admin.csrf, "text": text, "begins": "now"}.items():
        form.add_field(name, value, content_type="text/plain")
    answered = await admin.send("/console/policies/open/publish", data=form)
    assert "/console/rollouts/" in answered.url, re.findall(r'<p class="(?:problem|note)[^>]*>.*?</p>', answered.text)
    assert max(len(row.body) for row in await fleet.rows(policies)) > 900_000


async def test_while_somebody_types_the_check_alone_is_answered(admin: Person, fleet: Fleet) -> None:
    await admin.get("/console/policies/open")
    answered = await admin.post("/console/policies/open/check", text=SENIORS, fragment=1)
    assert (answered.status, "<html" in answered.text) == (200, False)
    assert 'class="added"' in answered.text
    assert "classes = [&#34;senior&#34;]" in answered.text
    for text, says in (
        ("rules = [", "TOML"),
        (SENIORS + "colour = 1\n", "未知的欄位 `colour`"),
        (SENIORS + 'schedule = "never"\n', "never"),
        (SENIORS + '\n[[rules]]\nkind = "admit"\nid = "seniors"\nclasses = ["senior"]\n', "永遠不會生效"),
    ):
        wrong = await admin.post("/console/policies/open/check", text=text, fragment=1)
        assert "data-wrong" in wrong.text
        assert says in wrong.text
    assert await in_force(fleet) == NOW_MS - 1_000


async def test_without_scripts_the_whole_page_shows_the_check_and_keeps_what_was_typed(admin: Person) -> None:
    await admin.get("/console/policies/open")
    answered = await admin.post("/console/policies/open/check", text=SENIORS + "# mine", first=["door-1"])
    assert "# mine" in answered.text
    assert re.search(r'value="door-1" checked', answered.text)
    assert 'class="added"' in answered.text


async def test_a_rollout_is_begun_watched_and_taken_back(admin: Person, fleet: Fleet) -> None:
    page = await publish(
        admin, first=["door-1"], title="Seniors only", soak_minutes=30, halt_points=0, goes_back="true"
    )
    assert "Seniors only" in page
    version = await fleet.version("door-1")
    assert version == NOW_MS
    assert await fleet.version("door-2") == NOW_MS - 1_000
    (path,) = set(re.findall(r'formaction="(/console/rollouts/[0-9a-f]+)/go-on"', page))
    await fleet.take_up("door-1")
    assert await conduct(fleet.database, fleet.keys, NOW_MS + 1) == 1
    assert say("zh-TW", "Every first gate holds it") in (await admin.get(path)).text
    on = await admin.post(f"{path}/go-on", why="it is fine")
    assert "it is fine" in on.text
    assert await fleet.version("door-2") == version
    back = await admin.post(f"{path}/back", why="it is not")
    assert "it is not" in back.text
    assert "formaction" not in back.text
    assert await fleet.version("door-2") > version
    again = await admin.post(f"{path}/back")
    assert again.status == 422


async def test_a_rollout_waits_for_its_date_in_the_policys_zone(admin: Person, fleet: Fleet) -> None:
    await publish(admin, begins="date", at="2026-09-22T08:00", title="Autumn")
    listed = (await admin.get("/console/rollouts?state=scheduled")).text
    assert "Autumn" in listed
    assert "2026-09-22 08:00" in listed
    assert await in_force(fleet) == NOW_MS - 1_000
    refused = await admin.post("/console/policies/open/publish", text=SENIORS, begins="now")
    assert refused.status == 422
    assert "正在進行" in refused.text
    assert "classes = [&#34;senior&#34;]" in refused.text  # what was typed is still there
    nothing = await admin.post("/console/policies/open/publish", text=SENIORS, begins="date", at="")
    assert nothing.status == 422


async def test_a_replay_says_who_would_have_been_treated_differently(admin: Person) -> None:
    await admin.get("/console/policies/open")
    answered = await admin.post("/console/policies/open/replay", text=SENIORS, since="2026-09-01T00:00", until="")
    assert answered.status == 200
    assert say("zh-TW", "Nobody would have been treated differently.") in answered.text
    wrong = await admin.post("/console/policies/open/replay", text=SENIORS, since="soon")
    assert wrong.status == 422


async def test_an_old_version_is_looked_at_edited_and_put_in_force_again(admin: Person, fleet: Fleet) -> None:
    await publish(admin)
    old = NOW_MS - 1_000
    shown = await admin.get(f"/console/policies/open/versions/{old}")
    assert "classes = [&#34;senior&#34;]" in shown.text
    editing = await admin.get(f"/console/policies/open?from={old}")
    assert 'class="removed"' in editing.text
    done = await admin.post(f"/console/policies/open/versions/{old}/back")
    assert done.url.endswith("/console/policies/open")
    assert await in_force(fleet) > NOW_MS
    assert (await admin.get("/console/policies/open/versions/none")).status == 422


async def test_a_new_policy_is_written_and_does_not_take_anothers_name(admin: Person, fleet: Fleet) -> None:
    await admin.get("/console/policies")
    made = await admin.post("/console/policies", id="pool", text=SENIORS)
    assert made.url.endswith("/console/policies/pool")
    taken = await admin.post("/console/policies", id="open", text=SENIORS)
    assert taken.status == 422
    assert len(await fleet.rows(policies)) == 2


async def test_a_freeze_is_stated_keeps_publications_back_and_is_removed(admin: Person, fleet: Fleet) -> None:
    await admin.get("/console/freezes")
    stated = await admin.post(
        "/console/freezes", id="exams", venue="main", why="exams", when="dated", until="2026-12-01T00:00"
    )
    assert "exams" in stated.text
    weekly = await admin.post("/console/freezes", id="weekend", why="nobody looks", when="weekly", days=["sat", "sun"])
    assert "00:00-24:00" in weekly.text
    refused = await admin.post("/console/policies/open/publish", text=SENIORS, begins="now")
    assert refused.status == 422
    assert "凍結至" in refused.text
    await publish(admin, despite_freeze="the lift is out")
    gone = await admin.post("/console/freezes/exams/remove")
    assert ">exams<" not in gone.text
    assert (await admin.post("/console/freezes", id="x", why="y", when="weekly")).status == 422


async def test_an_operator_sees_policies_and_own_rollouts_and_publishes_none(console: Console, fleet: Fleet) -> None:
    admin, operator = await console.sign_in("admin"), await console.sign_in("operator", venues=("main",))
    page = await publish(admin, first=["pool-1"])
    path = re.search(r'action="(/console/rollouts/[0-9a-f]+)/', page)
    assert path is not None
    seen = (await operator.get(path[1])).text
    assert "door-1" in seen
    assert "pool-1</th>" not in seen
    assert "formaction" not in seen
    assert (await operator.post(f"{path[1]}/halt")).status == 403
    shown = (await operator.get("/console/policies/open")).text
    assert 'id="publish"' not in shown
    assert 'id="replay"' not in shown
    assert (await operator.post("/console/policies/open/publish", text=SENIORS)).status == 403
    auditor = await console.sign_in("auditor")
    assert "readonly" not in (await auditor.get("/console/policies/open")).text
    assert (await auditor.post("/console/policies/open/check", text=SENIORS, fragment=1)).status == 200


async def test_what_people_wrote_is_shown_as_text(admin: Person) -> None:
    page = await publish(admin, title="<script>alert(1)</script>", first=["door-1"])
    assert "<script>alert" not in page
    await admin.post("/console/freezes", id="x", why="<img src=x>", when="dated", until="2026-12-01T00:00")
    assert "<img src=x>" not in (await admin.get("/console/freezes")).text
    assert "<img src=x>" not in (await admin.get("/console/policies")).text
    wrong = await admin.post("/console/policies/open/check", text='"<b>x" = 1', fragment=1)
    assert "<b>x" not in wrong.text


@pytest.mark.parametrize("lang", ["zh-TW", "en"])
def test_a_replay_that_found_something_names_answers_and_taps(lang: str) -> None:
    ways = [ReplayChanged("granted", "ok", "denied", "class-not-admitted", 3)]
    found = Replayed(taps=9, different=3, members=2, repeats=0, untold=1, points=0, due=0, changed=ways)
    was, would = ("granted", "ok", 0, 0), ("denied", "class-not-admitted", "", 0, 0)
    tap = TreatedDifferently("door-1/00/1", NOW_MS, "door-1", "A 123", "ff", *was, *would)
    text = render(lang, "_replayed.html", {"replayed": found, "taps": [tap], "zone": "Asia/Taipei"})
    assert text.count("A 123") == 1
    assert reason_text(lang, "class-not-admitted") in text


@pytest.mark.parametrize(
    ("why", "holds"),
    [
        ("92% of 60 taps were denied since; 2% of 100 taps before", "92%"),
        ("40% of 60 taps were denied since; nothing is known of before", "40%"),
        ("door-1 could not take it up: there is no time zone", "there is no time zone"),
        ("central was restored", "還原"),
    ],
)
def test_what_the_server_wrote_down_is_told_in_chinese_too(why: str, holds: str) -> None:
    assert holds in told("zh-TW", why)
    assert told("zh-TW", why) != why == told("en", why)
    assert told("zh-TW", "the lift is out") == "the lift is out"
