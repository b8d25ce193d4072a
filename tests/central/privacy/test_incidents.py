"""An incident is written down, somebody is reminded while it is untold, and it is closed with what came of it."""

import datetime as dt
from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.store.schema import audit
from tests.central.actors import NOW_MS
from tests.central.alerts.conftest import Watched, mails, watched
from tests.central.callers import ask, caller
from tests.central.terminal import Operator

__all__ = ["mails", "watched"]
HOUR_MS = 3_600_000


async def looked(watched: Watched, at_ms: int) -> list[tuple[str, str]]:
    """Kinds that stand after a look at that moment; the gate is silent by then."""
    watched.now_ms = watched.admin.now_ms = at_ms
    await watched.watching.look()
    return [(kind, target) for kind, target in await watched.standing() if kind in ("incident", "overdue")]


async def test_somebody_is_reminded_when_a_day_is_left_and_again_when_it_is_over(watched: Watched) -> None:
    await watched.contact(mail="lin@library.example", kinds=["incident", "overdue"])
    at_home = dt.datetime.fromtimestamp(NOW_MS / 1_000 - 3_600, dt.timezone(dt.timedelta(hours=8)))
    learned = at_home.replace(tzinfo=None).isoformat(timespec="seconds")
    opened = await watched.admin.act("incident.open", what="door-1 was stolen", learned=learned, who="ana")
    learned_ms = (NOW_MS // 1_000 - 3_600) * 1_000
    assert (opened.learned_ms, opened.tell_by_ms) == (learned_ms, learned_ms + 72 * HOUR_MS)
    assert opened.untold == ["authority", "concerned"]
    assert await looked(watched, learned_ms + 48 * HOUR_MS) == []
    assert await looked(watched, learned_ms + 48 * HOUR_MS + 1) == [("incident", opened.id)]
    await watched.admin.act("incident.told", id=opened.id, whom="concerned", note="letters", who="ana")
    assert await looked(watched, learned_ms + 72 * HOUR_MS) == [("incident", opened.id)]
    assert await looked(watched, learned_ms + 72 * HOUR_MS + 1) == [("incident", opened.id), ("overdue", opened.id)]
    row = next(each for each in await watched.alerts() if each.kind == "overdue")
    shown = (await watched.admin.act("alert.show", alert=row.id.hex())).alert
    assert "緊急" in shown.title_zh
    assert shown.detail_en.endswith(": the authority.")
    assert "stolen" not in repr(shown), "what happened goes by no mail"
    (listed,) = (await watched.admin.act("incident.list")).incidents
    assert (listed.left_ms, listed.untold, listed.concerned_note) == (-1, ["authority"], "letters")
    await watched.admin.act("incident.told", id=opened.id, whom="authority", who="ana")
    assert await looked(watched, learned_ms + 73 * HOUR_MS) == []
    assert {row.state for row in await watched.alerts() if row.kind in ("incident", "overdue")} == {"resolved"}


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_one_that_is_closed_is_listed_when_asked_for_and_stays_as_it_is(watched: Watched) -> None:
    admin = watched.admin
    first = await admin.act("incident.open", what="a list was sent to the wrong team", who="ana")
    second = await admin.act("incident.open", what="door-1 was stolen", device=watched.city.device.id, who="ana")
    held = await admin.act("device.held", device=watched.city.device.id)
    assert (held.incident, held.tell_by_ms) == (second.id, second.tell_by_ms)
    closed = await admin.act("incident.close", id=first.id, why="it was empty", who="bea")
    assert (closed.closed_by, closed.why, closed.left_ms) == ("bea", "it was empty", 0)
    assert [each.id for each in (await admin.act("incident.list")).incidents] == [second.id]
    assert [each.id for each in (await admin.act("incident.list", closed=True)).incidents] == [second.id, first.id]
    refused: list[tuple[str, str, dict[str, Any]]] = [
        ("closed already", "incident.close", {"id": first.id, "why": "again"}),
        ("closed already", "incident.told", {"id": first.id, "whom": "authority"}),
        ("before it was learned", "incident.told", {"id": second.id, "whom": "authority", "when": "2020-01-01T00:00"}),
        ("no incident", "incident.told", {"id": "i1", "whom": "authority"}),
        ("still to come", "incident.open", {"what": "x", "learned": "2100-01-01T00:00"}),
        ("no time", "incident.open", {"what": "x", "learned": "yesterday"}),
        ("no device|there is no", "incident.open", {"what": "x", "device": "nowhere"}),
    ]
    for text, name, values in refused:
        with pytest.raises(ActionFailed, match=text):
            await admin.act(name, **values)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_audit_log_says_who_told_whom_and_what_stood_there_before(watched: Watched) -> None:
    chen = caller("chen", "admin")
    opened = await ask(watched.admin, chen, "incident.open", what="door-1 was stolen")
    for note in ("letter 115-42", "letter 115-43"):
        await ask(watched.admin, chen, "incident.told", id=opened.id, whom="authority", note=note)
    last = [row for row in await watched.city.rows(audit) if row.action == "incident.told"][-1]
    assert (last.who, last.target) == ("chen", opened.id)
    assert "letter 115-42" in last.body
    assert "letter 115-43" in last.body


def test_commands_keep_the_register(run: Operator) -> None:
    opened = run.json("incident", "open", "a list was sent to the wrong team", "--who", "ana")
    assert "wrong" in run("incident", "list").stdout
    assert [each["id"] for each in run.json("incident", "list")] == [opened["id"]]
    told = run.json("incident", "told", opened["id"], "authority", "--note", "115-42", "--who", "ana")
    assert told["untold"] == ["concerned"]
    run("incident", "close", opened["id"], "--why", "nobody was concerned", "--who", "ana")
    assert run.json("incident", "list") == []
    assert [each["id"] for each in run.json("incident", "list", "--closed")] == [opened["id"]]
