"""Which reader a gate shall have: from a flag, or chosen from what is plugged in; and trying it."""

from pathlib import Path

import click
import msgspec

from edge_agent import config
from edge_agent.commands import setup_words as words
from edge_agent.commands.trying import report, show, try_a_card
from edge_agent.commissioning.installation import NotDone
from edge_agent.commissioning.machine import Machine
from edge_agent.commissioning.plugged_in import Candidate, candidates
from edge_agent.commissioning.tryout import ReaderFailed
from edge_agent.config import ReaderSettings
from firmware_profiles import ProfileBook

NAMES = ("front", "back")
TRY_S = 30.0


def parse_reader(text: str, number: int = 0) -> ReaderSettings:
    """`[NAME=]KIND[:WHERE]`: `pcsc`, `pcsc:ACR122U`, `back=nfc:tty:USB0:pn532`, `simulated:/run/taps`.

    Raises click.BadParameter.
    """
    name, equals, rest = text.partition("=")
    if not equals or ":" in name:
        name, rest = NAMES[number] if number < len(NAMES) else f"reader-{number + 1}", text
    kind, _, where = rest.partition(":")
    found = {"name": name, "kind": kind} | ({"match": where} if kind == "pcsc" and where else {})
    if kind != "pcsc":
        found["path"] = where or ("usb" if kind == "nfc" else "-")
    try:
        return msgspec.convert(found, ReaderSettings)
    except msgspec.ValidationError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint="--reader") from None


def choose(machine: Machine, yes: bool, lang: str) -> ReaderSettings:
    """The one there is, or the one that a person chooses. Raises NotDone."""
    found = candidates(machine, ProfileBook())
    side = 0 if lang == "zh-TW" else 1
    certain = [candidate for candidate in found if candidate.profile]
    if yes:
        if not certain:
            raise NotDone(words.NONE_FOUND[side])
        if len(certain) > 1:
            raise NotDone(words.SEVERAL[side].format(names="; ".join(map(_flag, certain))))
        return _settings(certain[0], len(certain) == 1)
    if not found:
        click.echo(words.NONE_FOUND[side])
        return parse_reader(click.prompt(words.TYPE_IN[side]))
    click.echo(words.FOUND[side])
    for number, candidate in enumerate(found, start=1):
        click.echo(f"  {number}. {candidate.title}{f' [{candidate.profile}]' if candidate.profile else ''}")
    click.echo(f"  {len(found) + 1}. {words.OTHER[side]}")
    number = click.prompt(words.CHOOSE[side], type=click.IntRange(1, len(found) + 1), default=1)
    if number > len(found):
        return parse_reader(click.prompt(words.TYPE_IN[side]))
    return _settings(found[number - 1], sum(candidate.kind == "pcsc" for candidate in found) == 1)


def _settings(candidate: Candidate, is_the_only_one: bool) -> ReaderSettings:
    """The only PC/SC reader needs no name: another model can then take its place without a word."""
    if candidate.kind == "pcsc":
        return ReaderSettings(NAMES[0], "pcsc", None if is_the_only_one else candidate.where)
    return ReaderSettings(NAMES[0], "nfc", path=candidate.where)


def _flag(candidate: Candidate) -> str:
    return f"--reader '{candidate.kind}:{candidate.where}'"


def try_it(reader: ReaderSettings, directory: Path, lang: str) -> bool:
    """A card, tried. False: it did not come, or the reader failed; what went wrong was said."""
    side = 0 if lang == "zh-TW" else 1
    try:
        found = try_a_card(config.make_reader(reader), TRY_S, lang, quiet=False)
    except (ReaderFailed, ImportError) as error:
        click.echo(f"{reader.name}: {error}")
        return False
    if found is None:
        click.echo(words.NO_CARD[side])
        return False
    show(report(found, directory), lang)
    return True
