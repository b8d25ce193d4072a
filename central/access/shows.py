"""Which reading action shows what a change is about, so that the audit log holds it before and after.

A change that has no entry here is logged with its parameters and its answer.
"""

from collections.abc import Callable
from typing import Any

Show = tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]
"""A reading action, and its parameters out of those of the change."""


def _same(*fields: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda params: {field: params[field] for field in fields if params.get(field)}


_CARD = ("card.find", _same("uid", "notation", "member", "card"))
_MEMBER = ("member.show", _same("member"))
_CONSENTS = ("consent.list", _same("member"))
_CERTIFICATES = ("volunteer.certificates", _same("member"))
_SHEET = ("volunteer.month", _same("team", "month"))
_ROLLOUT = ("rollout.show", _same("id"))
_BALANCE = ("points.balance", _same("member", "domain"))
_ACCOUNT = ("account.show", _same("account"))
_SUBSCRIPTION = ("subscription.show", _same("id"))

SHOWS: dict[str, Show] = {
    "alert.acknowledge": ("alert.show", _same("alert")),
    "alert.resolve": ("alert.show", _same("alert")),
    "alert.contact.put": ("alert.contact.list", _same("id")),
    "alert.contact.remove": ("alert.contact.list", _same("id")),
    "account.add": _ACCOUNT,
    "account.set": _ACCOUNT,
    "account.reset": _ACCOUNT,
    "account.unlock": _ACCOUNT,
    "account.password": ("account.show", lambda _params: {}),
    "account.totp.begin": ("account.show", lambda _params: {}),
    "account.totp.confirm": ("account.show", lambda _params: {}),
    "account.totp.remove": _ACCOUNT,
    "session.end": ("session.list", _same("account")),
    "subscription.add": _SUBSCRIPTION,
    "subscription.pause": _SUBSCRIPTION,
    "subscription.resume": _SUBSCRIPTION,
    "subscription.rotate": _SUBSCRIPTION,
    "subscription.replay": _SUBSCRIPTION,
    "subscription.remove": _SUBSCRIPTION,
    "venue.set": ("venue.list", _same("id")),
    "library.believe": ("library.status", _same("library")),
    "library.forget": ("library.status", _same("library")),
    "gate.config.back": ("gate.config.show", _same("gate")),
    "staff.add": ("staff.list", _same("venue")),
    "staff.remove": ("staff.list", _same("venue")),
    "occupancy.correct": ("occupancy", _same("venue")),
    "device.confirm": ("device.list", _same("device")),
    "device.revoke": ("device.list", _same("device")),
    "device.move": ("device.list", _same("device")),
    "device.ban": ("device.list", _same("device")),
    "bundle.ask": ("bundle.list", _same("device")),
    "policy.put": ("policy.show", _same("id")),
    "rollout.go-on": _ROLLOUT,
    "rollout.halt": _ROLLOUT,
    "rollout.back": _ROLLOUT,
    "rollout.withdraw": _ROLLOUT,
    "freeze.put": ("freeze.list", _same("id")),
    "freeze.remove": ("freeze.list", _same("id")),
    "profile.put": ("profile.show", _same("name")),
    "profile.remove": ("profile.show", _same("name")),
    "conflict.say": ("conflict.show", _same("id")),
    "card.block": _CARD,
    "card.unblock": _CARD,
    "card.state": _CARD,
    "card.lose": _CARD,
    "card.find-again": _CARD,
    "card.replace": _CARD,
    "card.bind": _MEMBER,
    "member.put": _MEMBER,
    "member.number.put": _MEMBER,
    "member.number.remove": _MEMBER,
    "purpose.require": ("purpose.list", lambda _params: {}),
    "notice.put": ("notice.show", _same("purpose")),
    "card.uid.allow": ("card.uid.list", lambda _params: {}),
    "card.uid.show": ("card.uid.list", lambda _params: {}),
    "domain.rotate-key": ("domain.list", lambda _params: {}),
    "incident.told": ("incident.list", _same("id")),
    "incident.close": ("incident.list", _same("id")),
    "retention.put": ("retention.list", lambda _params: {}),
    "hold.end": ("hold.list", lambda _params: {}),
    "member.correct": ("member.show", lambda told: {"member": "" if told.get("reference") else told["member"]}),
    "consent.give": _CONSENTS,
    "consent.withdraw": _CONSENTS,
    "card.bind-session.cancel": ("card.bind-session.list", lambda _params: {}),
    "volunteer.team.put": ("volunteer.team.show", _same("id")),
    "volunteer.rules.put": ("volunteer.rules.show", lambda _params: {}),
    "volunteer.approve": _SHEET,
    "volunteer.lock": _SHEET,
    "volunteer.certify": _CERTIFICATES,
    "activity.put": ("activity.list", _same("venue")),
    "points.grant": _BALANCE,
    "points.adjust": _BALANCE,
    "points.redeem": _BALANCE,
    "points.close": ("points.totals", _same("domain", "month")),
    "points.plan.put": ("points.plan.show", _same("id")),
}

TARGETS = (
    *(
        "gate",
        "gates",
        "venue",
        "device",
        "policy",
        "member",
        "team",
        "session",
        "id",
        "ids",
        "alert",
        "event",
        "account",
        "card",
    ),
    *("domain", "activity", "policies", "library"),
)
"""Parameters that say what a change is about, the most telling first."""


def target_of(params: dict[str, Any]) -> str:
    """What the audit log is searched by."""
    for field in TARGETS:
        value = params.get(field)
        if value and isinstance(value, str):
            return value
        if value and isinstance(value, list):
            return " ".join(str(part) for part in value)
    return ""
