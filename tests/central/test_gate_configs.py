"""Configurations of gates by command: changed in part, refused by path, kept, and gone back to."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.actions.action import ActionFailed
from central.actions.places.gate_configs import differences, merged
from central.configs import put_config, read_configs
from central.lists import refresh_domain
from protocol.configuration import MAX_CONFIG_BYTES
from protocol.errors import Failure, Refused
from protocol.messages import GateConfig, ReleaseConfig
from protocol.reasons import Reason
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import AGES, City

DOOR = {
    "direction": "out",
    "title_zh": "側門",
    "release": {"passage": "door", "pulse_ms": 1_500},
    "screen": {"undo": True, "languages": ["en"]},
    "texts": {"closed": {"zh": "今日休館"}},
    "ages": {"warn_ms": 60_000},
}
CHANGED = [
    *("ages.warn_ms", "direction", "release.passage", "release.pulse_ms", "screen.languages", "screen.undo"),
    *("texts.closed", "title_zh"),
]


@pytest.fixture
def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    admin = admin_of(database, keys, database_url, tmp_path)
    admin.now_ms = NOW_MS + 1_000
    return admin


async def held(admin: Admin, gate: str = "door-1") -> GateConfig:
    async with admin.database.read() as connection:
        return (await read_configs(connection, [gate]))[gate].config


async def put(admin: Admin, body: dict[str, Any], **more: Any) -> Any:
    return (await admin.act("gate.config.put", **({"gates": ["door-1"]} | more), body=body)).gates


async def test_what_a_file_does_not_name_stays(admin: Admin) -> None:
    (done,) = await put(admin, DOOR)
    assert (done.gate, done.version) == ("door-1", admin.now_ms)
    assert done.changed == CHANGED
    config = await held(admin)
    assert config.release == ReleaseConfig(pulse_ms=1_500, passage="door")
    assert (config.screen.languages, config.screen.sound, config.time_zone) == (("en",), True, "Asia/Taipei")
    admin.now_ms += 1
    (done,) = await put(admin, {"texts": {"closed": {"en": "Closed"}, "expired": {"zh": "過期"}}})
    assert done.changed == ["texts.closed.en", "texts.expired"]
    texts = (await held(admin)).texts
    assert (texts[Reason.CLOSED].zh, texts[Reason.CLOSED].en) == ("今日休館", "Closed")


async def test_an_empty_text_gives_the_standard_one_back(admin: Admin) -> None:
    await put(admin, DOOR)
    (done,) = await put(admin, {"texts": {"closed": {"zh": ""}}})
    assert done.changed == ["texts.closed"]
    assert (await held(admin)).texts == {}


async def test_a_whole_file_leaves_nothing_from_before(admin: Admin) -> None:
    await put(admin, DOOR)
    await put(admin, {"screen": {"sound": False}}, whole=True)
    config = await held(admin)
    assert config.release == ReleaseConfig()
    assert (config.screen.undo, config.screen.sound, config.texts) == (False, False, {})
    assert (config.direction, config.title_zh) == ("out", "側門")


async def test_what_is_shown_can_be_put_again_and_changes_nothing(admin: Admin) -> None:
    await put(admin, DOOR)
    shown = await admin.act("gate.config.show", gate="door-1")
    admin.now_ms += 1
    for whole in (False, True):
        (done,) = await put(admin, shown.body, whole=whole)
        assert (done.version, done.changed) == (shown.version, [])
    assert shown.staff == []
    assert shown.at_ms == NOW_MS + 1_000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"release": {"pulse_ms": 5}}, r"Expected `int` >= 100 - at `\$.release.pulse_ms`"),
        ({"release": {"pulse": 500}}, r"unknown field `pulse` - at `\$.release`"),
        ({"release": 3}, r"at `\$.release`"),
        ({"release": None}, r"at `\$.release`"),
        ({"release": {"held_warn_ms": 40_000}}, "held_warn_ms comes before held_ms"),
        ({"screen": {"languages": ["de"]}}, r"at `\$.screen.languages\[0\]`"),
        ({"screen": {"languages": ["en", "en"]}}, r"stands twice - at `\$.screen`"),
        ({"texts": {"no-reason": {}}}, r"'no-reason' - at `key` in `\$.texts`"),
        ({"texts": {"closed": {"zh": "長" * 501}}}, r"length <= 500 - at `\$.texts\[...\].zh`"),
        ({"texts": {"closed": "closed"}}, r"at `\$.texts\[...\]`"),
        ({"direction": "up"}, r"at `\$.direction`"),
        ({"time_zone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"ages": {"warn_ms": "soon"}}, r"at `\$.ages.warn_ms`"),
        ({"ages": {"warn_h": 3}}, r"unknown field `warn_h` - at `\$.ages`"),
        ({"ages": []}, r"at `\$.ages`"),
        ({"ages": {"warn_ms": 10**15}}, "ages do not rise"),
        ({"ages": {"warn_ms": 0}}, "ages do not rise"),
        ({"version": 3}, "version: the server numbers configurations"),
        ({"staff": []}, "staff: see `staff add`"),
        ({"kind": "door"}, "kind: it was stated when the gate was added"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"title_zh": "長" * 501}, r"at `\$.title_zh`"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_no_gate_could_take_is_refused_by_its_path(admin: Admin, body: dict[str, Any], says: str) -> None:
    with pytest.raises(ActionFailed, match=says):
        await put(admin, body)
    assert (await held(admin)).version == NOW_MS - 500


async def test_a_configuration_that_is_too_large_to_be_sent_is_refused_with_its_size(admin: Admin) -> None:
    texts = {reason.value: {"zh": "長" * 500, "next_zh": "長" * 500} for reason in Reason}
    with pytest.raises(Refused, match=rf"configuration of door-1 would have \d+ bytes, {MAX_CONFIG_BYTES}") as caught:
        await put(admin, {"texts": texts})
    assert caught.value.kind is Failure.OVERSIZED
    assert (await held(admin)).version == NOW_MS - 500


async def test_several_gates_change_together_or_not_at_all(admin: Admin, city: City) -> None:
    await city.add_gate("door-2")
    await city.add_gate("door-3")
    await put(admin, {"release": {"held_ms": 1_000, "held_warn_ms": 0}}, gates=["door-3"])
    with pytest.raises(ActionFailed, match="configuration of door-3: held_warn_ms"):
        await put(admin, {"release": {"held_warn_ms": 15_000}}, gates=[], venue="main")
    assert [(await held(admin, gate)).version for gate in ("door-1", "door-2")] == [NOW_MS - 500] * 2
    done = await put(admin, {"screen": {"theme": "dark"}}, gates=["door-2"], venue="main")
    assert [each.gate for each in done] == ["door-2", "door-1", "door-3"]
    assert {each.changed[0] for each in done} == {"screen.theme"}
    with pytest.raises(ActionFailed, match="no gate 'door-9'"):
        await put(admin, {}, gates=["door-1", "door-9"])
    with pytest.raises(ActionFailed, match="there is no venue 'x'"):
        await put(admin, {}, gates=[], venue="x")
    with pytest.raises(ActionFailed, match="no gate is named"):
        await put(admin, {}, gates=[])


async def test_every_version_is_kept_and_an_old_content_comes_back_as_newer(admin: Admin) -> None:
    first = (await held(admin)).version
    await put(admin, DOOR)
    admin.now_ms += 1
    await put(admin, {"title_zh": ""})
    versions = (await admin.act("gate.config.history", gate="door-1")).versions
    assert [each.changed for each in versions] == [["title_zh"], CHANGED, []]
    assert [each.version for each in versions] == [NOW_MS + 1_001, NOW_MS + 1_000, first]
    (done,) = (await admin.act("gate.config.back", gate="door-1", version=first)).gates
    assert done.version == NOW_MS + 1_002  # the clock has not moved, versions have
    assert (await held(admin)) == GateConfig(done.version, "door-1", "door")
    (same,) = (await admin.act("gate.config.back", gate="door-1", version=first)).gates
    assert (same.version, same.changed) == (done.version, [])
    assert (await admin.act("gate.config.show", gate="door-1")).body["ages"]["warn_ms"] == AGES.warn_ms
    with pytest.raises(ActionFailed, match="never had a configuration 7"):
        await admin.act("gate.config.back", gate="door-1", version=7)
    with pytest.raises(ActionFailed, match="no gate 'x'"):
        await admin.act("gate.config.history", gate="x")
    async with admin.database.write() as connection:
        await refresh_domain(connection, admin.keys, "library", NOW_MS)
    assert (await admin.act("verify")).problems == 0


async def test_a_clock_that_went_back_moves_no_version_back(admin: Admin) -> None:
    await put(admin, {"title_en": "A"})
    async with admin.database.write() as connection:
        put_ = await put_config(connection, admin.keys, await held(admin), AGES, NOW_MS - 10**9)
    assert put_.version == NOW_MS + 1_001


# --- bodies ---------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(BODIES, BODIES)
def test_what_is_put_stands_there_and_putting_it_again_changes_nothing(
    before: dict[str, Any], body: dict[str, Any]
) -> None:
    after = merged(before, body)
    assert merged(after, body) == after
    assert differences(after, merged(after, body)) == []
    assert merged(before, {}) == before
    assert set(after) == set(before) | set(body)
    for name in set(before) - set(body):
        assert after[name] == before[name]


@given(BODIES, BODIES)
def test_two_bodies_differ_where_and_only_where_it_is_said(one: dict[str, Any], other: dict[str, Any]) -> None:
    paths = differences(one, other)
    assert paths == differences(other, one)
    assert all(_at(one, path) != _at(other, path) for path in paths)
    assert (not paths) == (_without_nones(one) == _without_nones(other))


def _at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _without_nones(body: Any) -> Any:
    """A name without a value says as little as none."""
    if not isinstance(body, dict):
        return body
    return {name: _without_nones(value) for name, value in body.items() if value is not None}
