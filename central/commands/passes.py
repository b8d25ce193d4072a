"""`pass`: classes of members that end on a day."""

import click

from central.commands.shell import act, as_json, say_rows
from central.config import Config


@click.group("pass")
def pass_() -> None:
    """Classes of members that end on a day, such as three months of the pool."""


@pass_.command("list")
@click.option("--class", "class_name", default="", help="Only of one class.")
@click.option("--member", default="", help="All of one member, whenever they end.")
@click.option("--days", type=click.IntRange(0, 3_660), default=30, show_default=True, help="That end within so many.")
@click.option("--past-days", type=click.IntRange(0, 3_660), default=0, show_default=True, help="And ended since.")
@click.option("--after", default="", help="Go on behind this place, as the last list ended with.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="So many at most.")
@as_json
@click.pass_obj
def pass_list(settings: Config, /, as_json: bool, **values: object) -> None:
    """Whose passes end soon.

    Example: tapgate-central pass list --class swim-3-months --days 14
    """
    found = act(settings, "pass.list", dict(values))
    say_rows(found["passes"], as_json, "No pass ends in that time.", "until_ms member class_name from_ms")
    if found["more"] and not as_json:
        click.echo(f"There are more: --after {found['next']}")


@pass_.command("counts")
@click.option("--days", type=click.IntRange(0, 3_660), default=30, show_default=True, help="That end within so many.")
@click.option("--past-days", type=click.IntRange(0, 3_660), default=30, show_default=True, help="And ended since.")
@as_json
@click.pass_obj
def pass_counts(settings: Config, days: int, past_days: int, as_json: bool) -> None:
    """How many passes of each class end soon, and how many have ended.

    Example: tapgate-central pass counts --days 14
    """
    found = act(settings, "pass.counts", {"days": days, "past_days": past_days})
    say_rows(found["classes"], as_json, "No pass ends in that time.", "class_name ending ended")
