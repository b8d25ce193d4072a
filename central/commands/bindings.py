"""`card replace`, `card lose`, `card find-again`, `card history`, `card batch`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from central.commands.classes import follow, table_options
from central.commands.reports import reporting
from central.commands.shell import act, as_json, notation, readable, say, say_json, say_rows, who_option
from central.config import Config

HISTORY = "member number state from_ms until_ms known_ms who why batch"
TAPS = "at_ms gate told to reason points due flags"
DAYS = click.IntRange(0, 3_650)
why_option = click.option("--why", default="", help="Kept with the history.")
after_option = click.option(
    "--after",
    "after_days",
    type=DAYS,
    default=0,
    show_default=True,
    help="Days until an old card stops, to the end of the last one; 0 = at once.",
)


@click.command("replace")
@click.argument("uid", metavar="OLD_UID")
@click.argument("new_uid", metavar="NEW_UID")
@after_option
@notation
@why_option
@who_option
@as_json
@click.pass_obj
def replace(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Bind a new card in place of an old one: history, points and hours are the member's and stay.

    Example: tapgate-central card replace 0713233758 1024768512 --notation decimal --after 14 --why worn
    """
    done = act(settings, "card.replace", values)
    if as_json:
        say_json(done)
    else:
        say_rows([{"card": name, **done[name]} for name in ("old", "new")], as_json)


@click.command("lose")
@click.argument("uid")
@notation
@why_option
@who_option
@as_json
@click.pass_obj
def lose(settings: Config, /, as_json: bool, **values: Any) -> None:
    """A card was reported lost: refused everywhere from now on.

    Example: tapgate-central card lose 0713233758 --why "reported by phone"
    """
    say(act(settings, "card.lose", values), as_json)


@click.command("find-again")
@click.argument("uid")
@notation
@why_option
@who_option
@as_json
@click.pass_obj
def find_again(settings: Config, /, as_json: bool, **values: Any) -> None:
    """A lost card was found again.

    Example: tapgate-central card find-again 0713233758
    """
    say(act(settings, "card.find-again", values), as_json)


@click.command("history")
@click.argument("uid")
@notation
@as_json
@click.pass_obj
def history(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Whose a card was and in which state: when that was true, since when it was known, and by whom.

    Example: tapgate-central card history 0713233758
    """
    found = act(settings, "card.history", values)["statements"]
    say_rows(found, as_json, columns=HISTORY)


@click.group()
def batch() -> None:
    """Cards issued or bound again in bulk, under a name by which it can be taken back."""


@batch.command("issue")
@click.argument("name")
@click.argument("file", type=readable)
@click.option("--domain", required=True, help="The domain whose members get them.")
@after_option
@notation
@why_option
@table_options
@who_option
@click.pass_obj
def batch_issue(settings: Config, /, file: Path, **values: Any) -> None:
    """Issue many cards at once; by default only say, row by row, what it would do.

    The columns are uid, member, and if wanted replaces: the UID of the old card, or `all` for every card of the
    member that is in use. Run again with the same file, a batch that was cut short goes on.

    Example: tapgate-central card batch issue reissue-2026 cards.csv --domain city --after 30 --apply
    """
    follow(settings, "card.batch.issue", file, values)


@batch.command("rebind")
@click.argument("name")
@click.argument("file", type=readable)
@click.option("--domain", required=True, help="The domain whose members they are.")
@click.option("--time-zone", default="", help="Of the dates; not given = that of the domain's venues.")
@notation
@why_option
@table_options
@who_option
@click.pass_obj
def batch_rebind(settings: Config, /, file: Path, **values: Any) -> None:
    """Bind cards again that were bound to the wrong members; by default only say what it would do.

    The columns are uid, member (the right one), and if wanted from: since when it is the right one's; not given =
    since it was bound to the wrong one. Visits, hours and points of the taps in between go with it.

    Example: tapgate-central card batch rebind mended-2021 cards.csv --domain city --apply
    """
    follow(
        settings,
        "card.batch.rebind",
        file,
        values,
        lambda result: f"{result['marks_moved']:,} taps changed the member.",
    )


@batch.command("undo")
@click.argument("name")
@click.option("--apply", is_flag=True, help="Write it. Without this nothing is changed.")
@who_option
@as_json
@click.pass_obj
def batch_undo(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Take a batch back, but for cards of which something else was stated since: those are listed.

    Example: tapgate-central card batch undo reissue-2026 --apply
    """
    kept: list[dict[str, Any]] = []
    done = act(settings, "card.batch.undo", values, bar=True, on_items=kept.extend)
    if as_json:
        say_json({**done, "cards_kept": kept})
        return
    if kept:
        say_rows(kept, as_json)
    say(done, as_json)
    if not done["applied"]:
        click.echo("Nothing was changed: add --apply to write it.")


@batch.command("list")
@as_json
@click.pass_obj
def batch_list(settings: Config, as_json: bool) -> None:
    """Every batch, the newest first.

    Example: tapgate-central card batch list
    """
    say_rows(act(settings, "card.batch.list", {})["batches"], as_json, "No batch yet: `card batch issue`, `rebind`.")


@batch.command("show")
@click.argument("name")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Every tap, .csv or .json.")
@as_json
@click.pass_obj
def batch_show(settings: Config, name: str, report: Path | None, as_json: bool) -> None:
    """What followed from binding cards again: granted taps that are another member's now, and what their screens told
    of the wrong one.

    Example: tapgate-central card batch show mended-2021 --report taps.csv
    """
    first: list[dict[str, Any]] = []
    columns = ["device", "epoch", "sequence", *TAPS.split()]
    with reporting(report, columns) as write:

        def on_items(taps: Sequence[Any]) -> None:
            write(taps)
            first.extend(taps[: 50 - len(first)])

        shown = act(settings, "card.batch.show", {"name": name}, on_items=on_items)
    if as_json:
        say_json({**shown, "first_taps": first})
        return
    say_rows(first, as_json, "No tap changed its member.", TAPS)
    say(shown, as_json)
