"""`conflict`: what the re-check of every tap found, as an inbox."""

from typing import Any

import click

from central.commands.custody import Instant
from central.commands.judging import why_option
from central.commands.shell import act, as_json, say, say_json, say_rows, who_option
from central.config import Config
from protocol.wire import LAST_MS

OF_CONFLICT = "id kind state at_ms gate assigned event"
OF_DONE = "id done state why"


@click.group()
def conflict() -> None:
    """What the re-check of every tap found, and what people say about it. Open until a person settles it."""


def _filters(command: Any) -> Any:
    for option in (
        click.option("--until", "until_ms", type=Instant(), default=LAST_MS, help="Of taps before then."),
        click.option("--since", "since_ms", type=Instant(), default=0, help="Of taps since then."),
        click.option("--nobodys", "unassigned", is_flag=True, help="Only those that nobody was given."),
        click.option("--assigned", default="", help="Only those that this account was given."),
        click.option("--device", default="", help="Only of one device."),
        click.option("--venue", default="", help="Only of one venue."),
        click.option(
            "--state", default="", type=click.Choice(["", "open", "note", "settled", "gone"]), help="Only in one state."
        ),
        click.option("--domain", default="", help="Only of one domain."),
        click.option("--kind", default="", help="used-apart, denied-but-entitled, …: README names all of them."),
    ):
        command = option(command)
    return command


@conflict.command("list")
@_filters
@click.option("--member", default="", help="Only of one member, by the city's number.")
@click.option("--open", is_flag=True, help="Only what a person is to settle.")
@click.option("--newest-first", is_flag=True, help="In place of the oldest.")
@click.option("--after", default="", help="Go on behind this place, as the last list ended with.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=10_000, show_default=True, help="So many at most.")
@as_json
@click.pass_obj
def conflict_list(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Conflicts by the time of their taps.

    State open: somebody is to settle it. note: worth knowing, and nothing to do. gone: late taps explain it, and it is
    kept since somebody spoke of it.

    Example: tapgate-central conflict list --open --kind used-apart
    """
    found = act(settings, "conflict.list", values)
    say_rows(found["rows"], as_json, "No conflict: every tap agrees with what is known.", OF_CONFLICT)
    if found["more"] and not as_json:
        click.echo(f"There are more: --after {found['next']}, or state --kind, --domain, --device or --since.")


@conflict.command("counts")
@_filters
@as_json
@click.pass_obj
def conflict_counts(settings: Config, /, as_json: bool, **values: Any) -> None:
    """How many there are, by kind and state; of the open ones, how many are nobody's.

    Example: tapgate-central conflict counts --venue library-1
    """
    found = act(settings, "conflict.counts", values)
    columns = "kind open unassigned note settled gone"
    say_rows(found["kinds"], as_json, "No conflict: every tap agrees with what is known.", columns)


@conflict.command("show")
@click.argument("conflict_id", metavar="ID")
@as_json
@click.pass_obj
def conflict_show(settings: Config, conflict_id: str, as_json: bool) -> None:
    """One conflict, and who said what about it. ID may be shortened.

    Example: tapgate-central conflict show 5f3a9c0b
    """
    _say_conflict(act(settings, "conflict.show", {"id": conflict_id}), as_json)


def _say_conflict(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    say({**found["conflict"], "member": found["member"]}, as_json)
    say_rows(found["said"], as_json, "Nobody said anything about it.")


@conflict.command("settle")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@why_option
@who_option
@as_json
@click.pass_obj
def conflict_settle(settings: Config, ids: tuple[str, ...], why: str, who: str, as_json: bool) -> None:
    """It is done with. Several at once, up to 500, for one reason.

    Example: tapgate-central conflict settle 5f3a9c0b --why 'both cards are his'
    """
    _say_of_all(settings, ids, "settle", why, who, as_json)


@conflict.command("reopen")
@click.argument("conflict_id", metavar="ID")
@why_option
@who_option
@as_json
@click.pass_obj
def conflict_reopen(settings: Config, conflict_id: str, why: str, who: str, as_json: bool) -> None:
    """It is not done with after all.

    Example: tapgate-central conflict reopen 5f3a9c0b --why 'the venue found its own list'
    """
    _say_about(settings, conflict_id, "reopen", why, who, as_json)


@conflict.command("comment")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@why_option
@who_option
@as_json
@click.pass_obj
def conflict_comment(settings: Config, ids: tuple[str, ...], why: str, who: str, as_json: bool) -> None:
    """Something to know about it, or about several.

    Example: tapgate-central conflict comment 5f3a9c0b --why 'asked the venue'
    """
    _say_of_all(settings, ids, "comment", why, who, as_json)


@conflict.command("assign")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--to", default="", help="The account; not given: nobody's any more.")
@click.option("--why", default="", help="Kept with the name of who says so.")
@who_option
@as_json
@click.pass_obj
def conflict_assign(settings: Config, ids: tuple[str, ...], to: str, why: str, who: str, as_json: bool) -> None:
    """Give conflicts to somebody who may settle them.

    Example: tapgate-central conflict assign 5f3a9c0b 77d0e1aa --to lin
    """
    values = {"ids": list(ids), "to": to, "why": why, "who": who}
    _say_many(act(settings, "conflict.assign", values, bar=True), as_json)


@conflict.command("assignees")
@as_json
@click.pass_obj
def conflict_assignees(settings: Config, as_json: bool) -> None:
    """The accounts that conflicts can be given to, and of which venues.

    Example: tapgate-central conflict assignees
    """
    found = act(settings, "conflict.assignees", {})
    say_rows(found["accounts"], as_json, "Nobody: add an account of an admin or an operator first.")


@conflict.command("retry")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@as_json
@click.pass_obj
def conflict_retry(settings: Config, ids: tuple[str, ...], as_json: bool) -> None:
    """Judge the taps of these conflicts' members again now, by all that is known.

    Example: tapgate-central conflict retry 5f3a9c0b
    """
    _say_many(act(settings, "conflict.retry", {"ids": list(ids)}, bar=True), as_json)


def _say_about(settings: Config, id_: str, what: str, why: str, who: str, as_json: bool) -> None:
    _say_conflict(act(settings, "conflict.say", {"id": id_, "what": what, "why": why, "who": who}), as_json)


def _say_of_all(settings: Config, ids: tuple[str, ...], what: str, why: str, who: str, as_json: bool) -> None:
    """One by itself, which may be shortened; several by the action for many."""
    if len(ids) == 1:
        _say_about(settings, ids[0], what, why, who, as_json)
    else:
        values = {"ids": list(ids), "why": why, "who": who}
        _say_many(act(settings, f"conflict.{what}", values, bar=True), as_json)


def _say_many(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    say_rows(found["results"], as_json, columns=OF_DONE)
    click.echo(f"{found['done']:,} done, {found['refused']:,} not.")


@conflict.command("travel")
@click.argument("venue")
@click.argument("other")
@click.option("--minutes", type=click.IntRange(0, 1_440), required=True, help="0 = nothing is known any more.")
@who_option
@as_json
@click.pass_obj
def conflict_travel(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Nobody gets from VENUE to OTHER, or back, in fewer minutes. Until it is stated nothing is looked for.

    Example: tapgate-central conflict travel library-1 library-2 --minutes 15
    """
    say(act(settings, "conflict.travel", values), as_json)
