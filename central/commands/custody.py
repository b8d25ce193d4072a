"""`log`, `evidence`, `verify`, `journal`, `backup`, `restore`."""

import datetime as dt
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from central import operate
from central.access.caller import on_this_machine
from central.actions.custody.restore import restore as restore_backup
from central.commands.proof import Root, verify_file
from central.commands.shell import (
    act,
    as_json,
    fail,
    finish,
    progress_bar,
    readable,
    say,
    say_json,
    say_problems,
    say_rows,
)
from central.config import Config
from central.details import in_words
from central.keys import Keys
from central.only_writer import only_writer


class Instant(click.ParamType[int]):
    """A time in ISO 8601; without an offset, in this machine's time zone. Becomes UTC milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return int(dt.datetime.fromisoformat(value).astimezone(dt.UTC).timestamp() * 1_000)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-01-31T08:00 or 2026-01-31T08:00+08:00", param, ctx)


@click.command()
@click.option("--device", default="", help="Only of one device.")
@click.option("--kind", default="", help="gap, fork, loss, broken-chain, other-device, other-epoch or alarm.")
@as_json
@click.pass_obj
def evidence(settings: Config, device: str, kind: str, as_json: bool) -> None:
    """What contradicts or is missing: gaps, forks, losses, refused batches, alarms. None of it is ever discarded.

    Example: tapgate-central evidence --kind fork
    """
    found = act(settings, "evidence", {"device": device, "kind": kind})["evidence"]
    say_rows(
        found, as_json, "No evidence: nothing contradicts and nothing is missing.", "at_ms kind device seen detail"
    )


@click.command()
@click.option("--gate", default="", help="Only of one gate.")
@click.option("--device", default="", help="Only of one device.")
@click.option("--kind", default="", help="tap, passage, admit, undo, reader, input, config, store, start, …")
@click.option("--decision", type=click.Choice(["", "granted", "denied"]), default="", help="Only such taps.")
@click.option("--since", type=Instant(), default=0, help="From this time on.")
@click.option("--until", type=Instant(), default=0, help="Before this time.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="The newest so many; 0 = all.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until stopped.")
@as_json
@click.pass_obj
def log(settings: Config, /, since: int, until: int, as_json: bool, **values: Any) -> None:
    """Events in custody, oldest first. With --json one line an event.

    A line ends with the event's name, device/epoch/sequence; `#41` in it is event 41 of the same epoch.

    Example: tapgate-central log --gate library-1-door --since 2026-01-31T08:00 --decision denied
    """

    def on_items(lines: Sequence[Any]) -> None:
        if as_json:
            sys.stdout.buffer.write(msgspec.json.Encoder().encode_lines(lines))
            sys.stdout.buffer.flush()
        else:
            for line in lines:
                click.echo(_log_text(line))

    try:
        act(settings, "log", {**values, "since_ms": since, "until_ms": until}, on_items=on_items)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(0)


def _log_text(line: dict[str, Any]) -> str:
    said = [line["kind"], line["direction"], line["decision"], line["reason"], line["rule"]]
    said.append(in_words(line["kind"], line["detail"]))
    repeat = ["repeat"] if line["repeat_of"] else []
    odd = [f"[{line['outcome']}]"] if line["outcome"] != "accepted" else []
    where = f"{line['device']}/{line['epoch']}/{line['sequence']}"
    text = " ".join([line["time"], line["gate"], *filter(None, said), *repeat, *odd, where])
    return "".join(c if c.isprintable() else "\ufffd" for c in text)  # a device's words must not steer a terminal


@click.command()
@click.argument("file", type=readable, required=False)
@click.option("--root", type=Root(), default=None, help="Of a proof: the root that you trust, or its file root.public.")
@as_json
@click.pass_obj
def verify(settings: Config, file: Path | None, root: bytes | None, as_json: bool) -> None:
    """Check every signature, chain, receipt, list and seal that is held. 0 = whole, 1 = what is wrong, a line each.

    With FILE, the proof of one event that `proof` wrote, or the console: on any machine, without a database or keys.
    Each step is told. 0 = the event is proven, provided that the root is the one you trust: state it with --root.

    Example: tapgate-central verify tap.proof --root root.public
    """
    if file is not None:
        verify_file(file, root, as_json)
        return
    if root is not None:
        raise click.UsageError("--root is for a proof: state its FILE")

    result = act(settings, "verify", {}, bar=True, on_items=partial(say_problems, as_json=as_json))
    if as_json:
        say_json({"whole": not result["problems"], **result})
    else:
        looked_at = ", ".join(f"{number:,} {what}" for what, number in result["checked"].items())
        click.echo(f"{'Whole' if not result['problems'] else 'NOT whole'}: {looked_at}.")
    if result["problems"]:
        fail(f"{result['problems']} things are not whole")


@click.group()
def journal() -> None:
    """Journals that did not come over the network."""


@journal.command("import")
@click.argument("file", type=readable)
@as_json
@click.pass_obj
def journal_import(settings: Config, file: Path, as_json: bool) -> None:
    """Take a device's exported journal into custody, as itself. Safe to repeat.

    Example: tapgate-central journal import library-1-door.journal
    """

    def on_items(batches: Sequence[Any]) -> None:
        if not as_json:
            for batch in batches:
                why = f": {batch['why']}" if batch["why"] else ""
                click.echo(f"batch {batch['batch']}: {batch['outcome']}, {batch['events']} new events{why}")

    result = act(settings, "journal.import", {}, file=file, bar=True, on_items=on_items)
    say(result, as_json)
    if result["refused"]:
        fail(f"{result['refused']} of {result['batches']} batches are not in custody")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--compression", type=click.Choice(["zlib", "none"]), default="zlib", show_default=True)
@as_json
@click.pass_obj
def backup(settings: Config, file: Path, compression: str, as_json: bool) -> None:
    """Write everything but the keys to FILE, as of one instant; a running server goes on.

    Example: tapgate-central backup /srv/backup/central-$(date +%F).backup
    """
    values = {"path": str(file.absolute()), "compression": compression}
    say(act(settings, "backup", values, bar=True), as_json)


@click.command()
@click.argument("file", type=readable)
@click.option("--replace", is_flag=True, help="Move the database that is there aside; it is never deleted.")
@as_json
@click.pass_obj
def restore(settings: Config, file: Path, replace: bool, as_json: bool) -> None:
    """Restore a backup, while no server runs. Devices then send again what the backup lacks.

    Example: tapgate-central restore /srv/backup/central-2026-01-31.backup --replace
    """

    async def work() -> dict[str, Any]:
        with only_writer(settings), progress_bar(True) as show:
            operate.require_keys(settings)
            keys = Keys(settings.keys_dir)
            caller = on_this_machine(operate.user_name(), "command line")
            done = await restore_backup(
                settings, keys, file, operate.now_ms(), replace=replace, progress=show, caller=caller
            )
            return dict(msgspec.to_builtins(done))

    result = finish(work())
    say(result, as_json)
    if not as_json:
        click.echo("What people did since the backup is not in it: repeat blocks, imports, revocations, enrolments.")
