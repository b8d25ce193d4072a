"""The kiosk's browser: how it is started, and kept running."""

import shutil
import subprocess
import threading
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOLDER = "tapgate-kiosk"
"""In the home of whoever runs it: a browser that is packed as a snap reads nothing else."""
AGAIN_S = 2.0
FLAGS = (
    "--kiosk",
    "--incognito",  # no history, no cache and no offer to restore pages: it may run for years
    "--autoplay-policy=no-user-gesture-required",  # tones before anybody touched the screen
    "--no-first-run",
    "--noerrdialogs",
    "--disable-pinch",
    "--overscroll-history-navigation=0",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-translate",
    "--disable-features=Translate,MediaRouter",
    "--password-store=basic",
    "--disk-cache-size=1",
)


class NoBrowser(Exception):
    """None of the browsers is installed."""


def find_browser() -> str:
    """The full path of the first one that is there. Raises NoBrowser."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise NoBrowser(f"none of {', '.join(BROWSERS)} is installed: apt install chromium")
    return found


def kiosk_command(port: int, browser: str = "chromium", home: Path | None = None) -> list[str]:
    """Full screen, by way of a page in a file, which waits for the agent: a browser that meets nobody at its first
    address shows an error for ever. `home`: of the user that runs it; see `prepare`."""
    folder = (home or Path.home()) / FOLDER
    page = (folder / "waiting" / "index.html").as_uri()
    return [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--app={page}#{port}"]


def prepare(home: Path | None = None) -> None:
    """Put the waiting page where the browser can read it. Raises OSError."""
    folder = (home or Path.home()) / FOLDER / "waiting"
    folder.mkdir(parents=True, exist_ok=True)
    for file in resources.files("edge_agent.screen").joinpath("waiting").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


def keep_running(command: Sequence[str], stop: threading.Event) -> None:
    """A browser that ends, however it did, is started again. Until `stop`."""
    while not stop.is_set():
        browser = subprocess.Popen(command)
        try:
            while browser.poll() is None and not stop.wait(0.2):
                pass
        finally:
            if browser.poll() is None:
                browser.terminate()
            browser.wait()
        stop.wait(AGAIN_S)
