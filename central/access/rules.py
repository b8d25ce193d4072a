"""The one table of who may do what. An action without a rule is refused to everybody but this machine's operator.

An admin may do all that stands here, an auditor all of it that does not write; operators and coordinators what names
them, and only in their own venues and teams: each parameter that a rule names is looked up and must lie there
(`central.access.reach`). A parameter that was not given narrows nothing, so a rule then needs `filtered`: the action
itself shows no more than `context.scope`.
"""

from dataclasses import dataclass

from central.access.caller import Caller, Role

OPERATOR, COORDINATOR, ADMIN, AUDITOR = Role.OPERATOR, Role.COORDINATOR, Role.ADMIN, Role.AUDITOR


@dataclass(frozen=True)
class Rule:
    """Of one action.

    `roles`: who beside admins (and auditors, where it only reads).
    `own`: pairs of a kind in `reach.KINDS` and the parameter that holds it.
    `filtered`: without those parameters, it shows only what lies in the caller's scope.
    `open`: what it shows or does belongs to no venue and no team.
    `personal`: looking is written into the audit log, too.
    `scope`: whoever comes with a token of this scope may ask, whatever the roles of its account.
    """

    roles: frozenset[Role] = frozenset()
    own: tuple[tuple[str, str], ...] = ()
    filtered: bool = False
    open: bool = False
    personal: bool = False
    scope: str = ""


def _for(*roles: Role, filtered: bool = False, open: bool = False, personal: bool = False, **own: str) -> Rule:
    return Rule(frozenset(roles), tuple(own.items()), filtered, open, personal)


def admins(personal: bool = False) -> Rule:
    """For admins; for auditors where it only reads."""
    return Rule(personal=personal)


ENTITLEMENT, CITIZEN, FEED = "entitlement", "citizen", "feed"
SCOPES = frozenset({ENTITLEMENT, CITIZEN, FEED})
"""What tokens of other city systems are for. One of `citizen` asks on behalf of a citizen who is signed in there."""
ON_BEHALF = "on behalf of the member"
"""Why such a one looked, as the audit log has it."""


def _scoped(scope: str, personal: bool = True) -> Rule:
    """For systems with a token of the scope, and for admins and auditors. It is bound to no venue."""
    return Rule(open=True, personal=personal, scope=scope)


LOCAL_ONLY = frozenset({"backup", "export.history"})
"""Takes a path of the server: for this machine's command line alone."""

_OWN = _for(OPERATOR, COORDINATOR, AUDITOR, open=True)
"""About the caller's own account: whoever asks about another's is refused by the action (`actions.access.whose`).
An auditor changes nothing of the city, and still has a password to change."""

RULES: dict[str, Rule] = {
    # accounts
    "account.add": admins(),
    "account.list": admins(),
    "account.set": admins(),
    "account.reset": admins(),
    "account.unlock": admins(),
    "account.show": _OWN,
    "account.password": _OWN,
    "account.totp.begin": _OWN,
    "account.totp.confirm": _OWN,
    "account.totp.remove": _OWN,
    "session.list": _OWN,
    "session.end": _OWN,
    "token.issue": _OWN,
    "token.list": _OWN,
    "token.revoke": _OWN,
    "audit.list": admins(),
    "audit.verify": admins(),
    # places
    "domain.add": admins(),
    "domain.list": _for(OPERATOR, COORDINATOR, open=True),
    "venue.add": admins(),
    "venue.list": _for(OPERATOR, filtered=True, venue="id"),
    "venue.set": _for(OPERATOR, venue="id"),
    "gate.add": admins(),
    "gate.list": _for(OPERATOR, filtered=True, gate="id"),
    "gate.config.show": _for(OPERATOR, gate="gate"),
    "gate.config.history": _for(OPERATOR, gate="gate"),
    "gate.config.check": _for(OPERATOR, gates="gates", venue="venue"),
    "gate.config.put": _for(OPERATOR, gates="gates", venue="venue"),
    "gate.config.back": _for(OPERATOR, gate="gate"),
    "staff.add": _for(OPERATOR, venue="venue"),
    "staff.list": _for(OPERATOR, filtered=True, venue="venue"),
    "staff.remove": _for(OPERATOR, venue="venue"),
    "closure.add": _for(OPERATOR, venue="venue"),
    "closure.end": _for(OPERATOR, closure="id"),
    "closure.list": _for(OPERATOR, filtered=True),
    "profile.list": _for(OPERATOR, open=True),
    "profile.show": _for(OPERATOR, open=True),
    "profile.put": admins(),
    "profile.remove": admins(),
    "inside": _for(OPERATOR, venue="venue", personal=True),
    "visits": _for(OPERATOR, venue="venue"),
    "occupancy": _for(OPERATOR, venue="venue"),
    "occupancy.correct": _for(OPERATOR, venue="venue"),
    # reports
    "overview.show": _for(OPERATOR, COORDINATOR, filtered=True),
    "report.visits": _for(OPERATOR, filtered=True, venue="venue"),
    "report.peaks": _for(OPERATOR, filtered=True, venue="venue"),
    "report.denials": _for(OPERATOR, filtered=True, venue="venue", gate="gate"),
    "report.devices": _for(OPERATOR, filtered=True, venue="venue", gate="gate"),
    "report.recount": admins(),
    # devices
    "device.list": _for(OPERATOR, filtered=True, device="device", gate="gate", venue="venue"),
    "device.show": _for(OPERATOR, device="device"),
    "device.move": _for(OPERATOR, device="device", gate="gate"),
    "device.replace": _for(OPERATOR, device="device"),
    "device.ban": _for(OPERATOR, device="device"),
    "bundle.ask": _for(OPERATOR, device="device"),
    "bundle.list": _for(OPERATOR, filtered=True, device="device"),
    "bundle.fetch": _for(OPERATOR, bundle="bundle", personal=True),
    "device.invite": _for(OPERATOR, gate="gate"),
    "device.confirm": _for(OPERATOR, device="device"),
    "device.revoke": _for(OPERATOR, device="device"),
    # events to others, and other city systems
    "subscription.add": admins(),
    "subscription.list": admins(),
    "subscription.show": admins(),
    "subscription.pause": admins(),
    "subscription.resume": admins(),
    "subscription.rotate": admins(),
    "subscription.replay": admins(),
    "subscription.test": admins(),
    "subscription.remove": admins(),
    "subscription.dead": admins(),
    "feed.read": _scoped(FEED, personal=False),
    "entitlement": _scoped(ENTITLEMENT),
    "citizen.visits": _scoped(CITIZEN),
    "citizen.hours": _scoped(CITIZEN),
    "citizen.points": _scoped(CITIZEN),
    "citizen.looks": _scoped(CITIZEN),
    # alerts and health
    "alert.list": _for(OPERATOR, filtered=True, venue="venue", gate="gate"),
    "alert.show": _for(OPERATOR, alert="alert"),
    "alert.acknowledge": _for(OPERATOR, alert="alert"),
    "alert.resolve": _for(OPERATOR, alert="alert"),
    "alert.contact.list": admins(),
    "alert.contact.put": admins(),
    "alert.contact.remove": admins(),
    "alert.test": admins(),
    "health.show": admins(),
    # policies
    "policy.show": _for(OPERATOR, COORDINATOR, open=True),
    "policy.check": _for(OPERATOR, open=True),
    "policy.put": admins(),
    "policy.replay": admins(),
    "policy.correct": admins(),
    "policy.calendar": admins(),
    "policy.list": _for(OPERATOR, COORDINATOR, open=True),
    "policy.history": _for(OPERATOR, COORDINATOR, open=True),
    "policy.diff": _for(OPERATOR, COORDINATOR, open=True),
    # publishing by stages: policies are for admins, configurations for the operators of all their gates
    "rollout.start": _for(OPERATOR, gates="gates", venue="venue", policy="policy"),
    "rollout.list": _for(OPERATOR, filtered=True),
    "rollout.show": _for(OPERATOR, rollout_seen="id"),
    "rollout.go-on": _for(OPERATOR, rollout="id"),
    "rollout.halt": _for(OPERATOR, rollout="id"),
    "rollout.back": _for(OPERATOR, rollout="id"),
    "rollout.withdraw": _for(OPERATOR, rollout="id"),
    "freeze.put": _for(OPERATOR, venue="venue"),
    "freeze.list": _for(OPERATOR, COORDINATOR, open=True),
    "freeze.remove": _for(OPERATOR, freeze="id"),
    # custody
    "log": _for(OPERATOR, filtered=True, gate="gate", device="device"),
    "evidence": _for(OPERATOR, filtered=True, device="device"),
    "explain": _for(OPERATOR, event="event", personal=True),
    "batch.list": _for(OPERATOR, filtered=True, venue="venue", gate="gate", device="device"),
    "event.list": _for(OPERATOR, filtered=True, venue="venue", gate="gate", device="device"),
    # by the gate where it happened, which may not be the one where the device stands now
    "batch.show": _for(OPERATOR, filtered=True),
    "event.show": _for(OPERATOR, filtered=True),
    "proof.make": _for(OPERATOR, filtered=True, personal=True),
    "device.timeline": _for(OPERATOR, device="device"),
    "verify": admins(),
    "journal.import": admins(),
    "rebuild": admins(),
    "rebuild.apply": admins(),
    "clock.offset": _for(OPERATOR, device="device"),
    # conflicts
    "conflict.list": _for(OPERATOR, filtered=True, device="device", venue="venue", member="member"),
    "conflict.counts": _for(OPERATOR, filtered=True, device="device", venue="venue"),
    "conflict.show": _for(OPERATOR, conflict="id", personal=True),
    "conflict.say": _for(OPERATOR, conflict="id"),
    # of many at once each is looked up by itself: those of other venues are answered as not found
    "conflict.settle": _for(OPERATOR, filtered=True),
    "conflict.comment": _for(OPERATOR, filtered=True),
    "conflict.assign": _for(OPERATOR, filtered=True),
    "conflict.retry": _for(OPERATOR, filtered=True),
    "conflict.assignees": _for(OPERATOR, filtered=True),
    "conflict.travel": admins(),
    # cards and members
    "card.find": _for(OPERATOR, member="member", uid="uid", card="card", personal=True),
    "card.history": _for(OPERATOR, uid="uid", card="card", personal=True),
    "card.block": _for(OPERATOR, member="member", uid="uid", card="card"),
    "card.unblock": _for(OPERATOR, member="member", uid="uid", card="card"),
    "card.state": _for(OPERATOR, member="member", uid="uid", card="card"),
    "card.lose": _for(OPERATOR, uid="uid", card="card"),
    "card.find-again": _for(OPERATOR, uid="uid", card="card"),
    "card.replace": _for(OPERATOR, uid="uid", card="card"),
    "card.bind": _for(OPERATOR, member="member"),
    "card.issue-day": _for(OPERATOR, venue="venue"),
    "card.uptake": _for(OPERATOR, filtered=True, member="member", card="card"),
    "card.flag": admins(),
    "card.flags": admins(),
    "card.import": admins(),
    "card.names": admins(),
    "card.batch.issue": admins(),
    "card.batch.list": admins(),
    "card.batch.rebind": admins(),
    "card.batch.show": admins(),
    "card.batch.undo": admins(),
    "card.bind-session.open": _for(OPERATOR, gate="gate", member="member"),
    "card.bind-session.list": _for(OPERATOR, filtered=True),
    "card.bind-session.show": _for(OPERATOR, bind_session="session"),
    "card.bind-session.cancel": _for(OPERATOR, gate="gate"),
    "member.find": _for(OPERATOR, filtered=True, personal=True),
    "member.show": _for(OPERATOR, filtered=True, member="member", personal=True),
    "member.put": _for(OPERATOR, domain="domain"),
    "member.number.put": _for(OPERATOR, member="member"),
    "member.number.remove": _for(OPERATOR, member="member"),
    "member.reindex": admins(),
    "member.classes": admins(),
    "member.history": _for(OPERATOR, member="member", personal=True),
    "member.move": admins(),
    # consent and the member's rights
    "purpose.list": _for(OPERATOR, COORDINATOR, open=True),
    "purpose.require": admins(),
    "notice.show": _for(OPERATOR, COORDINATOR, open=True),
    "notice.put": admins(),
    "consent.give": _for(OPERATOR, member="member"),
    "consent.withdraw": _for(OPERATOR, member="member"),
    "consent.list": _for(OPERATOR, member="member", personal=True),
    "consent.import": admins(),
    # of every domain at once, so for nobody of a single one
    "member.copy": admins(personal=True),
    "member.looks": admins(personal=True),
    "member.correct": admins(),
    "member.erase": admins(),
    "card.uid.ask": admins(),
    "card.uid.allow": admins(),
    "card.uid.show": admins(),
    "card.uid.list": admins(),
    "device.held": admins(personal=True),
    "domain.rotate-key": admins(),
    "incident.open": admins(),
    "incident.told": admins(),
    "incident.close": admins(),
    "incident.list": admins(),
    "retention.put": admins(),
    "retention.list": admins(),
    "hold.put": admins(),
    "hold.end": admins(),
    "hold.list": admins(),
    "erasure.list": admins(),
    "erasure.compact": admins(),
    # library systems
    "library.status": _for(OPERATOR, filtered=True, library="library"),
    "library.check": _for(OPERATOR, library="library"),
    "library.refresh": _for(OPERATOR, library="library", member="member"),
    "library.tap": _for(OPERATOR, gate="gate", personal=True),
    "library.checkout": _for(OPERATOR, library="library", member="member", uid="uid"),
    "library.return": _for(OPERATOR, library="library"),
    "library.believe": admins(),
    "library.forget": admins(),
    # volunteers
    "volunteer.team.list": _for(COORDINATOR, filtered=True),
    "volunteer.team.show": _for(COORDINATOR, team="id"),
    "volunteer.team.put": admins(),
    "volunteer.rules.show": _for(COORDINATOR, open=True),
    "volunteer.rules.put": admins(),
    "volunteer.sessions": _for(
        COORDINATOR, filtered=True, team="team", attendance="session", team_member="member", team_domain="domain"
    ),
    "volunteer.review": _for(
        COORDINATOR, filtered=True, team="team", attendance="session", team_member="member", team_domain="domain"
    ),
    "volunteer.months": _for(COORDINATOR, team="team"),
    "volunteer.month": _for(COORDINATOR, team="team"),
    "volunteer.approve": _for(COORDINATOR, team="team"),
    "volunteer.lock": _for(COORDINATOR, team="team"),
    "volunteer.export": _for(COORDINATOR, team="team", personal=True),
    "volunteer.roster": admins(),
    "volunteer.sign": _for(COORDINATOR, team="team", team_member="member"),
    "volunteer.settle": _for(COORDINATOR, attendance="session", team="team"),
    "volunteer.reassign": _for(COORDINATOR, attendance="session", team="team"),
    "volunteer.served": _for(COORDINATOR, attendance="session"),
    "volunteer.totals": _for(COORDINATOR, team_member="member", team_domain="domain"),
    "volunteer.certificates": _for(COORDINATOR, filtered=True, team_member="member"),
    "volunteer.certify": _for(COORDINATOR, team_member="member"),
    # programmes
    "activity.list": _for(OPERATOR, filtered=True, venue="venue", activity="id"),
    "activity.put": _for(OPERATOR, venue="venue", activity="id"),
    "activity.register": _for(OPERATOR, activity="activity"),
    "activity.attendance": _for(OPERATOR, activity="id", personal=True),
    "pass.list": _for(OPERATOR, filtered=True, member="member", personal=True),
    "pass.counts": _for(OPERATOR, filtered=True),
    "offer.list": _for(OPERATOR, COORDINATOR, open=True),
    "offer.import": admins(),
    # tables that leave
    "export.declare": admins(),
    "export.list": admins(personal=True),
    # points
    "points.balance": _for(OPERATOR, member="member", domain="domain", personal=True),
    "points.statement": _for(OPERATOR, member="member", domain="domain", personal=True),
    "points.grant": admins(),
    "points.adjust": admins(),
    "points.redeem": _for(OPERATOR, member="member", domain="domain"),
    "points.totals": admins(),
    "points.close": admins(),
    "points.round": admins(),
    "points.write-off": admins(),
    "points.overspent": admins(),
    "points.plan.list": _for(OPERATOR, open=True),
    "points.plan.show": _for(OPERATOR, open=True),
    "points.plan.put": admins(),
}


def leaves_trace(action: str, *, writes: bool) -> bool:
    """Whether asking for it is written into the audit log also where nothing is refused."""
    return writes or RULES.get(action, Rule()).personal


def may(caller: Caller, action: str, *, writes: bool) -> bool:
    """Whether the caller's roles and token let them ask for this action at all, wherever it is about."""
    if caller.local:
        return True
    rule = RULES.get(action)
    if rule is None or action in LOCAL_ONLY or (caller.only is not None and action not in caller.only):
        return False
    if rule.scope and rule.scope in caller.scopes:
        return True
    if ADMIN in caller.roles or (AUDITOR in caller.roles and not writes):
        return True
    return bool(caller.roles & rule.roles)
