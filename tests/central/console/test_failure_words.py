"""Every failure that a page can show is said in zh-TW, and no phrase is kept that nobody says."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.console.failure_words import TERMS, book, files, in_words
from central.console.phrases import Phrasebook, phrase, shape
from protocol.errors import Failure
from tests.central.console.failure_sites import sites, unread

LIBRARIES = "libraries.toml"
CHINESE = re.compile("[\u3400-\u9fff]")
PLACE = re.compile(r"\{(\w*)\}")
APART = {
    "central/commands/": "the command line",
    "central/operate.py": "the command line",
    "central/local_api.py": "the command line's socket",
    "central/actions/custody/backup.py": "the command line: it takes a path of the server",
    "central/actions/custody/backup_file.py": "the command line",
    "central/actions/custody/log.py": "the command line and the API",
    "central/actions/custody/restore.py": "the command line",
    "central/actions/custody/verify": "the command line",
    "central/bundles.py": "devices",
    "central/claim.py": "devices",
    "central/device_api.py": "devices",
    "central/device_keys.py": "devices",
    "central/privacy/erasure/ledger.py": "the command line: a file of this machine, read when a backup is restored",
    "central/snapshots.py": "devices",
    "protocol/allowlist.py": "devices: what agents say of lists and manifests",
    "protocol/chunks.py": "devices",
    "protocol/erasure.py": "devices",
    "protocol/fleet.py": "devices",
    "protocol/history.py": "devices",
    "protocol/joining.py": "devices: a join token is typed there",
    "firmware_profiles/loader.py": "files of a gate's own machine, but for what `parse` says",
}
"""Places whose texts no page can show, and who meets them instead."""
MET = {
    "central was restored",
    "{}.toml: {}",
    "{}.toml: nested too deeply",
    "{}.toml: name is {}, the file says {} - at `$.name`",
    "expected text, got {}",
}
"""Of these places, what a page shows nonetheless: what became of sessions that bind cards, and what is wrong with a
profile that is published."""

JOINTS = {"{term}: {why}", "{field}: {why}", "{name}.toml: {why}"}
"""Phrases that only join others."""
SITES = sites()
SHOWN = [site for site in SITES if site.shape in MET or not site.where.startswith(tuple(APART))]
TOLD = files("zh-TW")
TERM_WORDS = TOLD[TERMS]
PHRASES = {shape(text): text for name, words in TOLD.items() if name != TERMS for text in words}


def tails(text: str) -> list[str]:
    """The text, and what follows the names of fields before it: `uid: reads as…` is `uid` and `reads as…`."""
    found = [text]
    head, joint, tail = text.partition(": ")
    while joint and (head == "{}" or head in TERM_WORDS):
        found.append(tail)
        head, joint, tail = tail.partition(": ")
    return found


def forms(text: str) -> list[str]:
    """The same with terms of several words as places, since the console looks them up there."""
    return [text, *(text.replace(term, "{}") for term in TERM_WORDS if " " in term and term in text)]


def is_said(text: str) -> bool:
    parts = [form for part in tails(text) for form in forms(part)]
    return any(part in PHRASES for part in parts) or (len(parts) > 1 and parts[-1] == "{}")


def test_every_failure_is_said_in_chinese() -> None:
    assert sorted({(site.shape, site.where) for site in SHOWN if not is_said(site.shape)}) == []


PASSED_ON = {
    ("central/access/perform.py", "why"),
    ("central/actions/alerts/contacts.py", "fault"),
    ("central/actions/cards/bind_settling.py", "why"),
    ("central/actions/cards/flags.py", "member"),
    ("central/actions/cards/import_plan.py", "', '.join(changes)"),
    ("central/actions/cards/import_plan.py", "row.problem"),
    ("central/actions/cards/importing.py", "why"),
    ("central/actions/cards/names.py", "problem"),
    ("central/actions/custody/verify.py", "str(said)"),
    ("central/actions/neighbours/citizen.py", "too_early_s"),
    ("central/actions/neighbours/entitlement.py", "too_early_s"),
    ("central/actions/neighbours/subscriptions.py", "fault"),
    ("central/neighbours/events/posting.py", "fault"),
    ("central/neighbours/events/verdicts.py", "failed[0].sent.problem"),
    ("central/actions/table_rows.py", "wrong"),
    ("central/bind_sessions.py", "why"),
    ("central/console/pages/conflicts.py", "done.results[0].why"),
    ("central/console/pages/exports.py", "text % values"),
    ("central/moving.py", "why"),
    ("central/neighbours/sip2/line.py", "text"),
    ("central/operate.py", "said['failure']"),
}
"""Texts that come from elsewhere in the source, and are read there (`failure_sites.TOLD`, `RETURNED`), or are none."""


def test_no_failure_has_a_text_that_is_not_read() -> None:
    assert sorted(unread() - PASSED_ON) == []
    assert len(SHOWN) > 500


def test_no_phrase_is_kept_that_no_failure_says() -> None:
    said = {part for site in SHOWN for part in tails(site.shape)}
    own = {shape(text) for name, words in TOLD.items() if name not in (TERMS, LIBRARIES) for text in words} - {
        "{}: {}"
    }  # joins, wherever
    assert sorted(own - said - {"{}: {}"}) == [], "but for what joins others"


def test_what_is_set_apart_is_there() -> None:
    wheres = [site.where for site in SITES]
    assert [place for place in APART if not any(where.startswith(place) for where in wheres)] == []
    assert MET - {site.shape for site in SITES} == set()


def test_both_languages_put_the_same_places_in() -> None:
    phrases = [each for name, words in TOLD.items() if name != TERMS for each in words.items()]
    assert [text for text, said in phrases if sorted(PLACE.findall(text)) != sorted(PLACE.findall(said))] == []
    assert [text for text, _ in phrases if len(set(PLACE.findall(text))) != len(PLACE.findall(text))] == []


def test_what_is_said_is_chinese() -> None:
    odd = [text for words in TOLD.values() for text, said in words.items() if not CHINESE.search(PLACE.sub("", said))]
    assert sorted(odd) == sorted(JOINTS)


def test_a_phrase_stands_in_one_file() -> None:
    every = [shape(text) for name, words in TOLD.items() if name != TERMS for text in words]
    assert sorted(text for text in set(every) if every.count(text) > 1) == ["{}: {}"], "of terms, and of anything else"


def test_every_kind_of_refusal_has_a_word() -> None:
    assert [kind for kind in Failure if kind not in TERM_WORDS] == []


# --- how a phrase is found --------------------------------------------------------------------------------------

ZH = book("zh-TW")
WORDED = [each for each in ZH.phrases if each.places and each.text not in JOINTS]
ONE_WORD = sorted(term for term in TERM_WORDS if " " not in term)
PLAIN = {"term": "closure", "why": "not a decimal UID"}
TYPED = st.text() | st.sampled_from(["{why}", "{}", "{0.__class__}", ".*", "(?P<", "\\", "\n", "': see `", "%s", "; "])


@given(st.sampled_from(WORDED), st.data())
def test_a_filled_phrase_is_known_whatever_was_typed(each: Any, data: Any) -> None:
    kinds = {"term": st.sampled_from(ONE_WORD), "why": st.sampled_from(["empty", "uid: not a decimal UID"])}
    values = [data.draw(kinds.get(place.rstrip("0123456789"), TYPED)) for place in each.places]
    text = each.words[0] + "".join(value + words for value, words in zip(values, each.words[1:], strict=True))
    found = ZH.phrase_of(text)
    assert found is not None
    assert found is each or found.leads or found.weight >= each.weight
    assert in_words("zh-TW", text) != text


@pytest.mark.parametrize("each", WORDED, ids=lambda each: each.text)
def test_a_phrase_is_mistaken_for_no_other(each: Any) -> None:
    values = [PLAIN.get(place.rstrip("0123456789"), "Q7") for place in each.places]
    text = each.words[0] + "".join(value + words for value, words in zip(values, each.words[1:], strict=True))
    found = ZH.phrase_of(text)
    assert found is not None
    assert found is each or found.leads


@given(st.text())
def test_any_text_is_shown_in_some_way(text: str) -> None:
    assert in_words("zh-TW", text) or not text
    assert in_words("en", text) == text


def test_a_text_that_is_no_phrase_stays_as_it_is() -> None:
    for text in ("", "something else happened", "a: b", "uid: something else", "gate: x; y", "x" * 30_000):
        assert in_words("zh-TW", text) == text


def test_parts_are_said_where_they_are_joined() -> None:
    assert in_words("zh-TW", "member: 'x' is not known here; import the member's card first").startswith("會員代號：")
    assert in_words("zh-TW", "not-satisfiable: there is no gate 'x'") == "無法成立：沒有閘門 'x'"
    two = "policy: rule 'a' can never decide, 'b' always does before it; rule 'c' stands twice"
    said = in_words("zh-TW", two)
    assert said.startswith("規則：條款 'a' 永遠不會生效")
    assert said.endswith("；條款 'c' 重複出現")


def test_codes_are_said_as_pages_and_screens_say_them() -> None:
    assert in_words("zh-TW", "the gate did not take the card: unknown-card") == "閘門未接受此卡：這張卡尚未登記"
    assert in_words("zh-TW", "books is paused already") == "books 的狀態已經是「已暫停」"


def test_places_may_change_their_order() -> None:
    some = Phrasebook([phrase("{a} of {b}", "{b} 的 {a}")], {})
    assert some.say("one of {a}{b}") == "{a}{b} 的 one"


def test_a_miss_is_quick() -> None:
    for miss in ("there is no such thing in the city", "uid: x: something else", "gate door-1 does not answer"):
        assert in_words("zh-TW", miss) == miss
        assert min(_time_s(miss) for _ in range(20)) < 0.01


def test_what_somebody_typed_to_be_slow_is_not() -> None:
    for typed in ("a: b; " * 3_000, "x, row 3: " * 1_000, "no card, row 3: see `x` " * 800, " (x)" * 4_000):
        assert min(_time_s("the " + typed) for _ in range(3)) < 0.1


def _time_s(text: str) -> float:
    began = time.thread_time()
    in_words("zh-TW", text)
    return time.thread_time() - began
