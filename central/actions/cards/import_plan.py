"""What one row of a card import would do, judged against what is held. Pure: rows and facts in, verdicts out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from central.actions.cards.import_file import CardFile, FileRow
from central.actions.cards.member_index import LIBRARY_BARCODE, VOLUNTEER_NUMBER
from central.actions.dates import end_ms, start_ms
from central.people.search_keys import number_form, number_problem
from protocol.allowlist import CardState
from protocol.errors import Failure, Refused
from protocol.uid import CardUID, Notation, Problem, candidates, is_shared_range, judge, parse

MAX_CLASSES = 16
"""What an allowlist entry can carry."""
STATES = {state.name.lower(): state for state in CardState}


class Verdict(StrEnum):
    """What becomes of a row."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    AMBIGUOUS = "ambiguous"
    COLLISION = "collision"
    REFUSED = "refused"


PROBLEMS = (Verdict.AMBIGUOUS, Verdict.COLLISION, Verdict.REFUSED)
"""Nothing is written for a row with one of these."""


class RowVerdict(msgspec.Struct, frozen=True):
    """What is said of a row. It names no UID."""

    row: int
    verdict: Verdict
    why: str = ""
    note: str = ""


class Row(NamedTuple):
    """A row that can be read."""

    number: int
    uid: CardUID
    member: str
    classes: tuple[str, ...]
    from_ms: int
    until_ms: int
    name: str
    """Empty = the file does not say."""
    state: CardState | None
    """None = the file does not say: a new card is active, a known one stays as it is."""
    numbers: tuple[tuple[str, str], ...] = ()
    """Kind and number, of those that the file says."""


class HeldCard(NamedTuple):
    """A card that the database knows by its UID."""

    id: bytes
    reference: str
    state: CardState
    from_ms: int
    until_ms: int


class HeldMember(NamedTuple):
    """A member that the database knows by the reference."""

    id: bytes
    name: str
    classes: frozenset[str]
    in_domain: bool
    last_card: int
    """The highest number among the member's cards."""
    numbers: Mapping[str, str] = {}
    """What other systems call the member, by kind."""


class Repeats(NamedTuple):
    """What pass over the whole file found out about rows that speak of the same card or the same member."""

    collisions: dict[int, str]
    """Row → why: its UID stands beside another member, or it contradicts another row."""
    copies: dict[int, int]
    """Row → the earlier row that says the very same."""


class Planned(NamedTuple):
    """A verdict, with what has to be written."""

    row: Row
    verdict: RowVerdict
    changes: tuple[str, ...] = ()
    """Among `card`, `dates`, `state`, `classes`, `name`, `numbers`, `domain`."""


class Reader:
    """Reads rows of one file under one notation and time zone."""

    def __init__(self, file: CardFile, notation: Notation | None, why_not: str, zone: ZoneInfo) -> None:
        self._file, self._notation, self._why_not, self._zone = file, notation, why_not, zone
        self._seen_classes: dict[str, tuple[str, ...]] = {}

    def read(self, row: FileRow) -> Row | RowVerdict:
        """The row with its meaning, or the verdict that it has none."""
        if row.problem:
            return RowVerdict(row.number, Verdict.REFUSED, row.problem)
        texts = (("uid", row.uid), ("member", row.member), ("class", row.classes), ("name", row.name))
        for column, text in texts:
            problem = "" if text.isprintable() else self._file.character_problem(text)
            if problem:
                return RowVerdict(row.number, Verdict.REFUSED, f"{column}: {problem}")
        uid = self.read_uid(row)
        if isinstance(uid, RowVerdict):
            return uid
        try:
            dates = self._dates(row)
            state = _state(row.state)
            member, classes, numbers = _member(row.member), self._classes(row.classes), _numbers(row)
            return Row(row.number, uid, member, classes, *dates, row.name, state, numbers)
        except ValueError as error:
            return RowVerdict(row.number, Verdict.REFUSED, str(error))

    def read_uid(self, row: FileRow) -> CardUID | RowVerdict:
        """The card that a row speaks of, whatever else is wrong with the row."""
        try:
            if self._notation is not None:
                uid = parse(row.uid, self._notation)
            else:
                readings = set(candidates(row.uid).values())
                if len(readings) > 1:
                    return RowVerdict(row.number, Verdict.AMBIGUOUS, f"uid: {len(readings)} cards; {self._why_not}")
                uid = readings.pop() if readings else parse(row.uid, Notation.HEX)
        except Refused as refused:
            return RowVerdict(row.number, Verdict.REFUSED, f"uid: {_uid_problem(row.uid, self._notation, refused)}")
        problem = judge(uid.raw)
        if problem is not None:
            return RowVerdict(row.number, Verdict.REFUSED, f"uid: {problem} ({_UID_PROBLEMS[problem]})")
        return uid

    def _dates(self, row: FileRow) -> tuple[int, int]:
        column = "valid_from"
        try:
            from_ms = start_ms(row.valid_from, self._zone)
            column = "valid_until"
            until_ms = end_ms(row.valid_until, self._zone)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{column}: {error}") from None
        if until_ms and until_ms <= from_ms:
            raise ValueError(f"valid_until: {row.valid_until!r} is before valid_from {row.valid_from!r}")
        return from_ms, until_ms

    def _classes(self, text: str) -> tuple[str, ...]:
        classes = self._seen_classes.get(text)
        if classes is None:
            classes = _classes(text)
            if len(self._seen_classes) < 10_000:
                self._seen_classes[text] = classes
        return classes


_UID_PROBLEMS = {
    Problem.RANDOM: "4 bytes beginning with 08 change at every read",
    Problem.PLACEHOLDER: "many phones and blank cards share it",
    Problem.INCOMPLETE: "a part of a longer one",
    Problem.UNREADABLE: "no UID",
}


def _member(text: str) -> str:
    if not text:
        raise ValueError("member: empty; it names the person whose card this is")
    if len(text) > 128:
        raise ValueError(f"member: {len(text)} characters, 128 allowed")
    return text


def _numbers(row: FileRow) -> tuple[tuple[str, str], ...]:
    found = []
    columns = (
        ("library_barcode", LIBRARY_BARCODE, row.library_barcode),
        ("volunteer_number", VOLUNTEER_NUMBER, row.volunteer_number),
    )
    for column, kind, text in columns:
        if not text:
            continue
        problem = number_problem(text)
        if problem:
            raise ValueError(f"{column}: {problem}")
        found.append((kind, text))
    return tuple(found)


def _classes(text: str) -> tuple[str, ...]:
    names = tuple(sorted({name.strip() for name in text.split("|")} - {""}))
    if not names:
        raise ValueError("class: empty; a card without a class opens nothing")
    if len(names) > MAX_CLASSES:
        raise ValueError(f"class: {len(names)} classes, {MAX_CLASSES} allowed")
    for name in names:
        if len(name) > 64:
            raise ValueError(f"class: {name[:20]!r}… has {len(name)} characters, 64 allowed")
    return names


def _state(text: str) -> CardState | None:
    if not text:
        return None
    try:
        return STATES[text.lower()]
    except KeyError:
        raise ValueError(f"state: {text!r} is not one of {', '.join(STATES)}") from None


def _uid_problem(text: str, notation: Notation | None, refused: Refused) -> str:
    if not text:
        return "empty"
    if refused.kind is Failure.NOT_A_NUMBER:
        decimal = notation is not None and notation.startswith("decimal")
        digits = "0123456789" if decimal else "0123456789abcdefABCDEF"
        for place, character in enumerate(text, 1):
            if character not in digits and character not in " :-\u00a0" and text[:place] not in ("0x", "0X"):
                return f"character {place}, {character!r}, is no {'decimal' if decimal else 'hexadecimal'} digit"
    return refused.detail


def plan(
    row: Row,
    card: HeldCard | None,
    member: HeldMember | None,
    add_classes: bool,
    owners: Mapping[tuple[str, str], str] | None = None,
) -> Planned:
    """What the row does to what is held. `add_classes`: classes that the file does not name stay. `owners`: whose
    each number (kind, as it is compared) is already, by reference."""
    for kind, number in row.numbers:
        owner = (owners or {}).get((kind, number_form(number)), row.member)
        if owner != row.member:
            why = f"this {kind} is member {owner!r}'s already, the row names {row.member!r}"
            return Planned(row, RowVerdict(row.number, Verdict.COLLISION, why))
    if card is not None and card.reference != row.member:
        why = f"this UID is bound to member {card.reference!r} already, the row names {row.member!r}"
        return Planned(row, RowVerdict(row.number, Verdict.COLLISION, why))
    note = "uid: a 4-byte NUID, which is not unique in the world" if is_shared_range(row.uid) else ""
    changes = _changes(row, card, member, add_classes)
    if card is None:
        return Planned(row, RowVerdict(row.number, Verdict.ADDED, "", note), changes)
    if not changes:
        return Planned(row, RowVerdict(row.number, Verdict.UNCHANGED, "", note))
    return Planned(row, RowVerdict(row.number, Verdict.UPDATED, ", ".join(changes), note), changes)


def _changes(row: Row, card: HeldCard | None, member: HeldMember | None, add_classes: bool) -> tuple[str, ...]:
    if member is None:
        said = (("name",) if row.name else ()) + (("numbers",) if row.numbers else ())
        return ("card", "classes", *said, "domain")
    named = frozenset(row.classes)
    changed = {
        "card": card is None,
        "dates": card is not None and (card.from_ms, card.until_ms) != (row.from_ms, row.until_ms),
        "state": card is not None and row.state is not None and card.state != row.state,
        "classes": not named <= member.classes if add_classes else named != member.classes,
        "name": bool(row.name) and row.name != member.name,
        "numbers": any(member.numbers.get(kind) != number for kind, number in row.numbers),
        "domain": not member.in_domain,
    }
    return tuple(name for name, yes in changed.items() if yes)
