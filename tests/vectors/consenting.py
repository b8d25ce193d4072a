"""Consent at the screen (SPEC §5.1, §5.19, §7.14)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.deciding import DENIED, ENTRY, GRANTED, POLICY, TAP, held
from tests.vectors.journal import EVENT, PERSONAL, encoded
from tests.vectors.reference_decide import says_who
from tests.vectors.scenario import NOW, scenario

Json = dict[str, Any]
ITEMS = ("collector", "purpose", "categories", "use", "rights", "refusal")
ZH: Json = dict(zip(ITEMS, ("市府", "傳送通知", "假名", "同意期間", "得隨時撤回", "不影響入場"), strict=True))
EN: Json = dict(zip(ITEMS, ("The city", "Notices", "A pseudonym", "While you agree", "Any time", "None"), strict=True))
NOTICE: Json = {
    "purpose": "notices",
    "version": 3,
    "gives": True,
    "title_zh": "由市府訊息平台傳送通知",
    "title_en": "Notices through the city's messaging platform",
    "zh": ZH,
    "en": EN,
}
CARING: Json = {**NOTICE, "purpose": "caring", "version": 1, "gives": False}
CONSENTS: Json = {"version": NOW, "notices": [NOTICE, CARING]}
DETAIL: Json = {"purpose": "notices", "notice": 3, "said": "withdrawn"}


def build() -> None:
    encoded("consents", "5.19", "The notices that gates may show, of each purpose the newest.", "consents", CONSENTS)
    encoded("consents-of-nothing", "5.19", "There may be none.", "consents", {**CONSENTS, "notices": []})
    encoded("detail-consent", "5.1", "What was stated, of the version that was shown.", "consent-detail", DETAIL)
    detail = ref.message("consent-detail", DETAIL).hex()
    stated = {"kind": "consent", "direction": "", "reason": "consent-taken", "rule": "", "detail": detail}
    encoded("event-consent", "5.1", "A statement has a personal part, and no direction.", "event", {**EVENT, **stated})
    assert EVENT["personal_digest"] == ref.sha256(ref.message("personal", PERSONAL)).hex()
    _not_decoded()
    _recognised()


def _not_decoded() -> None:
    def consents(**changes: Any) -> bytes:
        return ref.message("consents", {**CONSENTS, "notices": [{**NOTICE, **changes}]})

    nine = [{**NOTICE, "purpose": f"purpose-{n}"} for n in range(9)]
    for name, message, data, rule in (
        ("consents-without-an-item", "consents", consents(zh={**ZH, "rights": ""}), "All six items are told."),
        ("consents-item-too-long", "consents", consents(en={**EN, "use": "x" * 2_001}), "2,000 characters an item."),
        ("consents-version-0", "consents", consents(version=0), "Notices are numbered from 1."),
        ("consents-without-purpose", "consents", consents(purpose=""), "A notice is of a purpose."),
        ("consents-twice", "consents", ref.message("consents", {**CONSENTS, "notices": [NOTICE] * 2}), "Each once."),
        ("nine-consents", "consents", ref.message("consents", {**CONSENTS, "notices": nine}), "8 purposes at most."),
        ("detail-consent-maybe", "consent-detail", ref.pack(["notices", 3, "maybe"]), "It is given or withdrawn."),
        ("detail-consent-version-0", "consent-detail", ref.pack(["notices", 0, "given"]), "A version was shown."),
        ("detail-consent-cut", "consent-detail", ref.pack(["notices", 3]), "What was said stands in it."),
    ):
        spec = "5.19" if message == "consents" else "5.1"
        scenario(
            f"decode-{name}", spec, rule, {"do": "decode", "message": message, "bytes": data.hex()}, failure="malformed"
        )
    given = {"do": "decode", "message": "consents", "zero_bytes": 1_048_577}
    scenario("decode-consents-too-large", "1.3", "1 MiB of notices is the most.", given, failure="oversized")


def _recognised() -> None:
    ignoring = {**POLICY, "untrusted_clock": "ignore-dates"}
    refusing = {**POLICY, "rules": [{"kind": "refuse", "id": "shut", "reason": "closed"}]}
    of_a_class = {**POLICY, "rules": [{"kind": "admit", "id": "staff", "classes": ["staff"]}], "restricted": ["staff"]}
    over, to_come = held(until_ms=NOW), held(from_ms=NOW + 1)
    for name, rule, expect, policy, entry, tap in (
        ("good", "A card that is in force speaks for its holder.", "", POLICY, ENTRY, {}),
        ("whom-no-rule-admits", "Rules are not asked.", "", refusing, ENTRY, {}),
        ("of-another-class", "Classes are not asked.", "", of_a_class, held("citizen"), {}),
        ("while-closed", "Nobody is let in, so a closure keeps out nobody.", "", POLICY, ENTRY, {"is_closed": True}),
        ("past-the-restrict-age", "Nor does the restrict age.", "", of_a_class, ENTRY, {"staleness": "restrict"}),
        ("unconfirmed-clock", "A gate that was restarted while apart takes it.", "", POLICY, ENTRY, {"clock": 1}),
        ("clock-behind", "Nobody could tell which was the last.", "clock-untrusted", POLICY, ENTRY, {"clock": 2}),
        ("clock-ahead", "Whatever the policy says.", "clock-untrusted", ignoring, ENTRY, {"clock": 3}),
        ("no-policy", "Without a policy the gate is not ready.", "list-missing", None, ENTRY, {}),
        ("no-list", "Without a list nobody is known.", "list-missing", POLICY, None, {"staleness": "missing"}),
        ("past-the-close-age", "A card may be lost by now.", "list-too-old", POLICY, ENTRY, {"staleness": "close"}),
        ("unknown", "Nobody knows whose it is.", "unknown-card", POLICY, None, {}),
        ("blocked", "A blocked card speaks for nobody.", "card-blocked", POLICY, {**ENTRY, "state": 1}, {}),
        ("lost", "Whoever found it may hold it.", "card-lost", POLICY, {**ENTRY, "state": 2}, {}),
        ("replaced", "The newer card speaks.", "card-replaced", POLICY, {**ENTRY, "state": 3}, {}),
        ("over", "It may be another's by now.", "expired", POLICY, {**over, "until_ms": NOW}, {}),
        ("to-come", "It is not in force yet.", "not-yet-valid", POLICY, {**to_come, "from_ms": NOW + 1}, {}),
    ):
        given = {"policy": policy, "entry": entry, "tap": {**TAP, **tap}}
        if says_who(**given) != expect:
            raise AssertionError(f"{name}: {says_who(**given)}, {expect} was meant")
        answer = {"outcome": DENIED if expect else GRANTED, "reason": expect or "consent-taken"}
        scenario(f"recognised-{name}", "7.14", rule, {"do": "recognised", **given}, answer)
