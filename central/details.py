"""What the detail of an event says (SPEC §5.1): as a map for scripts and in words for people. Pure.

Custody does not judge a detail: a newer agent may say more in it than this version can read, and what is signed is
kept either way. Here such a one is called unreadable.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import (
    AdmitDetail,
    BindDetail,
    ClosureDetail,
    ConfigDetail,
    ConsentDetail,
    EpochStart,
    InputDetail,
    Kind,
    Passage,
    PassageDetail,
    ReaderDetail,
    StoreDetail,
    UndoDetail,
    decode,
)

READS: dict[str, Any] = {
    Kind.PASSAGE: PassageDetail,
    Kind.READER: ReaderDetail,
    Kind.RELEASE_FAILED: ReaderDetail,
    Kind.ADMIT: AdmitDetail,
    Kind.UNDO: UndoDetail,
    Kind.CLOSURE: ClosureDetail,
    Kind.INPUT: InputDetail,
    Kind.CONFIG: ConfigDetail,
    Kind.STORE: StoreDetail,
    Kind.BIND: BindDetail,
    Kind.CONSENT: ConsentDetail,
}

Told = dict[str, Any]


def read_detail(kind: str, detail: bytes | None) -> Any:
    """The struct of a kind's detail; None where there is none, or none that this version can read."""
    if not detail:
        return None
    try:
        if kind == Kind.START:
            return decode(EpochStart, unwrap(detail).payload)
        return decode(READS[kind], detail) if kind in READS else None
    except Refused:
        return None


def told(kind: str, detail: bytes | None) -> Told:
    """As a map, bytes as hex; empty where the event has none; `unreadable` where this version cannot read it."""
    if not detail:
        return {}
    read = read_detail(kind, detail)
    if read is None:
        return {"unreadable": detail.hex()}
    names = ("previous_epoch", "previous_sequence", "why") if isinstance(read, EpochStart) else read.__struct_fields__
    found = {name: getattr(read, name) for name in names}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in found.items()}


def in_words(kind: str, said: Told) -> str:
    """What a person reads of a map that `told` made; `#41` is an event of the same epoch. Empty for a plain tap."""
    if not said:
        return ""
    if "unreadable" in said:
        return "with a detail that this version cannot read"
    return _WORDS[kind](said)


NOTABLE: dict[str, tuple[str, frozenset[str]]] = {
    Kind.PASSAGE: ("passage", frozenset(Passage)),
    Kind.READER: ("state", frozenset({"absent", "starting", "ready", "wedged", "recovering"})),
    Kind.INPUT: ("input", frozenset({"fire-alarm", "tamper", "exit-button"})),
    Kind.CONFIG: ("what", frozenset({"in-use", "went-back"})),
    Kind.STORE: (
        "what",
        frozenset({"damaged", "tail-lost", "reserve-used", "reserve-restored", "trouble", "forked"}),
    ),
}
"""Of a kind, the field whose value a count is kept of, and the values known (SPEC §5.1): counts must stay few."""


def notable(kind: str, detail: bytes) -> tuple[str, str] | None:
    """What monitoring counts an event under; None for what it does not count, as an input that went off."""
    if kind not in NOTABLE:
        return None
    read, (name, known) = read_detail(kind, detail), NOTABLE[kind]
    if isinstance(read, InputDetail) and not read.on:
        return None
    value = getattr(read, name, "")
    return kind, value if value in known else "other"


def _start(d: Told) -> str:
    after = f"after {d['previous_epoch']}/{d['previous_sequence']}" if d["previous_epoch"] else "for the first time"
    return _with(after, d["why"])


def _passage(d: Told) -> str:
    where = f"{d['epoch']}/{d['sequence']}" if d["epoch"] else d["sequence"]
    return f"{d['passage']} of #{where}" if d["sequence"] >= 0 else str(d["passage"])


def _reader(d: Told) -> str:
    firmware = f"firmware {d['firmware']}" if d["firmware"] else ""
    by = ", ".join(filter(None, (d["profile"] and f"profile {d['profile']}", firmware)))
    return _with(f"{d['reader']} {d['state']}" + (f" ({by})" if by else ""), d["why"])


def _release(d: Told) -> str:
    return _with(f"for #{d['reader']}", d["why"])


def _admit(d: Told) -> str:
    after = f" after #{d['sequence']}" if d["sequence"] >= 0 else ""
    return _with(f"by {d['staff']}{after}", d["why"])


def _undo(d: Told) -> str:
    return _with(f"of #{d['sequence']}", d["why"])


def _closure(d: Told) -> str:
    if d["until_ms"] == d["from_ms"]:
        return f"opened by {d['staff']}"
    until = dt.datetime.fromtimestamp(d["until_ms"] / 1_000, dt.UTC)
    return _with(f"by {d['staff']} until {until:%Y-%m-%dT%H:%MZ}", d["why"])


def _input(d: Told) -> str:
    inside = f", {d['inside']} may be inside" if d["inside"] else ""
    return f"{d['input']} {'on' if d['on'] else 'off'}{inside}"


def _config(d: Told) -> str:
    return _with(f"{d['part']} {d['version']} {d['what']}", d["why"])


def _store(d: Told) -> str:
    events = f" of {d['epoch']} from {d['first']} to {d['through']}" if d["epoch"] else ""
    return _with(f"{d['what']}{events}", d["why"])


def _bind(d: Told) -> str:
    return f"a card was taken for session {d['session']}"


def _consent(d: Told) -> str:
    return f"{d['said']} of {d['purpose']}, notice {d['notice']}"


def _with(text: str, why: str) -> str:
    return f"{text}: {why}" if why else text


_WORDS: dict[str, Callable[[Told], str]] = {
    Kind.START: _start,
    Kind.PASSAGE: _passage,
    Kind.READER: _reader,
    Kind.RELEASE_FAILED: _release,
    Kind.ADMIT: _admit,
    Kind.UNDO: _undo,
    Kind.CLOSURE: _closure,
    Kind.INPUT: _input,
    Kind.CONFIG: _config,
    Kind.STORE: _store,
    Kind.BIND: _bind,
    Kind.CONSENT: _consent,
}
