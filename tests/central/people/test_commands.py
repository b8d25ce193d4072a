"""The commands of members, cards over time, closures, offers and activities, as an operator types them."""

from pathlib import Path

from tests.central.terminal import Operator


def table(path: Path, *rows: str) -> str:
    path.write_text("\n".join((*rows, "")), encoding="utf-8-sig")
    return str(path)


def test_flags_are_set_by_hand_and_by_a_table(run: Operator, tmp_path: Path) -> None:
    said = run.json("card", "flag", "A-1", "--domain", "library", "--set", "hold-ready")
    assert said["flags"] == [{"flag": "hold-ready", "until_ms": 0}]
    file = table(tmp_path / "flags.csv", "member,flags", "A-2,overdue", "A-9,overdue")
    planned = run("card", "flags", file, "--domain", "library", "--full")
    assert "row 3: member: not known here" in planned.stdout
    assert "1 members who are not named had flags" in planned.stdout
    assert "Nothing was changed" in planned.stdout
    assert "1 of 2 rows were left out" in run.refused("card", "flags", file, "--domain", "library", "--apply")
    assert run.json("card", "flag", "A-2", "--domain", "library")["flags"][0]["flag"] == "overdue"


def test_a_feed_is_followed_and_the_history_shown(run: Operator, tmp_path: Path) -> None:
    file = table(
        tmp_path / "feed.csv", "member,action,class,from,until", "A-1,add,senior,115/01/01,", "A-2,遷出,,,2026-06-30"
    )
    arguments = ("member", "classes", file, "--domain", "library")
    assert "Nothing was changed" in run(*arguments).stdout
    done = run.json(*arguments, "--apply", "--who", "lin")
    assert (done["verdicts"], done["problems"]) == ({"changed": 2, "unchanged": 0, "refused": 0}, [])
    shown = run.json("member", "history", "A-1")["classes"]
    assert [(each["name"], each["who"]) for each in shown] == [("senior", "lin"), ("citizen", "")]
    assert "lin" in run("member", "history", "A-1").stdout
    run("member", "classes", "--domain", "library", code=2)
    run("member", "classes", file, "--domain", "library", "--from-class", "a", "--to-class", "b", code=2)
    moved = run.json(
        *("member", "classes", "--domain", "library", "--from-class", "citizen", "--to-class", "resident"),
        *("--on", "2026-01-01", "--apply"),
    )
    assert (moved["members"], moved["left_out"], moved["applied"]) == (2, 0, True)


def test_a_card_is_replaced_lost_and_found_again(run: Operator) -> None:
    done = run.json(
        "card", "replace", "2A83155E", "04AABBCCDDEEFF", "--notation", "hex", "--after", "14", "--who", "lin"
    )
    assert (done["old"]["state"], done["new"]["state"], done["new"]["number"]) == ("active", "active", 2)
    run("card", "lose", "1A2B3C4D", "--notation", "hex", "--why", "by phone")
    run("card", "find-again", "1A2B3C4D", "--notation", "hex")
    said = run.json("card", "history", "1A2B3C4D", "--notation", "hex")
    assert [each["state"] for each in said] == ["active", "lost", "active"]
    assert "by phone" in run("card", "history", "1A2B3C4D", "--notation", "hex").stdout
    assert "bound to nobody" in run.refused("card", "lose", "04000000000001", "--notation", "hex")


def test_batches_are_issued_bound_again_and_undone(run: Operator, tmp_path: Path) -> None:
    new = table(tmp_path / "new.csv", "uid,member,replaces", "04AABBCCDDEEFF,A-1,all")
    common = ("--domain", "library", "--notation", "hex", "--apply")
    run("card", "batch", "issue", "reissue", new, *common)
    swapped = table(tmp_path / "swapped.csv", "uid,member", "1A2B3C4D,A-1")
    assert "0 taps changed the member" in run("card", "batch", "rebind", "mend", swapped, *common).stdout
    assert [each["name"] for each in run.json("card", "batch", "list")] == ["mend", "reissue"]
    assert run.json("card", "batch", "show", "mend")["taps"] == 0
    assert (
        "No tap changed its member" in run("card", "batch", "show", "mend", "--report", str(tmp_path / "t.csv")).stdout
    )
    assert "Nothing was changed" in run("card", "batch", "undo", "reissue").stdout
    undone = run.json("card", "batch", "undo", "reissue", "--apply")
    assert (undone["cards"], undone["kept"]) == (2, 0)
    assert "was undone already" in run.refused("card", "batch", "undo", "reissue")
    run("verify")


def test_a_venue_is_closed_and_opened_again(run: Operator) -> None:
    texts = ("--why-zh", "停班停課", "--why-en", "Typhoon", "--who", "mayor")
    said = run("closure", "add", "--city", "--from", "2126-09-01", "--until", "2126-09-01", *texts, "--admit", "staff")
    assert "Told to door-1." in said.stdout
    assert "Limits are per local day" in said.stdout
    (shown,) = run.json("closure", "list")["closures"]
    assert (shown["venue"], shown["admits"], shown["who"]) == ("", ["staff"], "mayor")
    assert "Open again" in run("closure", "end", shown["id"]).stdout
    assert "Nothing is closed" in run("closure", "list").stdout
    assert "name the venue" in run.refused("closure", "add", "--from", "2126-09-01", "--until", "2126-09-01", *texts)


def test_offers_and_activities_are_put_and_listed(run: Operator, tmp_path: Path) -> None:
    rows = ("id,partner,title_zh,title_en,class,from,until", "tea,茶行,九折,,senior,,")
    run("offer", "import", table(tmp_path / "offers.csv", *rows), "--full", "--apply")
    assert [each["id"] for each in run.json("offer", "list", "--class", "senior", "--on", "2026-09-01")] == ["tea"]
    assert "No offer that day" in run("offer", "list", "--class", "student", "--on", "2026-09-01").stdout
    when = ("--from", "2026-09-01T06:00", "--until", "2026-09-01T09:00")
    put = run.json("activity", "put", "walk", "--venue", "library-1", "--rule", "members", *when, "--no-walk-ins")
    assert (put["walk_ins"], put["registered"]) == (False, 0)
    run("activity", "register", "walk", table(tmp_path / "people.csv", "member", "A-1"), "--apply")
    assert run.json("activity", "list")[0]["registered"] == 1
    assert "Registered 1; absent 1." in run("activity", "attendance", "walk").stdout
