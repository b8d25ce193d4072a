"""The types of what others are told, and which events of gates they are made of. Pure."""

from protocol.messages import Kind

TAP, ADMIT = "tw.tapgate.tap.v1", "tw.tapgate.admit.v1"
PASSAGE, UNDO = "tw.tapgate.passage.v1", "tw.tapgate.undo.v1"
TEST = "tw.tapgate.test.v1"
"""Sent when a person tries a subscription; never subscribed to."""

OF_KIND = {Kind.TAP.value: TAP, Kind.ADMIT.value: ADMIT, Kind.PASSAGE.value: PASSAGE, Kind.UNDO.value: UNDO}
"""Type by the kind of the gate's event; events of other kinds are nobody's business outside."""

HOLD_READY, OVERDUE = "tw.tapgate.notice.hold-ready.v1", "tw.tapgate.notice.overdue.v1"
NO_SIGN_OUT = "tw.tapgate.notice.no-sign-out.v1"
POINTS_EXPIRING = "tw.tapgate.notice.points-expiring.v1"
NOTICES = frozenset({HOLD_READY, OVERDUE, NO_SIGN_OUT, POINTS_EXPIRING})
"""For the city's messaging platform: they name a member, by consent only."""

EVERY = frozenset(OF_KIND.values()) | NOTICES
GATE_TYPES = frozenset(OF_KIND.values())


SHORT = {
    type_.removeprefix("tw.tapgate.").removeprefix("notice.").removesuffix(".v1"): type_ for type_ in sorted(EVERY)
}
"""What people at a command line may call them: `tap`, `hold-ready`."""


def kinds_of(types: frozenset[str]) -> list[str]:
    """Which kinds of events of gates a subscription to these types is told of."""
    return sorted(kind for kind, type_ in OF_KIND.items() if type_ in types)
