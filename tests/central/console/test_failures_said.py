"""What goes wrong on a page is told there in the language of the page: real failures of real forms."""

import html
import re
from typing import Any

import pytest

from tests.central.console.person import Console

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])
"""Which database refuses makes no difference to how it is told."""
ALERT = re.compile(r'<p class="problem"[^>]*>(.*?)</p>', re.DOTALL)
CHINESE = re.compile("[\u3400-\u9fff]")
SENTENCE = re.compile(r"(?:\b[A-Za-z]{2,}\b[ ,:]+){3}")
"""Four words in a row are English; names, codes and examples are shorter."""

POSTED: list[tuple[str, dict[str, Any]]] = [
    ("/accounts", {"name": "X", "roles": "admin"}),
    ("/accounts/nobody", {"roles": "operator"}),
    ("/tokens", {"id": "one", "days": "0"}),
    ("/tokens/none/revoke", {}),
    ("/me/password", {"old": "wrong", "new": "short", "again": "short"}),
    ("/me/phone/confirm", {"code": "000000"}),
    ("/alerts/contacts", {"id": "lin", "title": "Lin", "mail": "no address"}),
    ("/alerts/contacts", {"id": "lin", "title": "Lin", "webhook": "http://10.0.0.1/"}),
    ("/alerts/00112233445566778899aabbccddeeff/resolve", {"why": "seen"}),
    ("/batches/none/undo", {}),
    ("/binding/00112233445566778899aabbccddeeff/cancel", {}),
    ("/day-cards", {"uid": "zz", "venue": "nowhere", "member": "x"}),
    ("/cards/zz/block", {}),
    ("/closures", {"venue": "main", "since": "soon", "until": "2026-09-01"}),
    ("/closures", {"venue": "nowhere", "since": "2030-09-01", "until": "2030-09-02", "why_zh": "x", "why_en": "x"}),
    ("/closures/none/end", {}),
    ("/conflicts/zz/say", {"do": "settle", "why": "x"}),
    ("/devices/none/move", {"gate": "door-1"}),
    ("/devices/door-1-device/move", {"gate": "nowhere"}),
    ("/gates/domains", {"domain": "library", "title": "x"}),
    ("/gates/venues", {"venue": "new", "domain": "nowhere", "title": "x"}),
    ("/gates/gates", {"gate": "new", "venue": "nowhere", "title_zh": "x", "kind": "door"}),
    ("/gates/door-1/check", {"text": "x = ", "fragment": "1"}),
    ("/gates/door-1/check", {"text": "gate = 'x'", "fragment": "1"}),
    ("/gates/door-1/check", {"text": "languages = 3", "fragment": "1"}),
    ("/gates/none/invite", {}),
    ("/members/new", {"member": " x", "domain": "nowhere", "classes": "citizen"}),
    ("/points/grant", {"member": "nobody", "domain": "library", "points": "5", "why": "x"}),
    ("/points/months/close", {"domain": "library", "month": "soon"}),
    ("/points/plans", {"id": "p", "body": "x = "}),
    ("/points/plans", {"id": "p", "body": "domain = 'library'"}),
    ("/policies/none/check", {"text": "rules = 3", "fragment": "1"}),
    ("/policies/none/check", {"text": "[[rules]]\nkind = 'other'", "fragment": "1"}),
    ("/activities/new", {"id": "a", "venue": "nowhere", "since": "x", "until": "y"}),
    ("/rollouts/00112233/halt", {"why": "x"}),
    ("/freezes", {"id": "f", "why": "x", "from": "x"}),
    ("/freezes", {"id": "f", "why": "x", "when": "weekly", "days": "mon", "span": "25"}),
    ("/freezes/none/remove", {}),
    ("/staff", {"venue": "main", "id": "lin", "pin": "1"}),
    ("/staff/main/none/remove", {}),
    ("/profiles", {"name": "x", "text": "name = 'y'"}),
    ("/profiles/none/remove", {}),
    ("/visits/main/correct", {"why": "x"}),
    ("/volunteers/sessions/zz/settle", {"outcome": "void", "why": "x"}),
    ("/volunteers/teams/none/sign", {"member": "x", "in": "y", "why": "x"}),
    ("/imports", {"kind": "cards", "domain": "library"}),
    ("/privacy/notices/caring", {"zh_use": "x"}),
    ("/privacy/require", {"purpose": "caring", "when": "now"}),
    ("/privacy/holds", {"member": "nobody", "why": "x"}),
    ("/privacy/retention", {"venue": "main", "days": "3"}),
]
READ = (
    *("/sync-log?text=nothing-of-this", "/sync-log?after=x", "/sync-log/events?since=yesterday"),
    *("/sync-log/event?event=x", "/reports/visits?since=2026-02-02&until=2026-01-01", "/conflicts?after=x"),
    *("/rollouts/none", "/imports/none", "/members/none", "/devices/none", "/gates/none"),
    *("/volunteers/teams/none/2026-13", "/policies/none/versions/7"),
)


async def test_what_fails_on_a_page_is_told_in_its_language(console: Console) -> None:
    admin = await console.sign_in("admin")
    told: dict[str, list[str]] = {}
    for path, fields in POSTED:
        answered = await admin.post(f"/console{path}", **fields)
        told[f"{path} {fields}"] = _told(answered.text)
    for path in READ:
        told[path] = _told((await admin.get(f"/console{path}")).text)
    assert [path for path, texts in told.items() if not texts] == [], "each of them fails"
    english = [text for texts in told.values() for text in texts if not CHINESE.search(text) or SENTENCE.search(text)]
    assert english == []


async def test_in_english_the_same_failure_stays_as_it_is(console: Console) -> None:
    admin = await console.sign_in("admin")
    await admin.get("/console/gates")
    english = {"Accept-Language": "en"}
    answered = await admin.send(
        "/console/gates/domains", data={"csrf": admin.csrf, "domain": "library"}, headers=english
    )
    assert "domain &#39;library&#39; exists already" in answered.text


async def test_what_was_typed_is_escaped_in_every_language(console: Console) -> None:
    admin = await console.sign_in("admin")
    answered = await admin.get("/console/sync-log/events?since=<b>")
    assert "&lt;b&gt;" in answered.text
    assert "<b>" not in answered.text


def _told(page: str) -> list[str]:
    """What stands beside the heading that something was not done."""
    texts = [re.sub(r"<strong>.*?</strong>|<[^>]*>", "", found) for found in ALERT.findall(page)]
    return [html.unescape(text).strip() for text in texts]
