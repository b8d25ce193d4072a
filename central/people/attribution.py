"""Whose a tap is, when it turned out that its card was bound to the wrong member. Pure.

Events are never rewritten: each says for ever whom the gate took the person for. What is counted goes by the binding
that is known now, of the moment of the tap.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from central.facts import FactBody
from central.people.bindings import FOR_EVER, Span, Statement, aliases, timeline
from protocol.allowlist import CardState


class Reattributed(FactBody, frozen=True, kw_only=True):
    """Taps that name the fact's subject and `card`, from then until then, are of another subject's card. Where two
    speak of the same tap, the newer one holds; one that names the subject itself takes an earlier one back."""

    KIND: ClassVar[str] = "reattributed"
    card: int
    to: bytes
    to_card: int
    from_ms: int
    until_ms: int
    """Excluded; 0 = open."""
    batch: str = ""


class Person(NamedTuple):
    """Who a gate takes somebody for: a subject, and which of the member's cards."""

    subject: bytes
    card: int


class Attribution:
    """What is known now of whose taps are. Facts in the order in which they were stated."""

    def __init__(self, facts: Iterable[tuple[bytes, Reattributed]]) -> None:
        self._by_person: dict[Person, list[Reattributed]] = {}
        for subject, fact in facts:
            self._by_person.setdefault(Person(subject, fact.card), []).append(fact)

    def __call__(self, told: Person, at_ms: int) -> Person:
        """Whose a tap is that names this person."""
        for fact in reversed(self._by_person.get(told, ())):
            if fact.from_ms <= at_ms < (fact.until_ms or FOR_EVER):
                return Person(fact.to, fact.to_card)
        return told


AS_TOLD = Attribution(())


def facts_of(
    before: Sequence[Statement], after: Sequence[Statement], subjects: Mapping[bytes, bytes], batch: str
) -> list[tuple[bytes, Reattributed]]:
    """What is stated in a domain when the statements about a card grew. `subjects`: who its members are there.

    Nothing where the card is whose it was. While it is nobody's, or of somebody who is not in the domain, taps stay
    with whom they name.
    """
    owned = _owners(after)
    if owned == _owners(before):
        return []
    may_have_moved = aliases(before) if len(aliases(before)) > 1 else []
    found: list[tuple[bytes, Reattributed]] = []
    for span in owned:
        target = subjects.get(span.bound.member)
        for member, number in aliases(after):
            if member not in subjects:
                continue
            told = Person(subjects[member], number)
            to = told if target is None else Person(target, span.bound.number)
            if to == told and (member, number) not in may_have_moved:
                continue
            fact = Reattributed(
                card=number,
                to=to.subject,
                to_card=to.card,
                from_ms=span.from_ms,
                until_ms=span.until_ms,
                batch=batch,
            )
            found.append((told.subject, fact))
    return found


def _owners(statements: Sequence[Statement]) -> list[Span]:
    """The time line without the states: neighbours of one owner are one."""
    found: list[Span] = []
    for span in timeline(statements):
        owned = span._replace(bound=span.bound._replace(state=CardState.ACTIVE), statement=0)
        last = found[-1] if found else None
        if last is not None and (last.until_ms, last.bound) == (owned.from_ms, owned.bound):
            found[-1] = last._replace(until_ms=owned.until_ms)
        else:
            found.append(owned)
    return found
