"""`tapgate-edge`: the agent's command line."""

from pathlib import Path
from pkgutil import resolve_name

import click

from edge_agent import __version__
from edge_agent.commands import DEFAULT_CONFIG

COMMANDS = {
    "enrol": "enrolment:enrol",
    "run": "running:run",
    "status": "looking:show_status",
    "readers": "readers:readers",
    "decide": "looking:decide",
    "journal": "journal:journal",
    "inside": "inside:inside",
    "doctor": "doctor:doctor",
    "setup": "setup:setup",
    "kiosk": "kiosk:kiosk",
}
"""Name of a command to its module in `edge_agent.commands` and the object in it."""


class Commands(click.Group):
    """Loads the module of a command when it is used: a gate is a small machine, and most commands need little."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = resolve_name(f"edge_agent.commands.{COMMANDS[cmd_name]}")
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    envvar="TAPGATE_EDGE_CONFIG",
    help="The settings file.",
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context, config_path: Path) -> None:
    """The Tapgate agent: decides card taps at a gate, offline, and delivers them to central.

    Example: tapgate-edge --config /etc/tapgate/edge.toml status
    """
    context.obj = config_path


def main() -> None:
    """The entry point."""
    cli(prog_name="tapgate-edge")


if __name__ == "__main__":
    main()
