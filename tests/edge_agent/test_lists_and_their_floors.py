"""Only newer, only signed, only as it was published, and never a part without its floor (SPEC §7.2, §7.3)."""

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from edge_agent.files import unchecked
from edge_agent.published import lists
from protocol.chunks import chunks, rows_of
from protocol.envelope import Envelope, open_as, unwrap
from protocol.errors import Refused
from protocol.messages import Delta, GateConfig, Manifest, decode
from protocol.policy import Policy
from tests.edge_agent.door import Door
from tests.faults import agent_exam, city

NUMBERED = {Manifest.TYPE: Manifest, GateConfig.TYPE: GateConfig, Policy.TYPE: Policy}


def number_in(envelope: bytes) -> int:
    outer: Envelope = unwrap(envelope)
    message = decode(NUMBERED[outer.type], outer.payload)
    return int(getattr(message, "number", getattr(message, "version", 0)))


def test_no_moment_has_a_part_in_use_without_its_floor(tmp_path: Path) -> None:
    with Door(tmp_path / "edge") as door:
        disks = door.disks(tmp_path)
        door.take(3)
        door.take(5, base=3)
        door.take(8)
    assert len(disks) > 6
    for disk in disks:
        with closing(sqlite3.connect(disk / "agent.db")) as db:
            parts = {name: (version, envelope) for name, version, envelope in db.execute("SELECT * FROM parts")}
            named = db.execute("SELECT value FROM facts WHERE name = 'list_file'").fetchone()
        for name in ("manifest", "config", "policy"):
            if name in parts:
                assert parts[name][0] == number_in(parts[name][1]), f"{disk.name}: {name}"
        if named is not None:
            file = unchecked(b"list_file", named[0])
            assert file is not None
            in_use = lists.read_header(disk / file.decode()).version
            assert parts.get("allowlist", (0, b""))[0] >= in_use, disk.name


def test_a_delta_that_leads_elsewhere_than_it_says_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    with Door(tmp_path / "edge") as door:
        door.take(3)
        *others, envelope = door.publication(4, base=3)
        delta = open_as(Delta, envelope, city.Keyring.of(city.PUBLISH.public))
        ((token, entry), *rest) = [row for chunk in delta.put for row in rows_of(chunk)]
        other = rest[0][1] if rest[0][1] != entry else rest[1][1]
        false = msgspec.structs.replace(delta, put=chunks(((token, other), *rest)))
        door.uptake.take((*others, city.PUBLISH.seal(false)), door.clock.now())
        assert door.version == 3
        assert "allowlist" in door.uptake.troubles
        assert door.uptake.wants_snapshot
        listed = door.gate.holding.allowlist
        assert listed is not None
        assert agent_exam.wrong_entries(listed, 3) == []
        assert lists.verify(listed.path) == []
        city.fetch_snapshot(door.uptake, 4)
        assert door.version == 4


def test_an_older_manifest_changes_nothing(tmp_path: Path) -> None:
    with Door(tmp_path / "edge") as door:
        door.take(5)
        held = door.gate.holding
        with contextlib.suppress(Refused):
            door.uptake.take(door.publication(4, base=3), door.clock.now())
        for name in ("manifest", "policy", "config", "allowlist"):
            assert getattr(door.gate.holding, name) is getattr(held, name), name


def test_an_older_manifest_is_refused_even_where_none_is_left(tmp_path: Path) -> None:
    """A damaged store was set aside: what stands beside it still says how far things had come."""
    with Door(tmp_path / "edge") as door:
        door.take(5)
    for path in (tmp_path / "edge").glob("agent.db*"):
        path.unlink()
    with Door(tmp_path / "edge") as door:
        with contextlib.suppress(Refused):
            door.uptake.take(door.publication(4), door.clock.now())
        assert door.gate.holding.manifest is None
        assert door.gate.holding.policy is None
        door.take(6)
