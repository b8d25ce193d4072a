"""Configurations, reader profiles and names on their way to gates: what a poll is answered with, and who wakes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.device_api import Services
from central.shared_parts import put_names, put_profiles
from central.snapshots import Snapshots
from central.store.schema import names
from firmware_profiles import load_profiles
from protocol.allowlist import part_of
from protocol.envelope import digest, unwrap
from protocol.errors import Failure, Refused
from protocol.messages import (
    GateConfig,
    Manifest,
    Names,
    PartName,
    Profiles,
    ScreenConfig,
    Trouble,
    decode,
)
from tests.central.actors import NOW_MS, UNDERSTANDS, Device, find, types
from tests.central.admin import Admin, admin_of
from tests.central.city import City

ALL = (*UNDERSTANDS, Profiles.TYPE, Names.TYPE)
SHOWS_NAMES = GateConfig(0, "door-1", "door", screen=ScreenConfig(names=True))
GENERIC = (Path(__file__).parents[2] / "firmware_profiles" / "generic-pcsc.toml").read_text("utf-8")


@pytest.fixture
def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


@pytest.fixture
async def services(city: City, tmp_path: Path) -> Services:
    """Two members have names, and profiles are published."""
    ids = await city.add_members(3)
    rows = (
        {"domain": "library", "member": id_, "name": name} for id_, name in zip(ids, ("王○明", "S○○○"), strict=False)
    )
    await city.add(names, *rows)
    async with city.database.write() as connection:
        await put_names(connection, "library", NOW_MS)
        await put_profiles(connection, {"generic-pcsc": GENERIC}, NOW_MS)
    snapshots = Snapshots(city.database, city.keys, tmp_path / "snapshots")
    return Services(city.database, city.keys, snapshots, now_ms=lambda: NOW_MS)


async def ask(services: Services, city: City, device: Device | None = None, **poll: Any) -> list[bytes]:
    return await services.polls.answer((device or city.device).poll_message(**{"understands": ALL} | poll))


def manifest_in(answer: list[bytes], city: City) -> Manifest:
    return find(Manifest, answer, city.keys.publish.public)


async def test_names_and_profiles_come_after_what_is_decided_with(services: Services, city: City) -> None:
    await city.configure(SHOWS_NAMES)
    answer = await ask(services, city)
    assert types(answer) == ["keys", "manifest", "domain-key", "policy", "config", "profiles", "names"]
    manifest, public = manifest_in(answer, city), city.keys.publish.public
    assert sorted(each.name for each in find(Names, answer, public).names) == ["S○○○", "王○明"]
    assert find(Profiles, answer, public).profiles == {"generic-pcsc": GENERIC}
    for envelope in answer[-3:]:
        outer = unwrap(envelope)
        assert part_of(manifest, PartName(outer.type.split(".")[1])).digest == digest(outer.payload)
    held = city.device.holding(manifest)
    assert types(await ask(services, city, **held)) == ["fresh"]


async def test_names_go_only_to_gates_whose_screens_show_them(services: Services, city: City) -> None:
    assert types(await ask(services, city))[-2:] == ["config", "profiles"]
    await city.add_gate("door-2")
    other = await city.add_device(Device("door-2-device", "door-2"))
    await city.configure(SHOWS_NAMES)
    assert types(await ask(services, city))[-1] == "names"
    assert types(await ask(services, city, other))[-1] == "profiles"
    await city.configure(GateConfig(0, "door-1", "door"), NOW_MS + 1)
    assert part_of(manifest_in(await ask(services, city), city), PartName.NAMES) is None


@pytest.mark.parametrize("known", [(), (Profiles.TYPE,), (Names.TYPE,)])
async def test_an_older_agent_is_told_of_no_part_that_it_does_not_know(
    services: Services, city: City, known: tuple[str, ...]
) -> None:
    await city.configure(SHOWS_NAMES)
    answer = await ask(services, city, understands=(*UNDERSTANDS, *known))
    told = {part.name for part in manifest_in(answer, city).parts} & {"profiles", "names"}
    assert told == {each.split(".")[1] for each in known}
    assert set(types(answer)) & {"profiles", "names"} == told
    await ask(services, city)  # it was updated meanwhile
    assert {"profiles", "names"} <= {part.name for part in manifest_in(await ask(services, city), city).parts}


async def test_a_part_in_trouble_is_not_pressed_upon_a_gate_again(services: Services, city: City) -> None:
    await city.configure(SHOWS_NAMES)
    manifest = manifest_in(await ask(services, city), city)
    held = city.device.holding(manifest, "policy", "domain-key", "config")
    troubles = tuple(
        Trouble(part.name, part.version, "why") for part in manifest.parts if part.name in ("profiles", "names")
    )
    assert types(await ask(services, city, **held)) == ["manifest", "profiles", "names"]
    assert types(await ask(services, city, **held, troubles=troubles)) == ["fresh"]
    async with city.database.write() as connection:
        await put_profiles(connection, {}, NOW_MS)
    assert types(await ask(services, city, **held, troubles=troubles)) == ["manifest", "profiles"]


async def test_an_emptied_set_is_a_newer_set(services: Services, city: City) -> None:
    """A gate that was told of a profile must hear that it is gone."""
    before = part_of(manifest_in(await ask(services, city), city), PartName.PROFILES)
    async with city.database.write() as connection:
        await put_profiles(connection, {}, NOW_MS)
    answer = await ask(services, city)
    after = part_of(manifest_in(answer, city), PartName.PROFILES)
    assert after.version == before.version + 1
    assert find(Profiles, answer, city.keys.publish.public).profiles == {}


async def test_the_same_names_are_not_published_twice_and_another_set_is(services: Services, city: City) -> None:
    async with city.database.write() as connection:
        assert not await put_names(connection, "library", NOW_MS + 1)
        assert await put_names(connection, "library", NOW_MS - 10**6, anew=True)
        await connection.execute(names.delete())
        assert await put_names(connection, "library", NOW_MS)
        assert not await put_names(connection, "library", NOW_MS)
    await city.configure(SHOWS_NAMES)
    assert find(Names, await ask(services, city), city.keys.publish.public).names == ()


async def test_too_many_names_or_profiles_are_refused_before_they_are_published(
    services: Services, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with city.database.write() as connection:
        with pytest.raises(Refused, match="profiles would have") as caught:
            await put_profiles(connection, {f"p{n}": "x" * 16_000 for n in range(20)}, NOW_MS)
        assert caught.value.kind is Failure.OVERSIZED
        monkeypatch.setattr("central.shared_parts.MAX_NAMES", 1)
        with pytest.raises(Refused, match="library has 2 names, 1 are sent"):
            await put_names(connection, "library", NOW_MS, anew=True)
        monkeypatch.setattr("central.shared_parts.MAX_NAMES", 2)
        monkeypatch.setattr("central.shared_parts.MAX_NAMES_BYTES", 50)
        with pytest.raises(Refused, match="have [0-9]+ bytes, 50 are sent"):
            await put_names(connection, "library", NOW_MS, anew=True)


async def test_a_body_is_read_and_signed_once_for_many_gates(
    services: Services, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await city.configure(SHOWS_NAMES)
    first = await ask(services, city)
    signed: list[str] = []
    seal = city.keys.publish.seal_payload

    def note(type_: str, body: bytes) -> bytes:
        signed.append(type_)
        return seal(type_, body)

    monkeypatch.setattr(city.keys.publish, "seal_payload", note)
    again = await ask(services, city)
    assert again[-2:] == first[-2:]
    assert not {Profiles.TYPE, Names.TYPE} & set(signed)


async def test_connected_gates_get_what_is_put_at_once(admin: Admin, services: Services, city: City) -> None:
    """Each command wakes the waiting poll of the gate that it concerns; on PostgreSQL by the database's own notes."""
    following = asyncio.create_task(services.wakeups.follow(admin.config.database))
    if city.database.is_sqlite:
        following.cancel()
    held = city.device.holding(manifest_in(await ask(services, city), city))
    steps = (
        (
            "gate.config.put",
            {"gates": ["door-1"], "body": {"screen": {"names": True}}},
            ["manifest", "config", "names"],
        ),
        ("profile.remove", {"name": "generic-pcsc"}, ["manifest", "profiles"]),
        ("gate.config.put", {"venue": "main", "body": {"screen": {"staff_admit": True}}}, ["manifest", "config"]),
        ("staff.add", {"venue": "main", "id": "lin", "pin": "246813"}, ["manifest", "config"]),
        ("staff.remove", {"venue": "main", "id": "lin"}, ["manifest", "config"]),
    )
    for name, values, expected in steps:
        waiting = asyncio.create_task(ask(services, city, **held, wait_s=20))
        async with asyncio.timeout(10):
            while not services.wakeups._waiting:
                await asyncio.sleep(0.01)
        await admin.act(name, **values)
        async with asyncio.timeout(10):
            answer = await waiting
        assert types(answer) == expected, name
        held = city.device.holding(manifest_in(answer, city))
    following.cancel()


# --- profiles by command --------------------------------------------------------------------------------------------


async def test_profiles_are_put_shown_listed_and_removed(admin: Admin) -> None:
    assert (await admin.act("profile.list")).profiles == []
    put = await admin.act("profile.put", name="generic-pcsc", text=GENERIC)
    assert [each.name for each in put.profiles] == ["generic-pcsc"]
    assert put.profiles[0].evidence == "; ".join(load_profiles()["generic-pcsc"].evidence)
    assert (await admin.act("profile.put", name="generic-pcsc", text=GENERIC)).version == put.version
    assert (await admin.act("profile.show", name="generic-pcsc")).text == GENERIC
    removed = await admin.act("profile.remove", name="generic-pcsc")
    assert (removed.version, removed.profiles) == (put.version + 1, [])
    with pytest.raises(ActionFailed, match="no profile 'generic-pcsc' is published"):
        await admin.act("profile.remove", name="generic-pcsc")
    with pytest.raises(ActionFailed, match="no profile 'x' is published"):
        await admin.act("profile.show", name="x")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("other", GENERIC, "other.toml: name is 'generic-pcsc'"),
        ("generic-pcsc", GENERIC + "\ncolour = 'red'\n", "generic-pcsc.toml: .*colour"),
        ("generic-pcsc", "name = ", "generic-pcsc.toml: "),
        ("generic-pcsc", "", "generic-pcsc.toml: "),
        ("generic-pcsc", "\x00", "generic-pcsc.toml: "),
        ("generic-pcsc", "#" * 16_385, "16,385 characters, 16,384 allowed"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_bad_profile_is_refused_by_name_and_replaces_nothing(
    admin: Admin, name: str, text: str, says: str
) -> None:
    await admin.act("profile.put", name="generic-pcsc", text=GENERIC)
    with pytest.raises(ActionFailed, match=says):
        await admin.act("profile.put", name=name, text=text)
    assert (await admin.act("profile.show", name="generic-pcsc")).text == GENERIC


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_set_that_gates_would_refuse_whole_is_not_published(admin: Admin) -> None:
    """A profile that an older server took may be unreadable to agents of today."""
    async with admin.database.write() as connection:
        await put_profiles(connection, {"old": "name = 'old'"}, NOW_MS)
    with pytest.raises(ActionFailed, match=r"old.toml: .*published before: put it anew, or remove it first"):
        await admin.act("profile.put", name="generic-pcsc", text=GENERIC)
    assert "unreadable to this version" in (await admin.act("profile.list")).profiles[0].evidence
    await admin.act("profile.remove", name="old")
    assert len((await admin.act("profile.put", name="generic-pcsc", text=GENERIC)).profiles) == 1


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_gates_that_cannot_take_profiles_are_named(admin: Admin, services: Services, city: City) -> None:
    await city.add_gate("door-2")
    other = await city.add_device(Device("door-2-device", "door-2"))
    services.reports.note(city.device.poll_message(understands=ALL), NOW_MS)
    services.reports.note(other.poll_message(), NOW_MS)
    await services.reports.write()
    assert (await admin.act("profile.list")).lacking == ["door-2"]


async def test_a_body_is_what_is_stored_whatever_this_version_would_write(services: Services, city: City) -> None:
    """A configuration written before this version had fewer keys; its gate must not take it for another one."""
    config = await city.configure(SHOWS_NAMES)
    answer = await ask(services, city)
    (envelope,) = [each for each in answer if unwrap(each).type == GateConfig.TYPE]
    assert unwrap(envelope).payload == config.body
    assert decode(GateConfig, unwrap(envelope).payload) == config.config
