"""What the details of events say, in the log and of a device; custody takes them as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from central.commands.custody import _log_text
from central.custody import Custodian
from central.details import NOTABLE, in_words, notable, told
from central.device_keys import DeviceKeys
from central.reports import Reports
from central.store.schema import RARE, RARE_KINDS, events
from protocol.envelope import unwrap
from protocol.messages import (
    AdmitDetail,
    ConfigDetail,
    InputDetail,
    Kind,
    Part,
    PassageDetail,
    ReaderDetail,
    Receipt,
    StoreDetail,
    Trouble,
    UndoDetail,
    decode,
    encode,
)
from tests.central.actors import NOW_MS, Journal
from tests.central.admin import Admin, admin_of
from tests.central.city import City

EPOCH = bytes.fromhex("5f3a9c0d1b2e4f60")
SAID = [
    (Kind.PASSAGE, PassageDetail(41, "taken"), "taken of #41", ("passage", "taken")),
    (Kind.PASSAGE, PassageDetail(41, "unknown", EPOCH), "unknown of #5f3a9c0d1b2e4f60/41", ("passage", "unknown")),
    (Kind.PASSAGE, PassageDetail(-1, "forced"), "forced", ("passage", "forced")),
    (Kind.PASSAGE, PassageDetail(-1, "melted"), "melted", ("passage", "other")),
    (
        *(Kind.READER, ReaderDetail("usb-1", "ready", "", "acr122u (local)", "ACR122U214")),
        *("usb-1 ready (profile acr122u (local), firmware ACR122U214)", ("reader", "ready")),
    ),
    (Kind.READER, ReaderDetail("usb-1", "wedged", "no answer"), "usb-1 wedged: no answer", ("reader", "wedged")),
    (Kind.RELEASE_FAILED, ReaderDetail("41", "failed", "no relay"), "for #41: no relay", None),
    (Kind.ADMIT, AdmitDetail("lin", "forgot the card", 7), "by lin after #7: forgot the card", None),
    (Kind.ADMIT, AdmitDetail("lin", "a visitor"), "by lin: a visitor", None),
    (Kind.UNDO, UndoDetail(41), "of #41: not-me", None),
    (Kind.INPUT, InputDetail("fire-alarm", True, 12), "fire-alarm on, 12 may be inside", ("input", "fire-alarm")),
    (Kind.INPUT, InputDetail("tamper", False), "tamper off", None),
    (Kind.CONFIG, ConfigDetail("config", "went-back", 3, "no such input"), "config 3 went-back: no such input", None),
    (Kind.CONFIG, ConfigDetail("profiles", "in-use", 4), "profiles 4 in-use", ("config", "in-use")),
    (Kind.STORE, StoreDetail("tail-lost", "", EPOCH, 3, 9), "tail-lost of 5f3a9c0d1b2e4f60 from 3 to 9", None),
    (Kind.STORE, StoreDetail("trouble", "disk full"), "trouble: disk full", ("store", "trouble")),
]


@pytest.mark.parametrize(("kind", "detail", "words", "counted"), SAID)
def test_each_kind_is_told_in_words(kind: str, detail: Any, words: str, counted: Any) -> None:
    data = encode(detail)
    said = told(kind, data)
    assert in_words(kind, json.loads(json.dumps(said))) == words
    assert list(said) == list(type(detail).__struct_fields__)
    if counted is not None or kind in (Kind.ADMIT, Kind.UNDO, Kind.RELEASE_FAILED):
        assert notable(kind, data) == counted


@given(st.sampled_from([*Kind, "from-the-future"]), st.binary(max_size=60))
def test_no_detail_breaks_the_log_or_makes_a_count_of_its_own(kind: str, detail: bytes) -> None:
    said = told(kind, detail)
    json.dumps(said)
    assert isinstance(in_words(kind, said), str)
    counted = notable(kind, detail)
    if counted is not None:
        assert counted[1] in {*NOTABLE[kind][1], "other"}


def test_the_rare_kinds_are_all_but_taps_their_passages_and_starts() -> None:
    assert set(RARE_KINDS) == {kind.value for kind in Kind} - {"tap", "passage", "start"}


# --- in custody -----------------------------------------------------------------------------------------------------


@pytest.fixture
def custodian(database: Any, keys: Any) -> Custodian:
    return Custodian(database, keys, DeviceKeys(database))


@pytest.fixture
def admin(database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


async def test_every_kind_is_known_and_none_is_refused_for_its_detail(
    city: City, custodian: Custodian, admin: Admin
) -> None:
    journal = Journal(city.device)
    for kind, detail, _, _ in SAID:
        journal.add(kind, detail=encode(detail))
    journal.add(Kind.ADMIT, detail=encode([*encode_list(AdmitDetail("lin", "x")), "a newer agent says more"]))
    journal.add(Kind.INPUT, detail=b"\xc1")
    taken = await custodian.take(journal.upload(), NOW_MS)
    assert decode(Receipt, unwrap(taken.answer).payload).exceptions == ()
    assert taken.notable.count(("config", "went-back")) == 1
    assert taken.notable.count(("input", "other")) == 1
    assert {row.outcome for row in await city.rows(events)} == {"accepted"}
    lines = await log(admin)
    assert [line.detail for line in lines[-2:]] == [
        {"unreadable": encode([*encode_list(AdmitDetail("lin", "x")), "a newer agent says more"]).hex()},
        {"unreadable": "c1"},
    ]
    said = [in_words(line.kind, line.detail) for line in lines[1 : len(SAID) + 1]]
    assert said == [words for _, _, words, _ in SAID]
    assert lines[0].detail == {"previous_epoch": "", "previous_sequence": -1, "why": ""}


def encode_list(detail: Any) -> list[Any]:
    return [getattr(detail, name) for name in detail.__struct_fields__]


async def log(admin: Admin, **filters: Any) -> list[Any]:
    await admin.act("log", **filters)
    return admin.items


async def test_the_log_is_filtered_by_kind(city: City, custodian: Custodian, admin: Admin) -> None:
    journal = Journal(city.device)
    journal.tap(3)
    journal.add(Kind.READER, detail=encode(ReaderDetail("r", "ready")))
    journal.add(Kind.PASSAGE, detail=encode(PassageDetail(1, "taken")))
    await custodian.take(journal.upload(), NOW_MS)
    for kind, number in (("tap", 3), ("reader", 1), ("passage", 1), ("start", 1), ("admit", 0), ("x", 0), ("", 6)):
        assert len(await log(admin, kind=kind)) == number, kind
    assert len(await log(admin, kind="reader", gate="door-1", limit=5)) == 1


def test_a_devices_words_do_not_steer_a_terminal() -> None:
    line = dict.fromkeys(("direction", "decision", "reason", "rule"), "") | {"repeat_of": 0, "outcome": "accepted"}
    line |= {"time": "t", "gate": "g\x1b[2J", "kind": "reader", "device": "d", "epoch": "e", "sequence": 1}
    line["detail"] = told("reader", encode(ReaderDetail("\x1b]0;title\x07", "ready", "a\nb")))
    assert _log_text(line) == "t g\ufffd[2J reader \ufffd]0;title\ufffd ready: a\ufffdb d/e/1"


async def test_a_device_is_shown_as_its_newest_poll_and_epoch_have_it(
    city: City, custodian: Custodian, admin: Admin
) -> None:
    old = Journal(city.device)
    old.add(Kind.READER, detail=encode(ReaderDetail("gone", "ready")))
    await custodian.take(old.upload(), NOW_MS)
    now = Journal(city.device, old)
    for at, detail in enumerate(
        (
            ReaderDetail("usb-1", "starting"),
            ReaderDetail("usb-1", "ready", "", "acr122u", "214"),
            ReaderDetail("usb-2", "ready"),
            ReaderDetail("usb-2", "wedged", "no answer", "generic-pcsc"),
        )
    ):
        now.add(Kind.READER, detail=encode(detail), at_ms=NOW_MS + at)
    now.add(Kind.INPUT, detail=encode(InputDetail("tamper", True)))
    now.add(Kind.INPUT, detail=encode(InputDetail("fire-alarm", True, 3)))
    now.add(Kind.INPUT, detail=encode(InputDetail("fire-alarm", False)))
    now.add(Kind.CONFIG, detail=encode(ConfigDetail("config", "went-back", 9, "no door contact")))
    now.add(Kind.CONFIG, detail=encode(ConfigDetail("profiles", "went-back", 4, "did not start")))
    now.add(Kind.CONFIG, detail=encode(ConfigDetail("profiles", "in-use", 5)))
    now.add(Kind.READER, detail=b"\xc1")
    await custodian.take(now.upload(), NOW_MS + 10)
    reports = Reports(city.database)
    parts = (Part("config", 7, bytes(32)),)
    troubles = (Trouble("config", 9, "not-satisfiable: passage"),)
    reports.note(city.device.poll_message(parts=parts, troubles=troubles, backlog=2), NOW_MS + 11)
    await reports.write()
    (found,) = (await admin.act("device.list", device=city.device.id)).devices
    assert [(r.reader, r.state, r.profile, r.firmware, r.why, r.since_ms) for r in found.readers] == [
        ("usb-1", "ready", "acr122u", "214", "", NOW_MS + 1),
        ("usb-2", "wedged", "generic-pcsc", "", "no answer", NOW_MS + 3),
    ]
    assert (found.inputs, found.parts, found.backlog) == (["tamper"], {"config": 7}, 2)
    assert found.troubles == [
        "config 9: not-satisfiable: passage",
        "config 9: went back to the last good one, no door contact",
    ]
    assert found.held_through == {now.epoch.hex(): 11}


async def test_a_device_that_said_nothing_is_shown_too(city: City, admin: Admin) -> None:
    (found,) = (await admin.act("device.list")).devices
    assert (found.readers, found.inputs, found.parts, found.troubles, found.held_through) == ([], [], {}, [], {})


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_rare_events_are_found_by_their_own_index(city: City) -> None:
    query = select(events.c.detail).where(RARE, events.c.device == "d", events.c.epoch == b"e")
    compiled = query.compile(compile_kwargs={"literal_binds": True})
    async with city.database.read() as connection:
        plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))).all()
    assert "events_rare" in str(plan)
