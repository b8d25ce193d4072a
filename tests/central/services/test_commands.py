"""`visits`, `occupancy`, `rebuild`, `venue set` at the command line, alone and beside a server."""

import json
import sqlite3
from contextlib import closing

from tests.central.terminal import Operator, Served


def test_a_venue_in_which_nobody_was_is_empty(run: Operator) -> None:
    assert run.json("visits", "library-1")["rows"] == []
    assert "Nobody came" in run("visits", "library-1", "--by", "hour").stdout
    assert run.json("occupancy", "library-1")["inside"] == 0
    assert "nowhere" in run.refused("occupancy", "nowhere")


def test_staff_correct_what_is_counted_and_say_who_and_why(run: Operator) -> None:
    assert "why it is corrected" in run.refused("occupancy", "library-1", "--correct", "3", "--who", "chen")
    found = run.json("occupancy", "library-1", "--correct", "3", "--why", "counted", "--who", "chen")
    assert (found["inside"], found["corrected"]) == (3, 1)
    assert run.json("occupancy", "library-1", "--change", "-1", "--why", "one left", "--who", "chen")["inside"] == 2
    assert run.json("occupancy", "library-1")["corrected"] == 2


def test_a_venue_is_told_when_it_closes(run: Operator) -> None:
    run("venue", "set", "library-1", "--closes-at", "22:30", "--who", "chen")
    (venue,) = run.json("venue", "list")
    assert venue["closes_at"] == "22:30"
    assert run("venue", "set", "library-1", "--closes-at", "25:00", code=2).exit_code == 2
    run("venue", "add", "annex", "--domain", "library", "--closes-at", "17:00")
    assert {venue["id"]: venue["closes_at"] for venue in run.json("venue", "list")}["annex"] == "17:00"


def test_a_difference_ends_with_one_and_mending_it_with_none(run: Operator) -> None:
    assert run.json("rebuild")["different"] == 0
    with closing(sqlite3.connect(run.directory / "central.db")) as connection, connection:
        connection.execute("INSERT INTO visits VALUES ('library-1', x'01', x'02', 3, 4, NULL, 'open', 5, 'members')")
    told = run("rebuild", code=1).stdout
    assert "visits, the first wrong: venue=library-1, subject=01, epoch=02, sequence=3" in told
    assert run("rebuild", "--service", "marks").exit_code == 0
    assert json.loads(run("rebuild", "--json", code=1).stdout)["different"] == 1
    assert run.json("rebuild", "--apply", "--service", "visits")["applied"]
    assert run.json("rebuild")["different"] == 0


def test_beside_a_server_too(served: Served) -> None:
    assert json.loads(served("rebuild", "--json").stdout)["different"] == 0
    corrected = served("occupancy", "library-1", "--correct", "5", "--why", "counted", "--who", "chen", "--json")
    assert json.loads(corrected.stdout)["inside"] == 5
    assert json.loads(served("occupancy", "library-1", "--json").stdout)["inside"] == 5
    assert json.loads(served("rebuild", "--apply", "--json").stdout)["applied"]
