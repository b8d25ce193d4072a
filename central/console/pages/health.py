"""The health of the servers, and in words what is wrong with them."""

from typing import Any, NamedTuple

from central.console.page import _N, Asking, Page, page
from central.console.rendering import ago, duration
from central.console.words import say

BEHIND_MS = 300_000
BACKUP_MS = 2 * 86_400_000
CLOCK_MS = 5_000
SKEW_MS = 60_000
SKEWED_DEVICES = 3
SOON_MS = 30 * 86_400_000
FULL = 0.1
TASKS = {
    "reports": _N("Reports of devices"),
    "flags": _N("Notices that lapse"),
    "settling": _N("Settling of events"),
    "points": _N("Rounds of points"),
    "bind-sessions": _N("Cards bound at counters"),
    "alerts": _N("Looking for alerts"),
    "alert-messages": _N("Telling of alerts"),
    "notes": _N("Notes between servers"),
    "rollouts": _N("Rollouts"),
    "subscriptions": _N("Events told to others"),
    "notices": _N("Notices to members"),
    "consent-rules": _N("Consent that becomes required"),
    "erasures": _N("Erasures followed to the gates"),
    "retention": _N("Personal parts that are due"),
    "libraries": _N("Library systems asked about members"),
}


class Trouble(NamedTuple):
    """Something wrong, and what to do. `kind`: as of badges; `values` are put into the text."""

    kind: str
    text: str
    values: dict[str, Any]


@page("/health", needs="health.show", nav=(_N("Health"), 90))
async def health(ask: Asking) -> Page:
    """Of every process that shares the database, as they said last."""
    shown = await ask("health.show")
    troubles = troubles_of(shown, ask.lang)
    return Page("health.html", live=True, every_s=5.0, shown=shown, troubles=troubles, tasks=TASKS)


def troubles_of(shown: Any, lang: str) -> list[Trouble]:
    """The gravest first."""
    found = [*_of_servers(shown, lang), *_of_the_whole(shown, lang)]
    return sorted(found, key=lambda each: each.kind != "bad")


def _of_servers(shown: Any, lang: str) -> list[Trouble]:
    found = []
    for each in shown.servers:
        named = {"server": each.server}
        if each.stopped:
            continue
        if not each.is_live:
            found.append(Trouble("bad", _N("%(server)s does not say anything any more: is it meant to run?"), named))
            continue
        dead = [say(lang, TASKS.get(task, task)) for task, is_alive in each.tasks.items() if not is_alive]
        if dead:
            text = _N("On %(server)s these tasks have ended: %(tasks)s. Start it again, and look at its log.")
            found.append(Trouble("bad", text, named | {"tasks": ", ".join(dead)}))
        if each.waits_for_restart:
            found.append(Trouble("warn", _N("%(server)s goes by older keys than it holds: start it again."), named))
        if not each.certificate_is_named:
            text = _N("No device trusts the certificate of %(server)s: name it by `keys state`.")
            found.append(Trouble("bad", text, named))
        elif each.certificate_until_ms and each.certificate_until_ms < shown.now_ms + SOON_MS:
            found.append(Trouble("warn", _N("The certificate of %(server)s ends soon: renew it."), named))
        if each.disk_total_bytes and each.disk_free_bytes <= FULL * each.disk_total_bytes:
            found.append(Trouble("bad", _N("The disk of %(server)s is nearly full: make room."), named))
    return found


def _of_the_whole(shown: Any, lang: str) -> list[Trouble]:
    found = []
    if not any(each.is_live for each in shown.servers):
        found.append(Trouble("bad", _N("No server looks for alerts now, so nobody is told of anything."), {}))
    if shown.database.schema != shown.database.schema_wanted:
        found.append(Trouble("bad", _N("The database has another schema than this version: run `init`."), {}))
    if shown.oldest_unsettled_ms and shown.oldest_unsettled_ms < shown.now_ms - BEHIND_MS:
        since = str(ago(lang, shown.oldest_unsettled_ms, shown.now_ms).striptags())
        text = _N("Settling is behind: the oldest event that waits is of %(since)s.")
        found.append(Trouble("warn", text, {"since": since}))
    if abs(shown.database.clock_ms) > CLOCK_MS:
        by = {"by": duration(lang, shown.database.clock_ms)}
        found.append(Trouble("warn", _N("This server's clock and the database's differ by %(by)s."), by))
    if shown.devices_heard >= SKEWED_DEVICES and abs(shown.median_skew_ms) > SKEW_MS:
        by = {"by": duration(lang, shown.median_skew_ms)}
        text = _N("Half of all devices are off by %(by)s or more: it may be this server's own clock.")
        found.append(Trouble("bad", text, by))
    if shown.messages_given_up:
        text = _N("%(count)s messages about alerts reached nobody: see who is told.")
        found.append(Trouble("warn", text, {"count": shown.messages_given_up}))
    if not shown.backup_ms:
        found.append(Trouble("warn", _N("No backup is known of: `tapgate-central backup FILE` makes one."), {}))
    elif shown.backup_ms < shown.now_ms - BACKUP_MS:
        found.append(Trouble("warn", _N("The newest backup is more than two days old."), {}))
    return found
