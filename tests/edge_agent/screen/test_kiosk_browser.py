"""The kiosk's browser: how it is started, that it waits for the agent, and that it is kept running."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from edge_agent import config
from edge_agent.screen import kiosk as kiosk_module
from edge_agent.screen.kiosk import FLAGS, NoBrowser, find_browser, keep_running, kiosk_command, prepare
from tests.edge_agent.screen.conftest import ARGUMENTS, CHROMIUM, PATIENCE_MS, mode
from tests.edge_agent.screen.kiosk import Kiosk, kiosk

ROOT = Path(__file__).parents[3]
PATIENCE_S = 20.0


def settings(folder: Path, more: str = "[screen]\nport = 8461\n") -> Path:
    path = folder / "edge.toml"
    path.write_text(f'data_dir = "edge"\n{more}')
    return path


def tapgate(path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "edge_agent", "--config", str(path), "kiosk", *arguments]
    environ = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


def test_it_is_full_screen_may_sound_and_remembers_nothing(tmp_path: Path) -> None:
    command = kiosk_command(8460, "/usr/bin/chromium", tmp_path)
    assert command[0] == "/usr/bin/chromium"
    assert {"--kiosk", "--incognito", "--autoplay-policy=no-user-gesture-required"} <= set(command)
    assert "--no-sandbox" not in command
    assert command[-1] == f"--app=file://{tmp_path}/tapgate-kiosk/waiting/index.html#8460"


def test_the_command_says_what_it_would_start(tmp_path: Path) -> None:
    found = tapgate(settings(tmp_path), "--browser", "/opt/my browser", "--print", HOME=str(tmp_path))
    assert (found.returncode, found.stderr) == (0, "")
    assert shlex.split(found.stdout) == kiosk_command(8461, "/opt/my browser", tmp_path)


@pytest.mark.parametrize(
    ("more", "path", "why"),
    [("", os.environ["PATH"], "no [screen] in the settings"), ("[screen]\n", "/nowhere", "apt install chromium")],
)
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, more: str, path: str, why: str) -> None:
    found = tapgate(settings(tmp_path, more), "--print", PATH=path)
    assert (found.returncode, len(found.stderr.splitlines())) == (1, 1)
    assert why in found.stderr


@pytest.mark.parametrize("wrong", ["port = 80", "port = 65536", 'port = "8460"', 'host = "0.0.0.0"'])
def test_the_page_is_served_on_loopback_and_on_a_port_that_needs_no_root(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(config.ConfigError, match=wrong.split(maxsplit=1)[0]):
        config.load(settings(tmp_path, f"[screen]\n{wrong}\n"))


def test_without_a_screen_in_the_settings_there_is_none(tmp_path: Path) -> None:
    assert config.load(settings(tmp_path, "")).screen is None
    found = config.load(settings(tmp_path, "[screen]\n")).screen
    assert found is not None
    assert found.port == 8460


def test_the_first_browser_that_is_installed_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBrowser):
        find_browser()
    for name in ("google-chrome", "chromium-browser"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert find_browser() == str(tmp_path / name)


def test_a_browser_that_ends_is_started_again_and_ends_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kiosk_module, "AGAIN_S", 0.01)
    told = tmp_path / "told"
    script = f"echo $$ >> {told}; [ $(wc -l < {told}) -lt 3 ] || exec sleep 600"
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(["sh", "-c", script], stop))
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not told.exists() or len(told.read_text().split()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text().split()[2]), 0)


def test_the_command_passes_its_end_on_to_the_browser(tmp_path: Path) -> None:
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")
    browser.chmod(0o755)
    command = [sys.executable, "-m", "edge_agent", "--config", str(settings(tmp_path)), "kiosk", "--browser", browser]
    running = subprocess.Popen(command, env={**os.environ, "HOME": str(tmp_path)})
    deadline = time.monotonic() + PATIENCE_S
    while not told.exists() or not told.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    assert running.wait(PATIENCE_S) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
    assert {path.name for path in (tmp_path / "tapgate-kiosk" / "waiting").iterdir()} == {
        *("index.html", "waiting.css", "waiting.js")
    }


@pytest.mark.system
@pytest.mark.xdist_group("screen-agent")
async def test_it_waits_for_an_agent_that_comes_late(tmp_path: Path, shots: Path) -> None:
    """From the file, with the flags it is started with: an agent that is not enrolled yet serves nothing."""
    prepare(tmp_path)
    early = Kiosk(tmp_path / "early")
    await early.start()
    port = early.port
    await early.close()
    flags = [flag for flag in FLAGS if flag != "--kiosk"]
    page_flag = kiosk_command(port, CHROMIUM, tmp_path)[-1].removeprefix("--app=")
    async with async_playwright() as playwright:
        browser: Browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *flags])
        page = await browser.new_page(viewport={"width": 1024, "height": 768})
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(page_flag)
        assert "閘門尚未啟用" in await page.inner_text("main")
        shots.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=shots / "waiting.png")
        async with kiosk(tmp_path / "edge", port=port) as gate:
            await page.wait_for_url(f"{gate.url}/")
            await mode(page, "ready")
        await browser.close()


def test_what_starts_it_at_boot_starts_this_command() -> None:
    folder = ROOT / "deploy" / "kiosk"
    command = "/opt/tapgate/bin/tapgate-edge --config /etc/tapgate/edge.toml kiosk"
    assert f"ExecStart=/usr/bin/cage -s -- {command}\n" in (folder / "tapgate-kiosk.service").read_text()
    assert f"Exec={command}\n" in (folder / "tapgate-kiosk.desktop").read_text()
