"""`visits`, `occupancy`."""

from typing import Any

import click

from central.commands.shell import act, as_json, say, say_json, say_rows, who_option
from central.config import Config


@click.command()
@click.argument("venue")
@click.option("--since", default="", metavar="DATE", help="The first day; not given = today.")
@click.option("--until", default="", metavar="DATE", help="The last day; not given = the first one.")
@click.option("--by", type=click.Choice(["hour", "day", "all"]), default="all", show_default=True)
@as_json
@click.pass_obj
def visits(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Visits of VENUE, as far as is settled here: how many, by how many members, and how many were inside at once.

    An exit is unknown where another entry or closing time ended the visit. Listed are hours and days in which somebody
    came. By class, whole months are counted: `report visits --split class`.

    Example: tapgate-central visits sports-1 --since 2026-03-01 --until 2026-03-31 --by day
    """
    found = act(settings, "visits", values)
    if as_json:
        say_json(found)
    else:
        say_rows(found["rows"], as_json, "Nobody came, as far as this server knows.")


@click.command()
@click.argument("venue")
@click.option("--correct", type=int, metavar="N", help="Staff counted N people inside, now.")
@click.option("--change", type=int, metavar="N", help="Staff saw N more inside than are known; negative: fewer.")
@click.option("--why", default="", help="Why it is corrected.")
@who_option
@as_json
@click.pass_obj
def occupancy(
    settings: Config, venue: str, correct: int | None, change: int | None, why: str, who: str, as_json: bool
) -> None:
    """How many are inside VENUE now: visits without an exit, people let in by hand, and what staff counted.

    At closing time nobody is inside any more (`venue set --closes-at`). A correction holds until then.

    Example: tapgate-central occupancy sports-1 --correct 42 --why "counted at the pool"
    """
    if correct is None and change is None:
        say(act(settings, "occupancy", {"venue": venue}), as_json)
        return
    values = {"venue": venue, "who": who, "why": why, "count": correct, "change": change or 0}
    say(act(settings, "occupancy.correct", values), as_json)
