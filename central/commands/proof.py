"""`proof`, and `verify FILE`: proofs of single events."""

import base64
from pathlib import Path
from typing import Any

import click

from central.commands.shell import act, as_json, fail, say_json
from central.config import Config
from central.files import replace_file
from protocol.proof import MAX_PROOF_BYTES, Check, Finding
from protocol.proof_check import check_file

ROOT_DIGITS = 64


class Root(click.ParamType[bytes]):
    """A public root key in hex, or the file that holds it."""

    name = "root"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        text = str(value)
        try:
            if len(text) != ROOT_DIGITS and Path(text).is_file():
                text = Path(text).read_text(encoding="ascii").strip()
            root = bytes.fromhex(text)
        except (ValueError, OSError):
            root = b""
        if len(root) * 2 != ROOT_DIGITS:
            self.fail(f"{value!r} is no root: {ROOT_DIGITS} hex digits, or the file root.public", param, ctx)
        return root


@click.command()
@click.argument("event", metavar="EVENT")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--batch", default="", help="The digest of one of the batches that hold it; not given: the first.")
@click.option("--personal", is_flag=True, help="With the personal part, which says whose tap it was.")
@as_json
@click.pass_obj
def proof(settings: Config, event: str, file: Path, batch: str, personal: bool, as_json: bool) -> None:
    """Write a proof of EVENT (DEVICE/EPOCH/SEQUENCE) to FILE, which `verify FILE` checks on any machine.

    It holds the event and its batch as the device signed them, this server's receipt, and the keys up to the root.

    Example: tapgate-central proof library-1-door-1/5f3a9c0b1d2e4f60/41 tap.proof
    """
    made = act(settings, "proof.make", {"event": event, "batch": batch, "personal": personal})
    data = base64.b64decode(made.pop("file"))
    try:
        replace_file(file, data)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    if as_json:
        say_json({"written": str(file), "bytes": len(data), **made})
        return
    click.echo(f"{file}: {len(data):,} bytes. Check it: tapgate-central verify {file} --root ROOT")
    if not made["holds"]:
        click.echo("It does not prove the event; what does not hold:")
        for check in made["checks"]:
            if check["finding"] != Finding.HOLDS:
                click.echo(f"  {check['step']}: {_printable(check['said'])}")


def verify_file(file: Path, root: bytes | None, as_json: bool) -> None:
    """Print each step of the check. Ends the program with 1 where one does not hold."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_PROOF_BYTES + 1)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    found = check_file(data, root)
    if as_json:
        steps = [{"step": each.step, "finding": each.finding, "said": each.said()} for each in found.checks]
        say_json({"holds": found.holds, "checks": steps})
    else:
        for check in found.checks:
            click.echo(_line(check))
    if not found.holds:
        failed = [check.step.value for check in found.checks if check.finding is Finding.FAILS]
        fail(f"{file} does not prove its event: {', '.join(failed)}")
    if not as_json:
        trusted = "" if root else " if the root is the one that you trust"
        click.echo(f"The event is proven{trusted}.")


def _line(check: Check) -> str:
    mark = {Finding.HOLDS: "holds      ", Finding.FAILS: "FAILS      ", Finding.NOT_CHECKED: "not checked"}
    return f"{mark[check.finding]}  {check.step.value:<9} {_printable(check.said())}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)  # a file's words must not steer a terminal
