"""Signings of one member become pairs: in and out, nothing by guess. Pure.

Taps that carry a direction are certain; those that were only recorded take theirs from their place between certain
ones. Where the number of taps between two certain points cannot be right, none of them becomes hours by itself: a
person says what it was. The order in which taps became known never matters.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

HOUR_MS = 3_600_000


class Signing(NamedTuple):
    """A tap at a kiosk, or a coordinator's word. `key` names it: 16 bytes of the event's name or the fact's."""

    key: bytes
    at_ms: int
    way: str
    """in, out, or empty: recorded, and nobody knows which."""
    team: str
    shift: str = ""
    activity: str = ""
    venue: str = ""
    is_by_hand: bool = False
    double_tap_ms: int = 60_000
    longest_ms: int = 16 * HOUR_MS
    """As the kiosk went by."""
    known_ms: int = 0
    """When central came to know of it."""
    same: tuple[bytes, ...] = ()
    """Later taps that were this one again."""

    @property
    def keys(self) -> tuple[bytes, ...]:
        return (self.key, *self.same)


class Pair(NamedTuple):
    """What began and what ended a session; one of them may be missing.

    `state`: `whole`; `open`: a later tap may still end it, until `ends_by_ms`; `review`: a person must say, `why` is
    the reason.
    """

    first: Signing | None
    last: Signing | None
    state: str
    why: str = ""
    ends_by_ms: int = 0

    @property
    def named(self) -> Signing:
        """The signing that names it."""
        found = self.first or self.last
        assert found is not None
        return found


def once_each(signings: Iterable[Signing]) -> list[Signing]:
    """In order of time, a double tap as one: whatever comes soon after a signing is that signing again, also at
    another kiosk. A coordinator's word is no slip of the hand: only one that says the same is the same."""
    kept: list[Signing] = []
    for signing in sorted(signings, key=lambda each: (each.at_ms, each.key)):
        if kept and _is_again(kept[-1], signing):
            kept[-1] = _merged(kept[-1], signing)
        else:
            kept.append(signing)
    return kept


def _is_again(before: Signing, signing: Signing) -> bool:
    if signing.at_ms - before.at_ms >= signing.double_tap_ms:
        return False
    if before.is_by_hand or signing.is_by_hand:
        return before.team == signing.team and (before.way == signing.way or not signing.way)
    return True


def _merged(before: Signing, again: Signing) -> Signing:
    """The first one's time and name; what only the later one knew."""
    known = before if before.way or not again.way else again
    return before._replace(
        way=known.way,
        team=known.team,
        shift=known.shift,
        activity=known.activity,
        is_by_hand=before.is_by_hand and again.is_by_hand,
        same=(*before.same, *again.keys),
    )


def pairs(signings: Sequence[Signing]) -> list[Pair]:
    """Of signings that are once each."""
    found: list[Pair] = []
    segments = list(_segments(signings))
    for at, (segment, is_ended) in enumerate(segments):
        found += _paired(segment, is_open=at == len(segments) - 1 and not is_ended)
    return found


def _segments(signings: Sequence[Signing]) -> Iterator[tuple[list[Signing], bool]]:
    """Runs between certain points: before a sign-in, after a sign-out, and where nothing came for so long that a
    session would have been forgotten. With whether a certain point ends it."""
    run: list[Signing] = []
    for chain in _chains(_as_far_as_known(signings)):
        for signing in chain:
            if signing.way == "in" and run:
                yield run, True
                run = []
            run.append(signing)
            if signing.way == "out":
                yield run, True
                run = []
        if run:
            yield run, False
            run = []


def _as_far_as_known(signings: Sequence[Signing]) -> list[Signing]:
    """Kiosks do not hear a coordinator's word. Where one contradicts what they went by, their directions say nothing
    until both agree again."""
    found: list[Signing] = []
    tap: Signing | None = None
    stated = ""
    for signing in signings:
        if signing.is_by_hand:
            stated = signing.way
            found.append(signing)
            continue
        is_open = tap is not None and tap.way == "in" and signing.at_ms - tap.at_ms < signing.longest_ms
        believed = "in" if is_open else "out"
        tap = signing
        if stated in ("", believed) or signing.at_ms - found[-1].at_ms >= signing.longest_ms:
            stated = ""
            found.append(signing)
        else:
            stated = believed
            found.append(signing._replace(way=""))
    return found


def _chains(signings: Sequence[Signing]) -> Iterator[list[Signing]]:
    chain: list[Signing] = list(signings[:1])
    for before, signing in pairwise(signings):
        if signing.at_ms - before.at_ms >= signing.longest_ms:
            yield chain
            chain = []
        chain.append(signing)
    if chain:
        yield chain


def _paired(run: list[Signing], *, is_open: bool) -> list[Pair]:
    if len(run) % 2 == 0:
        return [_whole(first, last) for first, last in zip(run[::2], run[1::2], strict=True)]
    state, ends_by_ms = ("open", run[-1].at_ms + run[-1].longest_ms) if is_open else ("review", 0)
    if len(run) == 1:
        (single,) = run
        if single.way == "out":
            return [Pair(None, single, "review", "no-sign-in")]
        why = "odd-tap" if not single.way else "" if is_open else "no-sign-out"
        return [Pair(single, None, state, why, ends_by_ms)]
    couples = list(zip(run[:-1:2], run[1::2], strict=True))
    doubted = [Pair(first, last, state, "odd-tap", ends_by_ms) for first, last in couples]
    if run[-1].way == "out":
        return [*doubted, Pair(None, run[-1], "review", "odd-tap")]
    return [*doubted, Pair(run[-1], None, state, "odd-tap", ends_by_ms)]


def _whole(first: Signing, last: Signing) -> Pair:
    if not first.team:
        return Pair(first, last, "review", "no-team")
    if first.team != last.team:
        return Pair(first, last, "review", "two-teams")
    return Pair(first, last, "whole")
