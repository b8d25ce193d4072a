"""What named people state about points: granted, adjusted, redeemed, reservations written off. Pure."""

from central.facts import Fact, FactBody
from central.services.points.ledger import CITY_LOSS, ISSUED, REDEEMED, Given, Taken


class PointsGranted(FactBody, frozen=True):
    """Points given by hand. `expires_ms` 0: they stay."""

    KIND = "points-granted"
    points: int
    why: str
    expires_ms: int = 0


class PointsAdjusted(FactBody, frozen=True):
    """A correction: points given (above 0) or taken back. `of`: the cause that it corrects, as a statement shows it."""

    KIND = "points-adjusted"
    points: int
    why: str
    of: str = ""
    expires_ms: int = 0


class PointsRedeemed(FactBody, frozen=True):
    """Points exchanged for something that the city pays: a transit subsidy."""

    KIND = "points-redeemed"
    points: int
    why: str


class ReservationsWrittenOff(FactBody, frozen=True):
    """What a gate had reserved and could not say whether it spent it was given back to the members."""

    KIND = "reservations-written-off"
    gate: str
    before_ms: int
    reservations: int
    points: int
    why: str


ENTRIES = (PointsGranted, PointsAdjusted, PointsRedeemed)
"""Facts that are entries of a ledger."""


def entry_of(fact: Fact) -> Given | Taken:
    """The entry that a fact is."""
    body, cause = fact.body, f"fact {fact.id.hex()}"
    if isinstance(body, PointsRedeemed):
        return Taken(fact.at_ms, body.points, REDEEMED, CITY_LOSS, cause, "redeemed")
    what = "granted" if isinstance(body, PointsGranted) else "adjusted"
    if body.points < 0:
        return Taken(fact.at_ms, -body.points, ISSUED, CITY_LOSS, cause, what)
    return Given(fact.at_ms, body.points, body.expires_ms, cause, what)
