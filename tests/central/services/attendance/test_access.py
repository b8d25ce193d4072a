"""Coordinators see and decide on their own teams, by their accounts; lists go on where the last page ended."""

from typing import Any

import pytest

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from tests.central.callers import ask, caller
from tests.central.services.attendance.crew import Crew

ADMIN = caller("ada", "admin")
DESK = caller("dee", "coordinator", teams=("desk",))
CHILDREN = caller("chi", "coordinator", teams=("children",))
NOBODY = caller("non", "coordinator")


async def a_month(crew: Crew) -> dict[str, str]:
    """Sessions by name; the one of A-3 was forgotten."""
    names = {
        "A-1": await crew.session("A-1", "2026-03-02", ("09:00", "11:00")),
        "A-2": await crew.session("A-2", "2026-03-03", ("09:00", "11:00"), rule="children"),
    }
    names["A-3"] = crew.tap("A-3", "kiosk-1", "2026-03-04 09:00", "in")
    await crew.sync("kiosk-1", "2026-03-04 10:00")
    crew.now("2026-04-02 09:00")
    return {who: name.hex() for who, name in names.items()}


async def listed(crew: Crew, who: Any, action: str = "volunteer.sessions", **filters: Any) -> list[str]:
    return [each.member for each in (await ask(crew.admin, who, action, **filters)).sessions]


async def test_a_coordinator_sees_own_teams_only(crew: Crew) -> None:
    await a_month(crew)
    assert await listed(crew, ADMIN) == ["A-1", "A-2", "A-3"]
    assert await listed(crew, DESK) == ["A-1", "A-3"]
    assert await listed(crew, CHILDREN) == ["A-2"]
    assert await listed(crew, NOBODY) == []
    assert await listed(crew, DESK, "volunteer.review") == ["A-3"]
    assert await listed(crew, CHILDREN, "volunteer.review") == []
    with pytest.raises(Forbidden):
        await listed(crew, CHILDREN, team="desk")
    for who, teams in ((DESK, ["desk"]), (ADMIN, ["children", "desk"]), (NOBODY, [])):
        found = (await ask(crew.admin, who, "volunteer.team.list")).teams
        assert [team.id for team in found] == teams


async def test_a_list_of_sessions_goes_on_where_the_page_ended(crew: Crew) -> None:
    await a_month(crew)
    await crew.session("A-1", "2026-04-01", ("09:00", "10:00"))
    for filters in ({}, {"month": "2026-03"}, {"team": "desk"}):
        every = (await ask(crew.admin, ADMIN, "volunteer.sessions", **filters)).sessions
        key, read = "", []
        for _ in every:
            page = await ask(crew.admin, ADMIN, "volunteer.sessions", limit=1, after=key, **filters)
            assert page.more == bool(page.next)
            read += page.sessions
            key = page.next
        assert (read, key) == (every, "")
    with pytest.raises(ActionFailed, match="no place in this list"):
        await listed(crew, ADMIN, after="x")
    for month in ("2026-13", "9999-12", "0000-01"):
        with pytest.raises(ActionFailed, match="is not a month"):
            await listed(crew, ADMIN, month=month)
        with pytest.raises(ActionFailed, match="is not a month"):
            await ask(crew.admin, ADMIN, "volunteer.month", team="desk", month=month)


async def test_a_coordinator_by_account_decides_on_own_sessions(crew: Crew) -> None:
    """Nobody named dee stands in the team's file."""
    names = await a_month(crew)
    hours = {"outcome": "hours", "until": "2026-03-04T11:00", "why": "seen"}
    with pytest.raises(Forbidden):
        await ask(crew.admin, CHILDREN, "volunteer.settle", session=names["A-3"], **hours)
    with pytest.raises(Forbidden):
        await ask(crew.admin, DESK, "volunteer.reassign", session=names["A-1"], team="children", why="x")
    await ask(crew.admin, DESK, "volunteer.settle", session=names["A-3"], **hours)
    sheet = await ask(crew.admin, DESK, "volunteer.approve", team="desk", month="2026-03")
    assert (sheet.state, sheet.by, sheet.minutes) == ("approved", "dee", 240)
    with pytest.raises(Forbidden):
        await ask(crew.admin, DESK, "volunteer.lock", team="children", month="2026-03")
    await crew.session("A-1", "2026-04-01", ("09:00", "10:00"))
    crew.now("2026-04-02 09:00")
    assert await months(crew, DESK) == [("2026-04", "open", 1, 60), ("2026-03", "approved", 2, 240)]
    locked = await ask(crew.admin, ADMIN, "volunteer.lock", team="desk", month="2026-03")
    assert (locked.state, locked.by) == ("locked", "ada")
    assert await months(crew, DESK, limit=1) == [("2026-04", "open", 1, 60)]
    assert await months(crew, DESK, before="2026-04") == [("2026-03", "locked", 2, 240)]
    with pytest.raises(Forbidden):
        await months(crew, CHILDREN)


async def months(crew: Crew, who: Any, **values: Any) -> list[tuple[Any, ...]]:
    found = (await ask(crew.admin, who, "volunteer.months", team="desk", **values)).months
    return [(each.month, each.state, each.members, each.minutes) for each in found]


async def test_a_session_is_found_by_its_name(crew: Crew) -> None:
    names = await a_month(crew)
    assert await listed(crew, DESK, session=names["A-1"]) == ["A-1"]
    with pytest.raises(Forbidden):
        await listed(crew, CHILDREN, session=names["A-1"])
    assert await listed(crew, ADMIN, session="0" * 32) == []
    for name in ("zz", "0" * 31):
        with pytest.raises(ActionFailed, match="there is no session"):
            await listed(crew, ADMIN, session=name)


async def test_who_acts_at_this_machine_is_whom_the_team_names(crew: Crew) -> None:
    await a_month(crew)
    with pytest.raises(ActionFailed, match="is no coordinator"):
        await crew.act("approve", team="children", month="2026-03", who="dee")


async def test_honour_cards_are_shown_for_those_who_served_in_own_teams(crew: Crew) -> None:
    await a_month(crew)
    await crew.act("rules.put", body={"certificate": {"hours": 1, "years": 3}}, who="chen")

    async def shown(who: Any, **values: Any) -> list[str]:
        answer = await ask(crew.admin, who, "volunteer.certificates", **values)
        return [each.member for each in answer.certificates]

    assert await shown(ADMIN) == ["A-1", "A-2"]
    assert await shown(DESK) == ["A-1"]
    assert await shown(NOBODY) == []
    with pytest.raises(ActionFailed, match="is an admin of no team"):
        await ask(crew.admin, DESK, "volunteer.certify", member="A-1", valid_from="2026-04-01")
    given = await ask(crew.admin, ADMIN, "volunteer.certify", member="A-2", valid_from="2026-04-01", number="7")
    assert given.certificates[0].state == "valid"
    assert await shown(CHILDREN) == ["A-2"]
