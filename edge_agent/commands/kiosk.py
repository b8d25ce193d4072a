"""`tapgate-edge kiosk`."""

import shlex
import signal
import threading

import click

from edge_agent import config
from edge_agent.commands.shell import fail, with_settings
from edge_agent.screen.kiosk import NoBrowser, find_browser, keep_running, kiosk_command, prepare


@click.command()
@click.option("--browser", help="The browser's path; default: the first Chromium or Chrome that is installed.")
@click.option("--print", "prints", is_flag=True, help="Say the command line and start nothing.")
@with_settings
def kiosk(settings: config.Config, browser: str | None, prints: bool) -> None:
    """Show this gate's screen in a full-screen browser, and start it again should it end. Not as root.

    Needs [screen] in the settings. deploy/kiosk/ has what starts it at boot.

    Example: tapgate-edge kiosk
    """
    if settings.screen is None:
        fail("there is no [screen] in the settings: the agent serves no page")
    try:
        command = kiosk_command(settings.screen.port, browser or find_browser())
        if prints:
            click.echo(shlex.join(command))
            return
        prepare()
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, lambda *_: stop.set())
        keep_running(command, stop)
    except (NoBrowser, OSError) as error:
        fail(str(error))
