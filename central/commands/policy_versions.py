"""Of `policy`: `list`, `history`, `diff`."""

from pathlib import Path
from typing import Any

import click

from central.commands.shell import act, as_json, readable, say_json, say_page, table_in
from central.config import Config

LISTED = "id version at_ms rules gates first_gates rollout rollout_state"
OF_VERSIONS = "version at_ms everywhere_ms first_gates is_in_force added removed rollout"
MARKS = {"added": "+", "removed": "-", "same": " ", "gap": "…"}


@click.command("list")
@click.option("--after", default="", help="`next` of the page before.")
@as_json
@click.pass_obj
def policy_list(settings: Config, after: str, as_json: bool) -> None:
    """Policies, how many gates go by each, and the rollout that is under way.

    Example: tapgate-central policy list
    """
    listed = act(settings, "policy.list", {"after": after})
    say_page(listed, "policies", as_json, "No policy yet: `tapgate-central policy put`.", LISTED)


@click.command("history")
@click.argument("policy_id", metavar="POLICY")
@click.option("--after", default="", help="`next` of the page before.")
@as_json
@click.pass_obj
def policy_history(settings: Config, policy_id: str, after: str, as_json: bool) -> None:
    """Every version that was put in force, the newest first, and by how many lines each differs.

    Example: tapgate-central policy history library
    """
    listed = act(settings, "policy.history", {"id": policy_id, "after": after})
    say_page(listed, "versions", as_json, "", OF_VERSIONS)


@click.command("diff")
@click.argument("policy_id", metavar="POLICY")
@click.argument("file", type=readable, required=False)
@click.option("--from", "version", default=0, help="A version; not given: the one in force everywhere.")
@click.option("--to", default=0, help="A version, in place of FILE.")
@as_json
@click.pass_obj
def policy_diff(settings: Config, policy_id: str, file: Path | None, version: int, to: int, as_json: bool) -> None:
    """What differs between two versions, or between one and FILE, as lines.

    Example: tapgate-central policy diff library library.toml
    """
    if (file is None) == (to == 0):
        raise click.UsageError("state FILE or --to VERSION: one of the two")
    values: dict[str, Any] = {"id": policy_id, "version": version, "to": to}
    if file is not None:
        values["body"] = table_in(file, "a policy")
    found = act(settings, "policy.diff", values)
    if as_json:
        return say_json(found)
    for line in found["lines"]:
        click.echo(f"{MARKS[line['kind']]} {line['text']}".rstrip())
    if not found["lines"]:
        click.echo("Nothing differs.")
    return None


COMMANDS = (policy_list, policy_history, policy_diff)
