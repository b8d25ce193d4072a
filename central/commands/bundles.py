"""`device bundle`."""

import base64
from pathlib import Path

import click

from central.commands.shell import act, as_json, fail, say, say_rows
from central.config import Config

SHOWN = "bundle device state who asked_ms arrived_ms size"


@click.group()
def bundle() -> None:
    """Support bundles: what a device tells of itself when it is asked, without cards, keys and PINs."""


@bundle.command("ask")
@click.argument("device_id", metavar="DEVICE")
@click.option("--who", default="", help="Who wants it.")
@as_json
@click.pass_obj
def ask(settings: Config, device_id: str, who: str, as_json: bool) -> None:
    """Ask a device for one. It comes within half a minute where the device is connected.

    Example: tapgate-central device bundle ask library-1-door-5f3a9c0d1b2e4f60
    """
    found = act(settings, "bundle.ask", {"device": device_id, "who": who})
    say(found if as_json else found["bundle"], as_json)


@bundle.command("list")
@click.option("--device", default="", help="Only those of one device.")
@as_json
@click.pass_obj
def list_(settings: Config, device: str, as_json: bool) -> None:
    """What was asked for, the newest first, and whether it came.

    Example: tapgate-central device bundle list
    """
    found = act(settings, "bundle.list", {"device": device, "most": 200})["bundles"]
    say_rows(found, as_json, "None was asked for: `tapgate-central device bundle ask DEVICE`.", SHOWN)


@bundle.command("fetch")
@click.argument("bundle_id", metavar="BUNDLE")
@click.option("--out", type=click.Path(path_type=Path), help="Where to; not given = here, under its own name.")
@as_json
@click.pass_obj
def fetch(settings: Config, bundle_id: str, out: Path | None, as_json: bool) -> None:
    """Write one to a file, a compressed tar archive. It is kept for a week.

    Example: tapgate-central device bundle fetch 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --out bundle.tar.gz
    """
    found = act(settings, "bundle.fetch", {"bundle": bundle_id})
    path = out if out is not None else Path(found["name"])
    try:
        path.write_bytes(base64.b64decode(found["content"]))
    except OSError as error:
        fail(f"{path}: {error.strerror or error}")
    say({"bundle": bundle_id, "file": str(path), "size": found["bundle"]["size"]}, as_json)
