"""Finding, registering and numbering members, day cards and uptake, as an operator types them."""

from tests.central.terminal import Operator


def test_a_member_is_registered_numbered_and_found(run: Operator) -> None:
    made = run.json(
        "member", "put", "A-7", "--domain", "library", "--name", "王小明", "--class", "citizen", "--who", "lin"
    )
    assert made["change"] == "added"
    run("member", "number", "put", "A-7", "library-barcode", "L-00 7")
    for sought in ("王小", "l007", "A-7"):
        found = run.json("member", "find", sought)
        assert [hit["member"] for hit in found["members"]] == ["A-7"]
    assert "王小明" in run("member", "find", "王小").stdout
    assert "too short" in run.refused("member", "find", "王")
    assert "nobody was found" in run.refused("member", "find", "陳怡君")
    shown = run.json("member", "show", "A-7")
    assert (shown["numbers"][0]["identifier"], shown["classes"][0]["class_name"]) == ("L-00 7", "citizen")
    assert "L-00 7" in run("member", "show", "A-7").stdout
    run("member", "number", "remove", "A-7", "library-barcode")
    assert "nobody" in run.refused("member", "find", "l007")
    assert run.json("member", "reindex")["members"] >= 1


def test_cards_are_bound_given_out_for_a_day_and_followed_to_the_gates(run: Operator) -> None:
    bound = run.json("card", "bind", "04AABBCCDDEE01", "--notation", "hex", "--member", "A-1")
    assert bound["number"] == 2
    assert "bound already" in run.refused("card", "bind", "04AABBCCDDEE01", "--notation", "hex", "--member", "A-2")
    venue = run.json("venue", "list")[0]["id"]
    day = run.json("card", "issue-day", "04AABBCCDDEE02", "--notation", "hex", "--venue", venue)
    assert day["member"].startswith("day/")
    taken = run.json("card", "uptake", "--card", bound["card"])["lists"]
    assert [(each["domain"], each["holding"]) for each in taken] == [("library", 0)]
    assert "It is on no list" in run("card", "uptake", "--domain", "library").stdout
    assert "exactly one" in run.refused("card", "uptake")
