"""`explain`."""

import sys
from typing import Any

import click

from central.commands.shell import act, as_json, say_json, text_of
from central.config import Config


@click.command()
@click.argument("event", metavar="EVENT")
@as_json
@click.pass_obj
def explain(settings: Config, event: str, as_json: bool) -> None:
    """Why a tap was decided as it was, months later.

    EVENT is DEVICE/EPOCH/SEQUENCE as `log` shows it, a line of `log --json`, or - to read either. It shows the signed
    event and its place, the clock, what the gate's list and policy said then and what this server knew, what counted
    before it, each rule and why it did or did not apply, and what cannot be known.

    Example: tapgate-central explain library-1-door-1/5f3a9c0b1d2e4f60/41
    """
    found = act(settings, "explain", {"event": sys.stdin.readline() if event == "-" else event})
    if as_json:
        say_json(found)
    else:
        click.echo("\n".join(_printable(line) for line in _explained(found)))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)  # a device's words must not steer a terminal


def _explained(found: dict[str, Any]) -> list[str]:
    event, place = found["event"], found["place"]
    what = " ".join(filter(None, (event[name] for name in ("kind", "direction", "decision", "reason", "rule"))))
    lines = [f"{what} at {event['gate']} ({event['venue'] or 'venue not known'}), {_time(event['at_ms'])}"]
    lines += [f"  {text}" for text in found["texts"].values() if text]
    if place:
        lines.append(
            f"Signed: in batch {place['batch']}, events {place['first']} to {place['through']}, received"
            f" {_time(place['received_ms'])}; the event's own digest {place['event_digest']}"
        )
    lines.append(_clock(found["clock"]))
    held = ", ".join(f"{name} {version}" for name, version in found["held"].items())
    lines += [f"Held at the gate: {held}"] if held else []
    lines += [_person(found["person"]), *_entries(found), *_policy(found), *_history(found)]
    lines += _way("How the gate came to it", found["then"]) + _way("What this server says today", found["today"])
    lines += [f"Conflict {each['id']}: {each['kind']}, {each['state']}" for each in found["conflicts"]]
    return lines + [f"Not known: {each}" for each in found["unknown"]]


def _time(at_ms: int) -> str:
    return text_of("at_ms", at_ms)


def _clock(clock: dict[str, Any]) -> str:
    stated = f", which was {clock['offset_ms']} ms off: it was {_time(clock['corrected_ms'])}"
    return f"Clock: {clock['state']}{stated if clock['offset_ms'] else ''}"


def _person(person: dict[str, Any]) -> str:
    match person["known"]:
        case "member":
            who = person["member"] or f"subject {person['subject']}, no member of the domain any more"
            charge = f", {person['points']} points and NT${person['due']}" if person["points"] or person["due"] else ""
            return f"Who: {who}, card {person['card']}{charge}"
        case "token":
            now = f"; on the list since {_time(person['listed_since_ms'])}" if "listed_since_ms" in person else ""
            return f"Who: a card on no list, token {person['token']} under key {person['key_number']}{now}"
        case "destroyed":
            return "Who: destroyed"
    return "Who: nobody is named"


def _entries(found: dict[str, Any]) -> list[str]:
    held, known = found["entry_held"], found["entry_known"]
    lines = [f"List as the gate had it: {_entry(held)}"] if held else []
    if known and (not held or found["entry_differs"]):
        lines.append(f"List as this server had it at that instant: {_entry(known)}")
    if found["entry_differs"]:
        lines.append(f"  They differ in: {', '.join(found['entry_differs'])}")
    return lines


def _entry(entry: dict[str, Any]) -> str:
    if not entry["listed"]:
        return f"not on it (since {entry['version']})"
    classes = ", ".join(grant["name"] + _dates(grant) for grant in entry["classes"]) or "no class"
    flags = f", flags {', '.join(entry['flags'])}" if entry["flags"] else ""
    return f"{entry['state']}{_dates(entry)}, {classes}{flags} (since {entry['version']})"


def _dates(of: dict[str, Any]) -> str:
    begins = f" from {_time(of['from_ms'])}" if of["from_ms"] else ""
    return begins + (f" until {_time(of['until_ms'])}" if of["until_ms"] else "")


def _policy(found: dict[str, Any]) -> list[str]:
    policy = found["policy"]
    if policy is None:
        return []
    lines = [f"Policy {policy['id']} {policy['version']}, put {_time(policy['at_ms'])}"]
    if found["policy_in_force"] not in (0, policy["version"]):
        lines.append(f"  In force at this server at that instant: {found['policy_in_force']}")
    body = {name: value for name, value in policy["body"].items() if name != "rules"}
    rules = [f"  {_said(rule)}" for rule in policy["body"]["rules"]]
    return lines + rules + [f"  {name}: {text}" for name, value in body.items() if (text := _said(value))]


def _said(value: Any) -> str:
    """As one would read it out: what is not given, or nothing, is left out."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, each in value.items() if (text := _said(each)))
    if isinstance(value, list | tuple):
        return " ".join(map(_said, value))
    return str(value) if value else ""


def _history(found: dict[str, Any]) -> list[str]:
    lines = [f"Counted before it: {found['history_marks']}"]
    for mark in found["history"][-10:]:
        charge = f", {mark['points']} points, NT${mark['due']}" if mark["points"] or mark["due"] else ""
        lines.append(
            f"  {_time(mark['at_ms'])} {mark['gate']} {mark['direction'] or 'recorded'} {mark['rule']}{charge}"
        )
    return lines


def _way(title: str, way: dict[str, Any] | None) -> list[str]:
    if way is None:
        return []
    answer = " ".join(filter(None, (way["decision"], way["reason"], way["rule"])))
    assumed = f", assuming {way['assumed']}" if way["assumed"] else ""
    return [f"{title}: {answer}{assumed}", *(f"  {t['rule']}: {t['outcome']}, {t['why']}" for t in way["tried"])]
