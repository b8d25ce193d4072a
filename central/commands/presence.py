"""`inside`."""

import click

from central.commands.shell import act, as_json, say_json, say_rows, text_of
from central.config import Config

SHOWN = "member name gate since_ms how by"


@click.command()
@click.argument("venue")
@as_json
@click.pass_obj
def inside(settings: Config, venue: str, as_json: bool) -> None:
    """Who may be inside VENUE now, as this server knows: entries of today, or of six hours, without a later exit.

    How sure it is: taken (the door was opened, the turnstile turned), not-seen (the gate cannot see passages),
    unknown (it could not see this one), pending (no word of the passage yet). Of those whom staff let in by hand
    only the number is known, unless they had tapped a known card before.

    Example: tapgate-central inside library-1
    """
    found = act(settings, "inside", {"venue": venue})
    if as_json:
        say_json(found)
        return
    say_rows(found["people"], as_json, "Nobody, as far as this server knows.", SHOWN)
    since = text_of("from_ms", found["from_ms"])
    click.echo(f"{found['certain']} went in and did not leave since {since}, {found['doubtful']} more are in doubt.")
    if found["behind"]:
        click.echo(f"Not heard of, or with events still to come: {', '.join(found['behind'])}. Ask there as well.")
