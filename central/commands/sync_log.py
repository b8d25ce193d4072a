"""`sync …`: what devices sent as it came, one batch, events by page, one event, a device's timeline."""

from typing import Any

import click

from central.commands.custody import Instant
from central.commands.shell import act, as_json, say, say_json, say_rows, text_of
from central.config import Config

_since = click.option("--since", type=Instant(), default=0, help="From this time on.")
_until = click.option("--until", type=Instant(), default=0, help="Before this time.")
_limit = click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="A page of so many.")
_after = click.option("--after", default="", help="What the page before said as `next`.")
_text = click.option("--text", default="", help="An event, an epoch, a device, a gate or a venue by its name.")
_BATCH = "received_ms device epoch first through outcome events bytes resent delay detail"
_EVENT = "at_ms gate kind direction decision reason outcome event"


@click.group()
def sync() -> None:
    """The sync log: what came from devices, as it came."""


@sync.command("batches")
@click.option("--venue", default="", help="Only of one venue.")
@click.option("--gate", default="", help="Only of one gate.")
@click.option("--device", default="", help="Only of one device.")
@click.option(
    "--outcome", default="", help="accepted, untrusted, forked, resent, gap, fork, loss, … or odd: all of these."
)
@_text
@_since
@_until
@_limit
@_after
@as_json
@click.pass_obj
def batches(settings: Config, /, since: int, until: int, as_json: bool, **values: Any) -> None:
    """Batches and evidence, the newest first.

    Example: tapgate-central sync batches --outcome odd --since 2026-01-31T08:00
    """
    found = act(settings, "batch.list", {**values, "since_ms": since, "until_ms": until})
    _page(found, "batches", as_json, "Nothing came that fits.", _BATCH)


@sync.command("batch")
@click.argument("device")
@click.argument("epoch")
@click.argument("first", type=click.IntRange(min=0))
@click.option("--digest", default="", help="Of its envelope, where several begin there.")
@click.option("--raw", is_flag=True, help="With the signed bytes, in hex.")
@as_json
@click.pass_obj
def batch(settings: Config, /, as_json: bool, **values: Any) -> None:
    """One batch: its events as they were signed, its receipt, and a check of both.

    Example: tapgate-central sync batch library-1-door-1 5f3a9c0b1d2e4f60 0
    """
    found = act(settings, "batch.show", values)
    if as_json:
        say_json(found)
        return
    say({**_spoken(found["batch"]), "lost": found["lost"], "head": found["head"], "key": found["key"]}, as_json=False)
    _checks(found["checks"])
    say_rows(found["events"], False, "", "sequence at_ms gate kind decision reason custody why")
    if found["raw"]:
        click.echo(found["raw"])


@sync.command("events")
@click.option("--venue", default="", help="Only of one venue.")
@click.option("--gate", default="", help="Only of one gate.")
@click.option("--device", default="", help="Only of one device.")
@click.option("--kind", default="", help="tap, passage, admit, undo, reader, input, config, store, start, …")
@click.option("--decision", type=click.Choice(["", "granted", "denied"]), default="", help="Only such taps.")
@click.option("--reason", default="", help="Only of one reason code.")
@click.option("--outcome", default="", help="accepted, held, refused or untrusted.")
@_text
@_since
@_until
@_limit
@_after
@as_json
@click.pass_obj
def events(settings: Config, /, since: int, until: int, as_json: bool, **values: Any) -> None:
    """Events by page, the newest first; `log` streams them.

    Example: tapgate-central sync events --gate library-1-door --reason unknown-card
    """
    found = act(settings, "event.list", {**values, "since_ms": since, "until_ms": until})
    _page(found, "events", as_json, "No event fits.", _EVENT)


@sync.command("event")
@click.argument("event", metavar="EVENT")
@click.option("--batch", default="", help="The digest of one of the batches that hold it.")
@as_json
@click.pass_obj
def event(settings: Config, /, as_json: bool, **values: Any) -> None:
    """One event: its signed bytes, its receipt, what the gate held, and each step of its check.

    EVENT is DEVICE/EPOCH/SEQUENCE. `explain` says why it was decided so.

    Example: tapgate-central sync event library-1-door-1/5f3a9c0b1d2e4f60/41
    """
    found = act(settings, "event.show", values)
    if as_json:
        say_json(found)
        return
    say({**found["event"], "personal": found["personal"], "signed_bytes": found["public"]}, as_json=False)
    _checks(found["checks"])


@sync.command("timeline")
@click.argument("device")
@_since
@_until
@as_json
@click.pass_obj
def timeline(settings: Config, device: str, since: int, until: int, as_json: bool) -> None:
    """What came from a device, epoch by epoch: what is missing, forked, late or came again.

    Example: tapgate-central sync timeline library-1-door-1
    """
    found = act(settings, "device.timeline", {"device": device, "since_ms": since, "until_ms": until})
    if as_json:
        say_json(found)
        return
    rows = [{"epoch": each["epoch"], **_spoken(run)} for each in found["epochs"] for run in each["runs"]]
    say_rows(
        rows, False, "Nothing came in that time.", "epoch kind first through from_ms until_ms batches resent delay"
    )


def _page(found: dict[str, Any], name: str, as_json: bool, nothing: str, columns: str) -> None:
    if as_json:
        say_json(found)
        return
    say_rows([_spoken(row) for row in found[name]], False, nothing, columns)
    if found["searched_ms"]:
        click.echo(f"Looked back to {text_of('searched_ms', found['searched_ms'])}; further: --after {found['next']}")
    elif found["next"]:
        click.echo(f"More: --after {found['next']}")


def _spoken(row: dict[str, Any]) -> dict[str, Any]:
    """Lengths of time in seconds: what ends in `_ms` is shown as a moment."""
    lengths = {name.removesuffix("_ms"): f"{row[name] / 1_000:g} s" for name in ("delay_ms", "ahead_ms") if name in row}
    return {name: value for name, value in row.items() if name.removesuffix("_ms") not in lengths} | lengths


def _checks(checks: list[dict[str, Any]]) -> None:
    for check in checks:
        said = "".join(letter if letter.isprintable() else "\ufffd" for letter in check["said"])
        click.echo(f"{check['finding']:<11}  {check['step']:<9} {said}")
