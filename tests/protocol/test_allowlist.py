"""The sum of a list says what stands in it, whatever way it came to be; and nothing goes back."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import allowlist, chunks
from protocol.allowlist import MODULUS, changed_total, entry_digest, list_digest, total
from protocol.errors import Failure, Refused
from protocol.messages import (
    MAX_CHUNK_ROWS,
    MAX_DELTA_CHUNKS,
    MAX_DELTA_ROWS,
    Delta,
    Manifest,
    PartName,
    Snapshot,
    decode,
)
from tests.vectors import publishing
from tests.vectors import reference as ref

TOKENS = st.binary(min_size=16, max_size=16)
ROWS = st.dictionaries(TOKENS, st.binary(min_size=1, max_size=40), max_size=12)
CHANGES = st.lists(st.dictionaries(st.integers(0, 9), st.none() | st.binary(min_size=1, max_size=40)), max_size=8)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_change_the_sum(rows: dict[bytes, bytes], shuffle: Any) -> None:
    listed = list(rows.items())
    shuffle.shuffle(listed)
    assert total(listed) == total(rows.items()) == int.from_bytes(ref.list_sum(list(rows.items())), "big")


@given(CHANGES)
def test_deltas_in_a_row_sum_to_what_the_whole_list_sums_to(changes: list[dict[int, bytes | None]]) -> None:
    rows: dict[bytes, bytes] = {}
    sum_ = total(())
    for change in changes:
        named = {number.to_bytes(16, "big"): entry for number, entry in change.items()}
        removed = [(token, rows[token]) for token in named if token in rows]
        added = [(token, entry) for token, entry in named.items() if entry is not None]
        sum_ = changed_total(sum_, removed, added)
        for token, entry in named.items():
            rows.pop(token, None)
            if entry is not None:
                rows[token] = entry
        assert sum_ == total(rows.items())


@given(ROWS, TOKENS, st.binary(min_size=1, max_size=40))
def test_row_added_and_taken_away_leaves_no_trace(rows: dict[bytes, bytes], token: bytes, entry: bytes) -> None:
    before = total(rows.items())
    after = changed_total(before, (), [(token, entry)])
    assert after != before
    assert 0 <= after < MODULUS
    assert changed_total(after, [(token, entry)], ()) == before


@given(TOKENS, st.binary(min_size=1, max_size=40), st.integers(0, 500))
def test_any_flipped_bit_of_a_row_changes_its_digest(token: bytes, entry: bytes, bit: int) -> None:
    row = bytearray(token + entry)
    row[bit // 8 % len(row)] ^= 1 << bit % 8
    assert entry_digest(bytes(row[:16]), bytes(row[16:])) != entry_digest(token, entry)


@settings(max_examples=50)
@given(st.integers(0, 2**53), st.integers(0, 2**53), st.integers(0, MODULUS - 1))
def test_list_digest_binds_domain_key_count_and_sum(key_number: int, count: int, sum_: int) -> None:
    digest = list_digest("library", key_number, count, sum_)
    others = [
        list_digest("pool", key_number, count, sum_),
        list_digest("library", key_number + 1, count, sum_),
        list_digest("library", key_number, count + 1, sum_),
        list_digest("library", key_number, count, (sum_ + 1) % MODULUS),
    ]
    assert digest not in others


@given(st.integers(0, 9_000))
@settings(max_examples=8, deadline=None)
def test_rows_come_back_from_their_chunks(count: int) -> None:
    rows = [(number.to_bytes(16, "big"), b"\x90") for number in range(count)]
    parts = chunks.chunks(rows)
    assert [row for part in parts for row in chunks.rows_of(part)] == rows
    assert len(parts) == -(-count // MAX_CHUNK_ROWS)


def test_full_chunk_of_the_largest_rows_is_within_its_limit() -> None:
    rows = [(number.to_bytes(16, "big"), bytes(1_024)) for number in range(MAX_CHUNK_ROWS)]
    (part,) = chunks.chunks(rows)
    assert chunks.rows_of(part) == rows


def test_largest_delta_fits_its_chunks() -> None:
    rows = [(number.to_bytes(16, "big"), b"\x90") for number in range(MAX_DELTA_ROWS)]
    assert len(chunks.chunks(rows)) == MAX_DELTA_CHUNKS


def manifest(**changes: Any) -> Manifest:
    return decode(Manifest, ref.message("manifest", publishing.MANIFEST | changes))


def snapshot(**changes: Any) -> Snapshot:
    return decode(Snapshot, ref.message("snapshot", publishing.SNAPSHOT | changes))


def delta(**changes: Any) -> Delta:
    return decode(Delta, ref.message("delta", publishing.DELTA | changes))


@given(st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_manifest_is_taken_when_newer_or_the_very_same(held: int, offered: int, same_content: bool) -> None:
    one, other = manifest(number=held), manifest(number=offered, generation=1 if same_content else 2)
    taken = offered > held or (offered == held and same_content)
    check(taken, lambda: allowlist.accept_manifest(one, other, publishing.DEVICE, 0), Failure.NOT_NEWER)


@given(st.integers(-2, 2))
def test_part_never_falls_below_its_floor(above: int) -> None:
    floor = 12 + above
    digest = publishing.POLICY_DIGEST
    check(
        above <= 0,
        lambda: allowlist.accept_part(manifest(), floor, PartName.POLICY, 12, digest),
        Failure.NOT_NEWER,
    )


@given(st.integers(-3, 1), st.integers(-3, 1))
def test_snapshot_lies_between_floor_and_manifest(floor: int, version: int) -> None:
    offered = snapshot(version=publishing.NEXT + version)
    floor_version = publishing.NEXT + floor
    taken = floor <= version <= 0
    failure = Failure.NOT_NEWER if version < floor else Failure.WRONG_BASE
    check(taken, lambda: allowlist.accept_snapshot(manifest(), floor_version, publishing.KEY_NUMBER, offered), failure)


@given(st.integers(-2, 2), st.integers(-2, 1))
def test_delta_leads_from_the_list_held_to_no_further_than_the_manifest(base: int, version: int) -> None:
    held = publishing.LIST
    offered = delta(base=held + base, version=publishing.NEXT + version)
    check(
        base == 0 and version <= 0,
        lambda: allowlist.accept_delta(manifest(), held, publishing.KEY_NUMBER, offered),
        Failure.WRONG_BASE,
    )


def test_whole_list_named_by_the_manifest_is_the_one_its_rows_make() -> None:
    rows = publishing.ROWS[1:]
    allowlist.accept_snapshot(manifest(), 0, publishing.KEY_NUMBER, snapshot())
    allowlist.accept_applied(snapshot(), len(rows), total(rows))


def check(taken: bool, rule: Callable[[], None], failure: Failure) -> None:
    if taken:
        rule()
        return
    with pytest.raises(Refused) as refused:
        rule()
    assert refused.value.kind is failure
