"""A card tried on a reader: asking for it, and saying what was seen. The one place where a UID is shown to a person."""

import datetime as dt
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge_agent.commissioning.card_family import family
from edge_agent.commissioning.tryout import Tryout, try_out
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import StoreDamaged
from edge_agent.preview import preview
from edge_agent.readers import Reader, ReaderState
from protocol.errors import Refused
from protocol.reasons import TEXTS, Reason
from protocol.uid import LENGTHS, CardUID, Notation, Problem, is_shared_range, judge

TAP = {
    "zh-TW": "請把一張卡放上 {name}（最多等 {timeout:g} 秒）……",
    "en": "Tap a card on {name} (waiting {timeout:g} s) …",
}


def try_a_card(reader: Reader, timeout_s: float, lang: str, quiet: bool) -> tuple[Reader, Tryout] | None:
    """Ask for a card and wait for it. Raises ReaderFailed."""

    def on_state(state: ReaderState, why: str) -> None:
        if not quiet and state is not ReaderState.READY:
            click.echo(f"  {state}{f': {why}' if why else ''}", err=True)

    if not quiet:
        click.echo(TAP[lang].format(name=reader.name, timeout=timeout_s), err=True)
    found = try_out(reader, timeout_s, on_state)
    return None if found is None else (reader, found)


def report(found: tuple[Reader, Tryout], directory: Path) -> dict[str, Any]:
    """Everything that can be said, ready for JSON; every key is always there."""
    reader, (read, steps) = found
    problem, facts = judge(read.raw, read.sak), reader.facts()
    card = CardUID(read.raw) if len(read.raw) in LENGTHS else None
    decided, undecided = _decided(directory, card, problem)
    return {
        "reader": reader.name,
        "hardware": facts.hardware,
        "profile": facts.profile,
        "matched_by": facts.matched_by,
        "firmware": facts.firmware,
        "uid": {notation.value: card.in_notation(notation) for notation in Notation} if card else {},
        "uid_bytes": len(read.raw),
        "judgement": problem.value if problem else "usable",
        "shared_range": card is not None and is_shared_range(card),
        "atr": read.atr.hex().upper(),
        "sak": read.sak,
        "family": family(read.atr, read.sak),
        "steps": [{"step": step.name, "after_ms": round(step.after_ms, 1)} for step in steps],
        "would_enrol": problem is None,
        "would_decide": decided,
        "not_decided": undecided,
    }


def _decided(directory: Path, card: CardUID | None, problem: Problem | None) -> tuple[dict[str, Any] | None, str]:
    """What this gate would answer now, or why that cannot be told."""
    if problem is not None:
        zh, en = TEXTS[Reason(problem.value)]
        return {"decision": "denied", "reason": problem.value, "rule": "", "text_zh": zh, "text_en": en}, ""
    if card is None:
        return None, "no UID"
    try:
        answer = preview(directory, card, dt.datetime.now(dt.UTC))
    except (Refused, IdentityDamaged, OSError, StoreDamaged) as error:
        return None, error.detail if isinstance(error, Refused) else str(error)
    return {key: answer[key] for key in ("decision", "reason", "rule", "text_zh", "text_en")}, ""


# --- for a person -------------------------------------------------------------------------------------------------

WORDS = {
    "reader": ("讀卡機", "reader"),
    "profile": ("機型設定檔", "profile"),
    "firmware": ("韌體", "firmware"),
    "uid": ("卡號", "UID"),
    "family": ("卡片種類", "kind of card"),
    "steps": ("時間", "timing"),
    "would_enrol": ("可以登記", "would be enrolled"),
    "would_decide": ("現在刷卡會", "would be answered"),
}
NOTATIONS = {
    "hex": ("十六進位", "hex"),
    "hex-reversed": ("十六進位，反序", "hex, reversed"),
    "decimal": ("十進位", "decimal"),
    "decimal-reversed": ("十進位，反序", "decimal, reversed"),
}
STEPS = {
    "arrived": ("卡片到達", "arrived"),
    "connected": ("連上", "connected"),
    "read": ("讀出", "read"),
    "stable": ("確定", "stable"),
}
SHARED = ("可以；這個號碼可能與別的卡相同（xF 開頭）", "yes; the number may be another card's too (it begins with xF)")
YES = ("可以", "yes")
DECISIONS = {"granted": ("准許", "granted"), "denied": ("拒絕", "denied")}


def show(told: dict[str, Any], lang: str) -> None:
    """The report as a table."""
    side = 0 if lang == "zh-TW" else 1
    table = Table(show_header=False, box=None)

    def row(key: str, text: str) -> None:
        table.add_row(WORDS[key][side], escape(text or "–"))

    row("reader", " ".join(filter(None, (told["reader"], told["hardware"]))))
    row("profile", " – ".join(filter(None, (told["profile"], told["matched_by"]))))
    row("firmware", told["firmware"])
    for notation, text in told["uid"].items():
        table.add_row(f"{WORDS['uid'][side]} ({NOTATIONS[notation][side]})", escape(text))
    row("family", " – ".join(filter(None, (told["family"], told["atr"] and f"ATR {told['atr']}"))))
    row("steps", " → ".join(f"{STEPS[step['step']][side]} {step['after_ms']:g} ms" for step in told["steps"]))
    usable = (SHARED if told["shared_range"] else YES)[side]
    row("would_enrol", usable if told["would_enrol"] else TEXTS[Reason(told["judgement"])][side])
    row("would_decide", _answer(told, side))
    Console(soft_wrap=True).print(table)


def _answer(told: dict[str, Any], side: int) -> str:
    decided = told["would_decide"]
    if decided is None:
        return f"– ({told['not_decided']})"
    word = DECISIONS.get(decided["decision"], (decided["decision"],) * 2)[side]
    return f"{word}: {(decided['text_zh'], decided['text_en'])[side]} ({decided['reason']})"
