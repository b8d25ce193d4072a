"""`clock`, and of `policy`: `check`, `replay`, `correct`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from central.commands.custody import Instant
from central.commands.places import choices_option
from central.commands.shell import act, as_json, readable, say, say_json, say_rows, table_in, who_option
from central.config import Config
from protocol.wire import LAST_MS

OF_REPLAY = "at_ms gate member was was_reason would would_reason would_rule event"
OF_CHANGE = "was was_reason would would_reason taps"
OF_CHARGE = "at_ms gate member points due visits event"
MOST_SHOWN = 50

why_option = click.option("--why", required=True, help="Why; it is kept with the name of who says so.")


# --- clocks ---------------------------------------------------------------------------------------------------------


@click.group()
def clock() -> None:
    """Clocks of devices that were off."""


@clock.command("offset")
@click.argument("device")
@click.option("--from", "from_ms", type=Instant(), required=True, help="Since when, as the device's own clock said.")
@click.option("--until", "until_ms", type=Instant(), required=True, help="Until when, likewise, excluded.")
@click.option("--ms", type=int, required=True, help="By how many milliseconds it was ahead; below 0: behind.")
@why_option
@who_option
@as_json
@click.pass_obj
def clock_offset(settings: Config, /, as_json: bool, **values: Any) -> None:
    """State by how much a device's clock was off over a range. Events stay; they are judged and explained by it.

    A later statement about the same range holds; --ms 0 takes one back.

    Example: tapgate-central clock offset door-1 --from 2026-01-31T08:00 --until 2026-02-01T08:00 --ms 3600000 --why tz
    """
    say(act(settings, "clock.offset", values, bar=True), as_json)


# --- policies -------------------------------------------------------------------------------------------------------


@click.command("check")
@click.argument("file", type=readable)
@click.option("--policy", "policy_id", default="", help="Also whether the gates of this policy can evaluate it.")
@choices_option
@as_json
@click.pass_obj
def policy_check(settings: Config, file: Path, policy_id: str, choices: bool, as_json: bool) -> None:
    """Whether FILE could be put as a policy: it can work, no rule stands in another's way, gates can evaluate it.

    Example: tapgate-central policy check library.toml --policy library
    """
    values = {"body": table_in(file, "a policy"), "id": policy_id, "choices": choices}
    say(act(settings, "policy.check", values), as_json)


def _period(command: Any) -> Any:
    command = click.option("--until", "until_ms", type=Instant(), default=LAST_MS, help="Excluded; not given: now.")(
        command
    )
    command = click.option("--since", "since_ms", type=Instant(), required=True, help="The first moment.")(command)
    command = click.option("--policy", "policy_id", required=True, help="Whose gates' taps.")(command)
    return click.argument("file", type=readable)(command)


@click.command("replay")
@_period
@click.option("--list", "show", type=click.IntRange(0), default=0, help="Also so many of those treated differently.")
@as_json
@click.pass_obj
def policy_replay(
    settings: Config, file: Path, policy_id: str, since_ms: int, until_ms: int, show: int, as_json: bool
) -> None:
    """What if FILE had been the policy: who would have been treated differently. Nothing is changed.

    Past taps of the gates that go by the policy are decided again, each with the entry that its gate's list had, and
    with a history in which who would not have been admitted leaves no mark.

    Example: tapgate-central policy replay new.toml --policy pool --since 2026-01-01 --list 20
    """
    listed: list[Any] = []
    values = {"id": policy_id, "body": table_in(file, "a policy"), "since_ms": since_ms, "until_ms": until_ms}
    found = act(settings, "policy.replay", {**values, "show": show}, bar=True, on_items=listed.extend)
    if as_json:
        say_json({**found, "list": listed})
        return
    if listed:
        say_rows(listed, as_json, columns=OF_REPLAY)
    say_rows(found["changed"], as_json, "Nobody would have been treated differently.", OF_CHANGE)
    click.echo(
        f"{found['taps']:,} taps, {found['different']:,} of {found['members']:,} members otherwise;"
        f" {found['points']:+,} points, NT${found['due']:+,}."
        f" {found['repeats']:,} repeated the one before; of {found['untold']:,} it cannot be said."
    )


@click.command("correct")
@_period
@click.option("--apply", is_flag=True, help="Book it; without this it is only shown.")
@why_option
@who_option
@as_json
@click.pass_obj
def policy_correct(
    settings: Config,
    file: Path,
    policy_id: str,
    since_ms: int,
    until_ms: int,
    apply: bool,
    why: str,
    who: str,
    as_json: bool,
) -> None:
    """Book the difference between what taps charged and what the corrected policy in FILE would have.

    Without --apply it lists whom it touches. An entry that would have been denied counts as a visit no more; its charge
    stays. Who was denied did not come in, so nothing is booked of them. Safe to repeat: what was corrected is not
    corrected again.

    Example: tapgate-central policy correct right.toml --policy pool --since 2026-01-01 --until 2026-01-08 --why typo
    """
    touched: list[Any] = []

    def on_items(items: Sequence[Any]) -> None:
        touched.extend(items)

    values = {"id": policy_id, "body": table_in(file, "a policy"), "since_ms": since_ms, "until_ms": until_ms}
    said = {"why": why, "who": who, "apply": apply}
    found = act(settings, "policy.correct", {**values, **said}, bar=True, on_items=on_items)
    if as_json:
        say_json({**found, "list": touched})
        return
    say_rows(touched[:MOST_SHOWN], as_json, "No charge would have been another, and no visit.", OF_CHARGE)
    if len(touched) > MOST_SHOWN:
        click.echo(f"… and {len(touched) - MOST_SHOWN:,} more: --json lists all.")
    done = "Booked" if found["applied"] else "Not booked yet (--apply)"
    click.echo(
        f"{done}: {found['corrected']:,} of {found['taps']:,} taps, {found['members']:,} members,"
        f" {found['points']:+,} points, NT${found['due']:+,}, {found['visits']:+,} visits;"
        f" {found['not_charged']:,} would have had another answer."
    )
