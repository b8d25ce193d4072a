"""Bits flipped in central's database and keys: noticed by opening or verifying, or in nothing that was promised."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from central.actions import registry  # noqa: F401 - fills ACTIONS
from central.actions.action import ACTIONS, ActionFailed
from central.config import load
from central.keys import state_keys
from central.operate import run as run_action
from central.store.schema import metadata
from protocol.errors import Refused
from tests.faults.bit_flips import FLIPS, SEED, differing, flips
from tests.faults.programs import STRANGER, UIDS, Programs, central_settings

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("bit-flips-central")]
NOT_VOUCHED_FOR = {
    "batches": {"resent"},
    "members": {"reference", "created_ms"},
    "policies": {"id", "at_ms"},
    "cards": {"bound_ms"},
    "lists": {"version", "base"},
    "list_entries": {"version"},
    "gates": {"policy"},
    "gate_configs": {"at_ms"},
    "staff": {"title", "at_ms"},
    "profiles": {"at_ms"},
    "name_lists": {"at_ms"},
    "devices": {"state", "sealing_public", "words", "enrolled_ms", "confirmed_ms", "seen_ms", "report"},
    "servers": {"id", "started_ms", "seen_ms", "body"},
    "join_tokens": {"hash", "created_ms", "used_ms"},
}
"""What an operator or a clock said once, which central has no second word for: `verify` cannot judge it. Nothing of
an event, a receipt, a card's number or a key stands here, and nothing may be added lightly."""


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Central's directory after some taps, stopped in peace."""
    directory = tmp_path_factory.mktemp("programs")
    with Programs(directory) as programs:
        programs.start_edge()
        for uid in [*UIDS, STRANGER] * 4:
            programs.tap(uid)
        programs.until(lambda: programs.lines() == 4 * (len(UIDS) + 1), "all taps are decided")
        programs.until(programs.drained, "everything is receipted")
        assert programs.audit() == []
    return directory / "central"


def verified(directory: Path, settings: Path) -> int:
    """How many problems `tapgate-central verify` finds."""
    settings.write_text(central_settings(directory, 1, tls=False))
    action = ACTIONS["verify"]
    result = asyncio.run(run_action(load(settings), action, action.params()))
    return int(result["problems"])


def secret(path: Path) -> bytes:
    """What a key file says; most hold hexadecimal digits, whose letters come in two sizes."""
    data = path.read_bytes()
    try:
        return bytes.fromhex(data.decode())
    except ValueError:
        return data


def test_a_flipped_bit_in_centrals_database_is_noticed_or_is_in_nothing_that_was_promised(
    central: Path, tmp_path: Path
) -> None:
    settings, overlooked = tmp_path / "central.toml", []
    assert verified(central, settings) == 0
    for text in flips(central, tmp_path / "copy", "central.db", count=4 * FLIPS):
        if not noticed(tmp_path / "copy", settings):
            changed = differing(central / "central.db", tmp_path / "copy" / "central.db")
            # what is computed again from events and facts is compared by `rebuild`
            changed = [each for each in changed if not metadata.tables[each[0]].info.get("projection")]
            if any(column not in NOT_VOUCHED_FOR.get(table, ()) for table, column in changed):
                overlooked.append(f"{text}: {sorted(changed)}")
    assert not overlooked, f"seed {SEED}: {len(overlooked)}:\n" + "\n".join(overlooked[:10])


def test_a_flipped_bit_in_a_key_of_central_is_noticed(central: Path, tmp_path: Path) -> None:
    settings, overlooked = tmp_path / "central.toml", []
    for path in sorted((central / "keys").iterdir()):
        name = f"keys/{path.name}"
        for text in flips(central, tmp_path / "copy", name, count=FLIPS // 4):
            if secret(tmp_path / "copy" / name) == secret(path):
                continue
            if path.name == "root.key":  # belongs offline, so `verify` does without it; whoever signs with it is told
                with pytest.raises((OSError, Refused, ValueError)):
                    state_keys(tmp_path / "copy" / "keys", [], 1)
            elif not noticed(tmp_path / "copy", settings):
                overlooked.append(text)
    assert not overlooked, f"seed {SEED}: {len(overlooked)}:\n" + "\n".join(overlooked[:10])


def noticed(directory: Path, settings: Path) -> bool:
    """By `verify`, or by being unable to open it."""
    try:
        return verified(directory, settings) > 0
    except (ActionFailed, OSError, Refused, ValueError, SQLAlchemyError):
        return True
