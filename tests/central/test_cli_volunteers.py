"""Volunteers' hours at the command line: a coordinator's month from sign-in to lock."""

from pathlib import Path

import pytest
import xlrd

from tests.central.terminal import Operator

TEAM = """
venue = "library-1"
rules = [{id = "desk"}]
coordinators = ["lin"]
admins = ["chen"]
item = "文化服務"
[[shifts]]
id = "morning"
days = ["mon", "tue"]
hours = "09:00-12:00"
"""
RULES = """
rounding = [{valid_from = 2024-01-01, unit_minutes = 30}]
certificate = {hours = 3, years = 3}
"""
BY_LIN = ("--who", "lin")
SIGN = ("volunteer", "sign", "A-1", "--team", "desk", "--why", "card at home", *BY_LIN)


@pytest.fixture
def desk(run: Operator, tmp_path: Path) -> Operator:
    (tmp_path / "desk.toml").write_text(TEAM)
    (tmp_path / "rules.toml").write_text(RULES)
    run("volunteer", "team", "put", "desk", str(tmp_path / "desk.toml"))
    run("volunteer", "rules", "put", str(tmp_path / "rules.toml"))
    return run


def test_a_coordinators_month(desk: Operator, tmp_path: Path) -> None:
    (signed,) = desk.json(*SIGN, "--in", "2026-02-03T09:00", "--out", "2026-02-03T12:10")
    assert (signed["member"], signed["minutes"], signed["shift"]) == ("A-1", 190, "morning")
    session = signed["session"]
    overlapping = desk.refused(*SIGN, "--in", "2026-02-03T10:00", "--out", "2026-02-03T13:00")
    assert f"it overlaps the session {session} of this member" in overlapping
    (served,) = desk.json("volunteer", "served", session, "--people", "34", "--transport", "60", *BY_LIN)
    assert (served["people"], served["transport"]) == (34, 60)
    assert "A-1" in desk("volunteer", "sessions", "--team", "desk").stdout
    text = desk("volunteer", "month", "desk", "2026-02").stdout
    assert "3:00" in text  # 3 h 10 min, cut off to half hours
    assert "desk 2026-02: open, 190 minutes in all." in text
    assert desk.json("volunteer", "approve", "desk", "2026-02", *BY_LIN)["state"] == "approved"
    assert "locked by lin" in desk("volunteer", "lock", "desk", "2026-02", *BY_LIN).stdout
    changed = desk.json("volunteer", "settle", session, "--until", "2026-02-03T12:00", "--why", "seen", *BY_LIN)
    assert [(row["minutes"], row["adjustment"]) for row in changed] == [(-10, True)]
    assert desk.json("volunteer", "month", "desk", "2026-02")["minutes"] == 190
    totals = desk.json("volunteer", "totals", "A-1", "--domain", "library", "--year", "2026")
    assert (totals["minutes"], totals["rounded_minutes"]) == (180, 180)
    assert "180 minutes, shown as 3:00" in desk(
        "volunteer", "totals", "A-1", "--domain", "library", "--year", "2026"
    ).stdout  # fmt: skip
    assert desk.json("volunteer", "certificates")[0]["state"] == "due"
    made = desk.json("volunteer", "certify", "A-1", "--valid-from", "2026-03-01", "--who", "chen")
    assert made[0]["valid_until"] == "2029-03-01"
    desk("member", "erase", "A-1", "--apply", "--receipt", str(tmp_path / "receipt"))
    text = desk("volunteer", "month", "desk", "2026-02").stdout
    assert "1 people are not known any more: their 3:10 h stand in no line." in text


def test_review_and_settling(desk: Operator) -> None:
    assert "Nothing is in review." in desk("volunteer", "review", "--team", "desk").stdout
    desk(*SIGN, "--in", "2026-02-03T09:00", code=0)
    (found,) = desk.json("volunteer", "review", "--team", "desk")
    assert found["why"] == "no-sign-out"
    assert found["session"] in desk("volunteer", "review").stdout  # whole, to be copied
    settle = ("volunteer", "settle", found["session"])
    assert "nobody tapped out" in desk.refused(*settle, "--why", "seen", *BY_LIN)
    assert "no coordinator of the team 'desk'" in desk.refused(*settle, "--void", "--why", "seen", "--who", "wang")
    desk(*settle, "--void", "--why", "was not there", *BY_LIN)
    assert desk.json("volunteer", "review") == []
    assert [row["state"] for row in desk.json("volunteer", "sessions", "--member", "A-1")] == ["void"]
    assert desk.json("volunteer", "sessions", "--domain", "library", "--month", "2026-03") == []


def test_teams_and_rules_are_shown_as_they_are_put(desk: Operator, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_text(desk("volunteer", "team", "show", "desk").stdout)
    desk("volunteer", "team", "put", "desk", str(tmp_path / "again.json"), "--valid-from", "2026-01-01")
    (listed,) = desk.json("volunteer", "team", "list")
    assert (listed["id"], listed["coordinators"]) == ("desk", ["lin"])
    (tmp_path / "rules.json").write_text(desk("volunteer", "rules", "show").stdout)
    assert desk.json("volunteer", "rules", "put", str(tmp_path / "rules.json"))["body"]["certificate"]["hours"] == 3
    (tmp_path / "desk.toml").write_text(TEAM.replace("mon", "moon"))
    assert "days" in desk.refused("volunteer", "team", "put", "desk", str(tmp_path / "desk.toml"))
    assert "two ways of rounding" in desk.refused(
        "volunteer", "rules", "put", str(_twice(tmp_path))
    )  # fmt: skip


def _twice(tmp_path: Path) -> Path:
    path = tmp_path / "twice.toml"
    path.write_text("rounding = [" + "{valid_from = 2024-01-01, unit_minutes = 30}," * 2 + "]")
    return path


def test_a_session_is_reassigned_by_who_coordinates_both(desk: Operator, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(TEAM.replace('"desk"', '"books"').replace("lin", "wang"))
    desk("volunteer", "team", "put", "books", str(tmp_path / "b.toml"))
    (signed,) = desk.json(*SIGN, "--in", "2026-02-03T09:00", "--out", "2026-02-03T12:10")
    reassign = ("volunteer", "reassign", signed["session"], "--team", "books", "--why", "upstairs")
    assert "'lin' is no coordinator of the team 'books'" in desk.refused(*reassign, *BY_LIN)
    (moved,) = desk.json(*reassign, "--who", "chen")
    assert (moved["team"], moved["minutes"]) == ("books", 190)


def test_a_month_goes_to_the_ministry_and_to_paper(desk: Operator, tmp_path: Path) -> None:
    (tmp_path / "desk.toml").write_text(
        TEAM.replace('item = "文化服務"', 'item = "0340"\ncontent = "0017"\narea = "B"')
    )
    desk("volunteer", "team", "put", "desk", str(tmp_path / "desk.toml"))
    desk("member", "put", "A-1", "--domain", "library", "--name", "林堃")
    desk(*SIGN, "--in", "2026-02-03T09:00", "--out", "2026-02-03T12:10")
    book, identities = tmp_path / "vols.xls", tmp_path / "identities.csv"
    export = ("volunteer", "export", "desk", "2026-02", str(book))
    desk("volunteer", "approve", "desk", "2026-02", *BY_LIN)
    refused = desk(*export, "--json", code=1)
    assert ('"reason":"no-number"' in refused.stdout, "nothing is written" in refused.stderr) == (True, True)
    assert not book.exists()
    identities.write_text("")
    assert "the file is empty" in desk.refused(*export, "--list", str(identities))
    assert not book.exists()
    identities.write_text("member,id_number\nA-1,A123456789\n")
    assert "1 sessions, 3 h 10 min; 0 are left out." in desk(*export, "--list", str(identities)).stdout
    row = xlrd.open_workbook(book).sheet_by_index(0).row_values(1)
    assert row[:8] == ["林堃", "A123456789", "1150203", "1150203", "0340", "0017", 3, 10]
    sheet = tmp_path / "sheet.csv"
    desk("volunteer", "sheet", "desk", "2026-02", str(sheet), "--encoding", "cp950")
    lines = sheet.read_bytes().decode("cp950").split("\r\n")
    assert lines[0].startswith("會員編號,115/02/03,前月調整分鐘,合計分鐘,合計-小時,合計-分鐘")
    assert lines[1].startswith("A-1,190,0,190,3,10")


def test_a_roster_is_followed(desk: Operator, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("紀錄冊號,會員編號,加入日期\nV-1,A-1,098/09/01\nV-9,,\n")
    follow = ("volunteer", "roster", "desk", str(tmp_path / "roster.csv"), "--class", "volunteer-desk")
    assert "row 3: number: nobody here has it" in desk(*follow).stdout
    desk(*follow, "--apply", "--allow-partial")
    assert desk.json("member", "find", "V-1")["members"][0]["member"] == "A-1"
    assert [each["name"] for each in desk.json("member", "history", "A-1")["classes"]].count("volunteer-desk") == 1
