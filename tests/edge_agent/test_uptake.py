"""What a device refuses and what it takes up (SPEC §7): nothing changes where something is refused, the trouble is
said in the next poll, and the other parts go on."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from edge_agent import identity as identity_file
from edge_agent.config import Config
from edge_agent.housekeeping import Housekeeping
from edge_agent.published import lists, parts
from edge_agent.published.list_uptake import NothingNewer
from protocol.allowlist import CardState
from protocol.chunks import chunks
from protocol.envelope import Signer, seal_domain_key
from protocol.errors import Failure, Refused
from protocol.messages import Ages, Direction, Fresh, GateConfig, Key, KeyStatement, Part, PartName, Role
from protocol.policy import Admit, Policy
from tests.support.central_side import DAY_MS, DEVICE, DOMAIN, GATE, CentralSide, entry, key
from tests.support.edge_side import Edge


def held(edge: Edge) -> tuple[Any, ...]:
    """Everything that decides, in memory and on disk."""
    holding = edge.gate.holding
    rows = edge.store.connection.execute("SELECT name, version, envelope FROM parts ORDER BY name").fetchall()
    header = holding.allowlist.header if holding.allowlist else None
    return holding.manifest, holding.policy, holding.config, holding.domain_key, header, tuple(rows)


def test_a_new_device_takes_up_everything(stocked: Edge) -> None:
    assert stocked.tap(1).outcome == "granted"
    assert not stocked.uptake.wants_snapshot
    assert not stocked.uptake.troubles
    assert set(stocked.gate.holding.parts()) == set(stocked.central.parts())


def test_what_was_taken_up_is_there_after_a_restart(stocked: Edge) -> None:
    before = held(stocked)
    parts_before = stocked.gate.holding.parts()
    stocked.reopen()
    assert held(stocked)[4:] == before[4:]
    assert stocked.gate.holding.parts() == parts_before
    assert stocked.tap(1).outcome == "granted"


def bent(**changes: Any) -> Callable[[CentralSide], bytes]:
    def make(central: CentralSide) -> bytes:
        return central.seal(central.publish(**changes))

    return make


REFUSED_MANIFESTS: dict[str, tuple[Failure, Callable[[CentralSide], bytes]]] = {
    "of another device": (Failure.OTHER_DEVICE, bent(device="device-2")),
    "ended by signed time": (Failure.EXPIRED, bent(expires_ms=1)),
    "ages that do not rise": (Failure.NOT_SATISFIABLE, bent(ages=Ages(10, 5, 20))),
    "ages of nothing": (Failure.NOT_SATISFIABLE, bent(ages=Ages(0, 5, 20))),
    "a part named twice": (Failure.MALFORMED, bent(parts=(Part("x", 1, bytes(32)), Part("x", 2, bytes(32))))),
    "a lower number": (Failure.NOT_NEWER, bent(number=0)),
    "the same number, other content": (Failure.NOT_NEWER, bent(number=1, venue="another")),
    "one bit flipped": (Failure.BAD_SIGNATURE, lambda central: flipped(bent()(central))),
    "signed by the receipt key": (Failure.WRONG_ROLE, lambda central: central.receipts.seal(central.publish())),
    "signed by nobody we know": (Failure.UNKNOWN_KEY, lambda central: Signer.generate().seal(central.publish())),
    "trailing bytes": (Failure.MALFORMED, lambda central: bent()(central) + b"\0"),
    "cut short": (Failure.MALFORMED, lambda central: bent()(central)[:-9]),
}


def flipped(envelope: bytes) -> bytes:
    at = len(envelope) // 2
    return envelope[:at] + bytes([envelope[at] ^ 4]) + envelope[at + 1 :]


@pytest.mark.parametrize("case", REFUSED_MANIFESTS)
def test_a_manifest_that_must_be_refused_changes_nothing_and_is_said(stocked: Edge, case: str) -> None:
    kind, make = REFUSED_MANIFESTS[case]
    before, signed = held(stocked), stocked.gate.signed_time
    wrong = make(stocked.central)
    stocked.take(wrong, stocked.central.seal(Fresh(DEVICE, 99, 0, 1)))
    assert held(stocked) == before
    assert stocked.gate.signed_time == signed
    assert any(str(kind) in trouble.why for trouble in stocked.uptake.troubles.values()), stocked.uptake.troubles


def test_an_answer_of_nothing_but_refusals_is_a_failure_of_the_poll(stocked: Edge) -> None:
    with pytest.raises(Refused):
        stocked.take(Signer.generate().seal(stocked.central.publish()))


def test_the_floor_of_manifests_stands_beside_a_lost_database(stocked: Edge) -> None:
    stocked.central.publish()
    stocked.take_all()
    stocked.tap(1)
    stocked.close()
    for path in stocked.directory.glob("agent.db*"):
        path.unlink()
    stocked.open()
    stocked.take(stocked.central.statement(), stocked.central.seal(stocked.central.publish(number=1)))
    assert stocked.gate.holding.manifest is None
    assert "not-newer" in stocked.uptake.troubles["manifest"].why


def wrong_policy(central: CentralSide) -> bytes:
    """The version that the manifest names, other bytes."""
    return central.seal(msgspec.structs.replace(central.policy, repeat_window_s=77))


def unworkable_policy(central: CentralSide) -> bytes:
    central.policy = Policy(central.policy.version, (Admit("a"), Admit("a")))
    central.publish()
    return central.seal(central.policy)


BROKEN_PARTS: dict[str, tuple[PartName, Failure, Callable[[CentralSide], bytes]]] = {
    "policy with other bytes": (PartName.POLICY, Failure.WRONG_DIGEST, wrong_policy),
    "policy of another version": (
        PartName.POLICY,
        Failure.WRONG_BASE,
        lambda c: c.seal(msgspec.structs.replace(c.policy, version=9)),
    ),
    "policy that cannot work": (PartName.POLICY, Failure.NOT_SATISFIABLE, unworkable_policy),
    "policy with one bit flipped": (PartName.POLICY, Failure.BAD_SIGNATURE, lambda c: flipped(c.seal(c.policy))),
    "configuration with other bytes": (
        PartName.CONFIG,
        Failure.WRONG_DIGEST,
        lambda c: c.seal(msgspec.structs.replace(c.config, kind="turnstile")),
    ),
    "domain key for another device": (
        PartName.DOMAIN_KEY,
        Failure.OTHER_DEVICE,
        lambda c: c.seal(seal_domain_key(c.domain_key(), "device-2", DOMAIN, c.key_number, c.sealing_public)),
    ),
    "domain key of another domain": (
        PartName.DOMAIN_KEY,
        Failure.OTHER_DOMAIN,
        lambda c: c.seal(seal_domain_key(c.domain_key(), DEVICE, "pools", c.key_number, c.sealing_public)),
    ),
    "domain key sealed to somebody else": (
        PartName.DOMAIN_KEY,
        Failure.BAD_SIGNATURE,
        lambda c: c.seal(seal_domain_key(c.domain_key(), DEVICE, DOMAIN, c.key_number, Signer.generate().public)),
    ),
    "another domain key under its number": (
        PartName.DOMAIN_KEY,
        Failure.WRONG_DIGEST,
        lambda c: c.seal(seal_domain_key(key("other"), DEVICE, DOMAIN, c.key_number, c.sealing_public)),
    ),
}


@pytest.mark.parametrize("case", BROKEN_PARTS)
def test_a_part_that_fails_stays_and_the_other_parts_go_on(stocked: Edge, case: str) -> None:
    name, kind, make = BROKEN_PARTS[case]
    central = stocked.central
    before = {part: stocked.gate.holding.part(part) for part in PartName}
    if name is not PartName.POLICY:
        central.policy = msgspec.structs.replace(central.policy, version=2)
    if name is not PartName.CONFIG:
        central.config = msgspec.structs.replace(central.config, version=2)
    if name is PartName.POLICY:
        central.policy = msgspec.structs.replace(central.policy, version=2)
    if name is PartName.CONFIG:
        central.config = msgspec.structs.replace(central.config, version=2)
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    wrong = make(central)
    good = {PartName.POLICY: central.seal(central.policy), PartName.CONFIG: central.seal(central.config)}
    delta = central.delta(stocked.gate.holding.allowlist.header.version)  # type: ignore[union-attr]
    others = [sealed for part, sealed in good.items() if part is not name]
    stocked.take(central.seal(central.manifest), wrong, *others, central.seal(delta))
    assert stocked.gate.holding.part(name) == before[name]
    assert str(kind) in stocked.uptake.troubles[name].why
    assert stocked.tap(1).reason == "card-blocked"
    for part in good:
        if part is not name:
            assert stocked.gate.holding.is_current(part)


def test_a_part_in_trouble_is_taken_up_when_a_newer_manifest_brings_a_good_one(stocked: Edge) -> None:
    central = stocked.central
    central.policy = Policy(2, (Admit("a"), Admit("a")))
    central.publish()
    stocked.take(central.seal(central.manifest), central.seal(central.policy))
    assert "policy" in stocked.uptake.troubles
    central.policy = Policy(3, (Admit("anybody"),))
    central.publish()
    stocked.take(central.seal(central.manifest), central.seal(central.policy))
    assert not stocked.uptake.troubles
    assert stocked.tap(1).outcome == "granted"


def test_a_configuration_of_another_gate_is_refused(stocked: Edge) -> None:
    central = stocked.central
    central.config = GateConfig(2, "another-gate", "door")
    central.publish()
    stocked.take(central.seal(central.manifest), central.seal(central.config))
    assert "other-device" in stocked.uptake.troubles["config"].why
    assert stocked.gate.holding.config == GateConfig(1, GATE, "door")


def test_a_part_below_its_own_floor_is_refused_although_the_manifest_names_it(stocked: Edge) -> None:
    central = stocked.central
    central.policy = Policy(5, (Admit("members", classes=("citizen",)),))
    central.publish()
    stocked.take(central.seal(central.manifest), central.seal(central.policy))
    central.policy = Policy(4, (Admit("anybody"),))
    central.publish()
    stocked.take(central.seal(central.manifest), central.seal(central.policy))
    assert "not-newer" in stocked.uptake.troubles["policy"].why
    assert stocked.gate.holding.policy is not None
    assert stocked.gate.holding.policy.policy.version == 5


# --- lists ----------------------------------------------------------------------------------------------------


def test_a_delta_blocks_a_card_at_once(stocked: Edge) -> None:
    assert stocked.tap(1).outcome == "granted"
    stocked.central.put_card(1, CardState.BLOCKED)
    stocked.central.publish()
    stocked.take(*_poll(stocked))
    assert stocked.tap(1).reason == "card-blocked"
    assert not stocked.uptake.wants_snapshot
    assert parts.floor_of(stocked.store, PartName.ALLOWLIST) == 2


def _poll(edge: Edge) -> list[bytes]:
    """What central answers to a poll of what is held."""
    from protocol.messages import Poll

    holding = edge.gate.holding
    number = holding.manifest.number if holding.manifest else 0
    troubles = tuple(edge.uptake.troubles.values())
    keys = edge.uptake.statement.number if edge.uptake.statement else 0
    return edge.central.answer(Poll(DEVICE, bytes(16), 0, number, keys, holding.parts(), troubles, 0, 0, "t", ()))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"base": 9}, Failure.WRONG_BASE),
        ({"domain": "pools"}, Failure.OTHER_DOMAIN),
        ({"key_number": 2}, Failure.UNKNOWN_KEY),
        ({"version": 99}, Failure.WRONG_BASE),
        ({"count": 99}, Failure.WRONG_DIGEST),
        ({"sum": bytes(32)}, Failure.WRONG_DIGEST),
        ({"put": ()}, Failure.WRONG_DIGEST),
        ({"put": (b"junk",)}, Failure.MALFORMED),
        ({"put": chunks([(bytes(16), entry(7))])}, Failure.WRONG_COUNT),
    ],
)
def test_a_delta_that_does_not_fit_leaves_the_list_and_asks_for_the_snapshot(
    stocked: Edge, change: dict[str, Any], kind: Failure
) -> None:
    central = stocked.central
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    delta = msgspec.structs.replace(central.delta(1), **change)  # type: ignore[type-var]
    stocked.take(central.seal(central.manifest), central.seal(delta))
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    assert listed.header.version == 1
    assert str(kind) in stocked.uptake.troubles[PartName.ALLOWLIST].why
    assert stocked.uptake.wants_snapshot
    assert lists.verify(listed.path) == []
    stocked.fetch()
    assert stocked.tap(1).reason == "card-blocked"
    assert not stocked.uptake.troubles


def test_a_snapshot_below_what_is_held_is_refused(stocked: Edge) -> None:
    central = stocked.central
    for _ in range(2):
        central.put_card(1, CardState.BLOCKED)
        central.publish()
        stocked.take(*_poll(stocked))
    with pytest.raises(Refused) as caught:
        stocked.fetch(version=1)
    assert caught.value.kind is Failure.NOT_NEWER


def test_a_list_once_held_does_not_go_back_even_after_it_was_damaged(stocked: Edge) -> None:
    """The floor outlives the file: a card that was blocked by a delta is not let in by an old snapshot."""
    central = stocked.central
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    stocked.take(*_poll(stocked))
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    stocked.close()
    listed.path.write_bytes(b"no database")
    for suffix in ("-wal", "-shm"):
        listed.path.with_name(listed.path.name + suffix).unlink(missing_ok=True)
    stocked.open()
    assert stocked.tap(1).reason == "list-missing"
    with pytest.raises(Refused):
        stocked.fetch(version=1)
    stocked.fetch()
    assert stocked.tap(1).reason == "card-blocked"


def test_a_snapshot_may_trail_the_manifest_and_a_delta_follows(edge: Edge) -> None:
    central = edge.central
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    edge.take()
    edge.fetch(version=1)
    assert edge.uptake.wants_snapshot
    edge.take(*_poll(edge))
    assert not edge.uptake.wants_snapshot
    assert edge.tap(1).reason == "card-blocked"


def test_what_changed_while_a_snapshot_was_on_its_way_is_in_it_when_it_arrives(stocked: Edge) -> None:
    central = stocked.central
    stocked.uptake.gate.holding.allowlist.header = msgspec.structs.replace(  # type: ignore[union-attr]
        stocked.uptake.gate.holding.allowlist.header,  # type: ignore[union-attr]
        deltas=64,
    )
    assert stocked.uptake.wants_snapshot
    head, found = central.snapshot()
    writer = stocked.uptake.begin_snapshot(head)
    for number in (1, 2):
        central.put_card(number, CardState.LOST)
        central.publish()
        stocked.take(*_poll(stocked))
    for chunk in found:
        writer.add(chunk)
    stocked.uptake.finish_snapshot(writer)
    assert [stocked.tap(n).reason for n in (1, 2, 3)] == ["card-lost", "card-lost", "ok"]
    assert not stocked.uptake.wants_snapshot
    assert stocked.gate.holding.allowlist.header.deltas == 2  # type: ignore[union-attr]


def test_a_list_under_a_key_that_is_not_held_is_refused(stocked: Edge) -> None:
    stocked.central.rotate_domain_key()
    stocked.central.publish()
    stocked.take(stocked.central.seal(stocked.central.manifest))
    with pytest.raises(Refused) as caught:
        stocked.fetch()
    assert caught.value.kind is Failure.UNKNOWN_KEY
    assert stocked.tap(1).outcome == "granted"


def test_domain_key_and_list_rotate_together(stocked: Edge) -> None:
    central = stocked.central
    central.rotate_domain_key()
    central.publish()
    stocked.take(*_poll(stocked))
    assert stocked.tap(1).outcome == "granted", "the old list is looked up under the old key"
    stocked.fetch()
    assert stocked.tap(2).outcome == "granted"
    assert stocked.gate.holding.key_number == 2
    stored = identity_file.load(stocked.directory)
    assert stored is not None
    assert [secret.number for secret in stored.domain_keys] == [2], "the old key is gone once nothing needs it"
    stocked.reopen()
    assert stocked.tap(3).outcome == "granted"


def test_a_restart_between_new_key_and_new_list_keeps_the_gate_open(stocked: Edge) -> None:
    stocked.central.rotate_domain_key()
    stocked.central.publish()
    stocked.take(*_poll(stocked))
    stocked.crash()
    stocked.open()
    assert stocked.tap(1).outcome == "granted"
    assert stocked.uptake.wants_snapshot
    stocked.fetch()
    assert stocked.tap(2).outcome == "granted"


def test_a_snapshot_that_is_the_list_in_use_is_no_trouble_and_the_delta_comes(stocked: Edge) -> None:
    """An answer may name a newer list without its delta; what is fetched then must not keep central from sending it."""
    central = stocked.central
    head, _ = central.snapshot()
    base = stocked.uptake.gate.holding.allowlist.header.version  # type: ignore[union-attr]
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    stocked.take(central.seal(central.manifest))
    assert stocked.uptake.wants_snapshot
    with pytest.raises(NothingNewer):
        stocked.uptake.begin_snapshot(head)
    assert not stocked.uptake.troubles
    stocked.take(central.seal(central.manifest), central.seal(central.delta(base)))
    assert stocked.tap(1).reason == "card-blocked"


def test_a_list_that_no_delta_fits_is_fetched_again_at_the_version_it_has(stocked: Edge) -> None:
    central = stocked.central
    head, _ = central.snapshot()
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    stocked.take(central.seal(central.manifest))
    stocked.uptake.snapshot_refused(Refused(Failure.WRONG_DIGEST, "the sum is another"))
    stocked.uptake.begin_snapshot(head).abandon()


def test_a_crash_before_the_swap_leaves_the_old_list_and_no_leftovers(stocked: Edge) -> None:
    central = stocked.central
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    stocked.take(central.seal(central.manifest))
    head, found = central.snapshot()
    writer = stocked.uptake.begin_snapshot(head)
    for chunk in found:
        writer.add(chunk)
    writer.finish().close()
    stocked.crash()
    stocked.open()
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    assert listed.header.version == 1
    assert [path.name for path in stocked.directory.glob("list-*.db")] == [listed.path.name]


# --- key statements -------------------------------------------------------------------------------------------


def statement(central: CentralSide, number: int, *keys: Key) -> bytes:
    return central.root.seal(KeyStatement(number, central.now_ms, keys))


def test_an_older_key_statement_is_refused_and_the_rest_is_taken(stocked: Edge) -> None:
    central = stocked.central
    central.keys_number = 3
    stocked.take(central.statement(), central.fresh())
    old = statement(central, 2, Key(Signer.generate().public, (Role.PUBLISH,)))
    central.policy = msgspec.structs.replace(central.policy, version=2)
    central.publish()
    stocked.take(old, central.seal(central.manifest), central.seal(central.policy))
    assert stocked.uptake.statement is not None
    assert stocked.uptake.statement.number == 3
    assert "not-newer" in stocked.uptake.troubles["keys"].why
    assert stocked.gate.holding.is_current(PartName.POLICY)


def test_a_forged_key_statement_changes_nothing(stocked: Edge) -> None:
    forged = Signer.generate().seal(KeyStatement(9, 1, (Key(Signer.generate().public, (Role.PUBLISH,)),)))
    stocked.take(forged, stocked.central.fresh())
    assert stocked.uptake.statement is not None
    assert stocked.uptake.statement.number == 1
    assert "keys" in stocked.uptake.troubles


def test_a_new_key_signs_from_the_answer_on_that_brings_it(stocked: Edge) -> None:
    central = stocked.central
    central.publisher = Signer(key("next publisher"))
    central.keys_number = 2
    central.policy = Policy(2, (Admit("anybody"),))
    central.publish()
    stocked.take(*_poll(stocked))
    assert stocked.gate.holding.is_current(PartName.POLICY)


def test_parts_signed_by_a_key_that_is_gone_still_count_after_a_restart(stocked: Edge) -> None:
    central = stocked.central
    central.publisher, central.receipts = Signer(key("next publisher")), Signer(key("next receipt"))
    central.keys_number = 2
    stocked.take(central.statement(), central.fresh())
    stocked.reopen()
    assert stocked.tap(1).outcome == "granted"


# --- time -----------------------------------------------------------------------------------------------------


def test_the_age_counts_from_the_newest_word_that_named_the_list_in_use(stocked: Edge) -> None:
    central, clock = stocked.central, stocked.clock
    clock.advance(3 * DAY_MS)
    assert stocked.gate.age_ms(clock.now()) == 3 * DAY_MS
    central.now_ms += 3 * DAY_MS
    stocked.take(central.fresh())
    assert stocked.gate.age_ms(clock.now()) == 0


def test_a_gate_that_cannot_take_up_a_newer_list_grows_old(stocked: Edge) -> None:
    central, clock = stocked.central, stocked.clock
    clock.advance(DAY_MS)
    central.now_ms += DAY_MS
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    stocked.take(central.seal(central.manifest))
    clock.advance(DAY_MS)
    central.now_ms += DAY_MS
    stocked.take(central.fresh())
    assert stocked.gate.age_ms(clock.now()) == 2 * DAY_MS


def test_a_word_that_lay_a_while_does_not_set_the_time_back(stocked: Edge) -> None:
    central, clock = stocked.central, stocked.clock
    sealed = central.seal(central.manifest)
    clock.advance(DAY_MS)
    stocked.take(sealed, central.fresh())
    assert stocked.gate.now_ms() == clock.wall_ms


def test_signed_time_is_remembered_through_a_restart_with_a_clock_set_back(stocked: Edge) -> None:
    central = stocked.central
    stocked.reopen()
    stocked.clock.wall_ms -= 365 * DAY_MS
    stocked.clock.reboot()
    stocked.reopen()
    assert stocked.gate.now_ms() >= central.now_ms
    assert stocked.tap(1).reason == "clock-untrusted"


def test_a_fresh_message_for_another_device_is_not_ours(stocked: Edge) -> None:
    signed = stocked.gate.signed_time
    stocked.take(stocked.central.seal(Fresh("device-2", 1, stocked.central.now_ms + DAY_MS, 1)))
    assert stocked.gate.signed_time == signed
    assert "other-device" in stocked.uptake.troubles["manifest"].why


def test_an_idle_agent_writes_nothing(stocked: Edge) -> None:
    central = stocked.central

    def written() -> list[tuple[str, int, int]]:
        return [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(stocked.directory.iterdir())]

    stocked.take(central.fresh())
    before = written()
    for _ in range(5):
        central.now_ms += 30_000
        stocked.clock.advance(30_000)
        stocked.take(central.fresh())
    assert written() == before


# --- revocation -----------------------------------------------------------------------------------------------


def test_revocation_destroys_keys_and_lists_and_keeps_the_journal(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.uptake.destroy()
    names = {path.name for path in stocked.directory.iterdir()}
    assert not any(name.startswith(("list-", "damaged-list", "identity")) for name in names)
    assert identity_file.load(stocked.directory) is None
    assert stocked.events()[-1].kind == "tap"
    assert [(stocked.tap(number).outcome, stocked.tap(number).reason) for number in (1, 99)] == [
        ("denied", "not-enrolled"),
        ("denied", "not-enrolled"),
    ]
    assert stocked.events()[-1].reason == "not-enrolled", "written down, like every tap"


def test_a_revoked_exit_still_lets_everybody_out(stocked: Edge) -> None:
    stocked.central.config = GateConfig(2, GATE, "door", direction=Direction.OUT)
    stocked.central.publish()
    stocked.take(*_poll(stocked))
    stocked.uptake.destroy()
    for number in (1, 99):
        assert (stocked.tap(number).outcome, stocked.tap(number).reason) == ("granted", "leaving")


def test_a_damaged_store_of_a_revoked_device_ends_nothing(stocked: Edge) -> None:
    """Without a key no epoch begins: nothing is written down, so nobody enters; the housekeeping goes on."""
    keeping = Housekeeping(Config(stocked.directory), stocked.gate, stocked.uptake)
    stocked.uptake.destroy()
    keeping._attempt(keeping._replace)
    assert stocked.tap(1).reason == "journal-unwritable"
    keeping._tick(None)
    stocked.store = stocked.gate.store


def test_a_snapshot_that_arrives_after_revocation_brings_nothing_back(stocked: Edge) -> None:
    central = stocked.central
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    stocked.take(central.seal(central.manifest))
    head, found = central.snapshot()
    writer = stocked.uptake.begin_snapshot(head)
    for chunk in found:
        writer.add(chunk)
    stocked.uptake.destroy()
    with pytest.raises(Refused):
        stocked.uptake.finish_snapshot(writer)
    assert identity_file.load(stocked.directory) is None
    assert stocked.gate.holding.allowlist is None


def test_the_secret_of_the_join_token_goes_when_data_flows(edge: Edge) -> None:
    edge.uptake.identity = msgspec.structs.replace(edge.uptake.identity, secret=b"0123456789abcdef")
    edge.take_all()
    stored = identity_file.load(edge.directory)
    assert stored is not None
    assert stored.secret == b""
