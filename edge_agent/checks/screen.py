"""The kiosk screen: is the page served, is there a browser to show it, and type to write Chinese with?"""

import http.client
import socket
from collections.abc import Iterator

from edge_agent.checks import Check, Said, Subject, Verdict, fail, not_applicable, not_known, ok, same, warn
from edge_agent.commissioning.installation import KIOSK, KIOSK_UNIT
from edge_agent.commissioning.unit import UNIT
from edge_agent.screen.kiosk import BROWSERS

HOST = "127.0.0.1"
ANSWER_S = 2.0
NO_SCREEN = Said("這個閘門沒有設定螢幕", "no screen is configured at this gate")


def page(subject: Subject) -> Iterator[Verdict]:
    """A running agent serves it; while none runs, nobody else has its port."""
    screen = subject.settings.screen if subject.settings is not None else None
    if screen is None:
        yield not_applicable(NO_SCREEN)
        return
    where = f"http://{HOST}:{screen.port}/"
    who = f"sudo ss --listening --tcp --processes --numeric 'sport = :{screen.port}'"
    if subject.status is None:
        if _is_taken(screen.port):
            seen = Said(f"{screen.port} 埠被別的程式占用", f"port {screen.port} is another program's")
            means = Said("閘門啟動後無法顯示畫面。", "Once the agent runs it cannot serve its page.")
            yield fail(seen, means, who, f"sudoedit {subject.config_path}")
        else:
            yield not_known(
                Said(f"閘門程式沒有在執行；{screen.port} 埠可用", f"the agent does not run; port {screen.port} is free")
            )
        return
    why = _why_not_served(screen.port)
    if why:
        means = Said("螢幕上看不到結果；門照常運作。", "People see no answer on the screen; the gate itself works.")
        yield fail(Said(f"{where}：{why}", f"{where}: {why}"), means, who, f"sudo systemctl restart {UNIT}")
    else:
        yield ok(same(where))


def _is_taken(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def _why_not_served(port: int) -> str:
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        served = b"<html" in answer.read(1 << 20)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if answer.status == 200 and served else f"status {answer.status}"


def browser(subject: Subject) -> Iterator[Verdict]:
    """One that can show the page, started at boot."""
    if subject.settings is None or subject.settings.screen is None:
        yield not_applicable(NO_SCREEN)
        return
    machine, found = subject.machine, []
    for name in BROWSERS:
        found += [path for folder in ("/usr/bin", "/snap/bin") if machine.path(path := f"{folder}/{name}").exists()]
    if not found:
        means = Said("沒有瀏覽器就無法顯示畫面。", "Without a browser there is no screen.")
        seen = Said("沒有安裝 Chromium 或 Chrome", "neither Chromium nor Chrome is installed")
        yield fail(seen, means, "sudo apt install chromium cage fonts-noto-cjk")
        return
    places = (f"/etc/systemd/system/{KIOSK_UNIT}", f"/etc/xdg/autostart/{KIOSK}.desktop")
    starting = next((place for place in places if machine.path(place).exists()), None)
    if starting is None:
        means = Said("開機後要自己打開畫面。", "After a boot somebody has to open the page.")
        seen = Said("開機時不會自動顯示", "not started at boot")
        yield warn(seen, means, f"sudo {subject.program} setup --yes --screen")
    else:
        yield ok(same(f"{found[0]}, {starting}"))


def fonts(subject: Subject) -> Iterator[Verdict]:
    """Without a font that has them, Chinese characters are boxes."""
    if subject.settings is None or subject.settings.screen is None:
        yield not_applicable(NO_SCREEN)
        return
    ran = subject.machine.run(("fc-list", ":lang=zh-tw", "family"))
    if ran is None or ran.code != 0:
        yield not_known(
            Said("沒有 fc-list，無法得知", "there is no fc-list to ask"), "sudo apt install fontconfig fonts-noto-cjk"
        )
    elif not ran.text.strip():
        means = Said("螢幕上的中文會變成方格。", "Chinese on the screen will be boxes.")
        yield fail(Said("沒有中文字型", "no font has Chinese"), means, "sudo apt install fonts-noto-cjk")
    else:
        yield ok(same(ran.text.strip().splitlines()[0].split(",")[0]))


CHECKS = (
    Check("screen", Said("螢幕頁面", "Screen"), page),
    Check("kiosk", Said("全螢幕瀏覽器", "Kiosk browser"), browser),
    Check("fonts", Said("中文字型", "Chinese type"), fonts),
)
