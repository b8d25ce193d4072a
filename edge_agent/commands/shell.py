"""What every command has in common: the settings, answers for a person or a script, honest exit codes.

Exit codes: 0 done, 1 not done (one line on standard error says why), 2 wrong usage.
"""

import functools
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from edge_agent import config
from edge_agent.commands import DEFAULT_CONFIG
from edge_agent.commands.log import to_stderr

PROGRAM = "tapgate-edge"

LANGUAGES = ("zh-TW", "en")


def _language_of_the_shell() -> str:
    """zh-TW for any Chinese one, else English: as gettext chooses, by the first variable that is set."""
    told = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return "zh-TW" if told.startswith("zh") else "en"


language = click.option(
    "--lang", type=click.Choice(LANGUAGES), default=_language_of_the_shell, help="Default: the shell's (LANG)."
)
as_json = click.option("--json", "as_json", is_flag=True, help="One line of JSON, for scripts.")


def this_program(config_path: Path) -> str:
    """How a person calls this program for these settings, also where it is on nobody's PATH."""
    beside = Path(sys.executable).with_name(PROGRAM)
    program = str(beside) if beside.exists() else PROGRAM
    return (
        program if config_path == DEFAULT_CONFIG else f"{program} --config {shlex.quote(str(config_path.absolute()))}"
    )


def fail(why: str) -> NoReturn:
    """One line to standard error, exit code 1."""
    click.echo(f"{PROGRAM}: {why}", err=True)
    sys.exit(1)


def say(data: Any, as_json: bool) -> None:
    """JSON for a script, a table for a person."""
    if as_json:
        click.echo(json.dumps(data))
        return
    width = max(map(len, data))
    for key, value in data.items():
        lines = [_short(item) for item in value] if isinstance(value, list) else [_short(value)]
        for number, line in enumerate(lines or ["–"]):
            click.echo(f"{'' if number else key.replace('_', ' '):<{width}}  {line}")


def _short(value: Any) -> str:
    """One line. Of a map, what is not so is left out."""
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        named = [(key.replace("_", " "), item) for key, item in value.items() if item not in (None, "", [], {}, False)]
        return ", ".join(key if item is True else f"{key} {_short(item)}" for key, item in named) or "–"
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The settings as first argument, read when the command runs: help needs no file."""

    @click.pass_obj
    @functools.wraps(command)
    def run_command(config_path: Path, /, **options: Any) -> None:
        command(settings_of(config_path), **options)

    return run_command


def settings_of(config_path: Path) -> config.Config:
    """The settings, or one line and exit code 1. From here on the log is no part of what the command says."""
    to_stderr("error")
    try:
        return config.load(config_path)
    except config.ConfigError as error:
        fail(str(error))


def not_running(settings: config.Config) -> list[dict[str, str]]:
    """The configured readers, of whose state nothing is known."""
    why = "the agent does not run"
    return [{"name": r.name, "kind": r.kind, "state": "unknown", "why": why} for r in settings.readers]
