"""A gate's configuration: shown, changed in part, its history, and an old content put in force again as newer."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.keeping_back import Despite, take_turn
from central.actions.places.places import must_exist, require_rising, require_zone
from central.configs import ConfigPayload, payload_of, put_config, read_configs
from central.privacy.purposes import purposes
from central.store.schema import gate_configs, gates, venues
from protocol.messages import Ages, Count, GateConfig

GIVEN = {
    "version": "the server numbers configurations",
    "gate": "it is named beside the file",
    "kind": "it was stated when the gate was added",
    "staff": "see `staff add`",
    "closures": "see `closure add`",
}
"""Fields of a configuration that no file sets, and why."""


class GateParams(Params, frozen=True):
    """Which gate."""

    gate: str


class ConfigPutParams(Params, frozen=True):
    """Which gates: named, or all of a venue. `body` is a part of what `gate.config.show` gives: what it does not name
    stays; with `whole`, what it does not name of release, screen and texts is as at a new gate."""

    body: dict[str, object]
    gates: list[str] = []
    venue: str = ""
    whole: bool = False
    despite_freeze: Despite = ""


class ConfigBackParams(Params, frozen=True):
    """The version whose content shall be in force again."""

    gate: str
    version: int
    despite_freeze: Despite = ""


class ConfigShown(Result, frozen=True):
    """The configuration in force. `body` can be put again; `staff`: who may admit by hand there, by id."""

    gate: str
    version: int
    at_ms: int
    body: dict[str, Any]
    staff: list[str]


class ConfigPut(msgspec.Struct, frozen=True):
    """A gate, the version that is in force there now, and what changed, by path; nothing = the version stayed."""

    gate: str
    version: int
    changed: list[str]


class ConfigsPut(Result, frozen=True):
    """By gate."""

    gates: list[ConfigPut]


class ConfigVersion(msgspec.Struct, frozen=True):
    """One version, and by path what it changed; the first one changed nothing."""

    version: int
    at_ms: int
    changed: list[str]
    staff: list[str]


class ConfigHistory(Result, frozen=True):
    """The newest first."""

    gate: str
    versions: list[ConfigVersion]


@action("gate.config.show", GateParams, writes=False)
async def config_show(context: Context, params: GateParams) -> ConfigShown:
    """What is in force at a gate."""
    async with context.database.read() as connection:
        (*_, (held, at_ms)) = await _versions(connection, params.gate)
    people = [person.id for person in held.config.staff]
    return ConfigShown(gate=params.gate, version=held.version, at_ms=at_ms, body=body_of(held), staff=people)


@action("gate.config.put", ConfigPutParams, writes=True)
async def config_put(context: Context, params: ConfigPutParams) -> ConfigsPut:
    """Change the configuration of one gate or several, all of them or none. Connected gates get it at once."""
    async with context.database.write() as connection:
        concerned = await concerned_gates(connection, params.gates, params.venue)
        await take_turn(context, connection, concerned, params.despite_freeze)
        held = await read_configs(connection, concerned)
        done = [await _put(context, connection, held[gate], params) for gate in concerned]
    return ConfigsPut(gates=done)


@action("gate.config.history", GateParams, writes=False)
async def config_history(context: Context, params: GateParams) -> ConfigHistory:
    """Every version that was ever in force at a gate."""
    async with context.database.read() as connection:
        versions = await _versions(connection, params.gate)
    told, before = [], versions[0][0]
    for held, at_ms in versions:
        people = [person.id for person in held.config.staff]
        changed = differences(body_of(before), body_of(held))
        changed += ["staff"] if held.config.staff != before.config.staff else []
        changed += ["closures"] if held.config.closures != before.config.closures else []
        told.append(ConfigVersion(held.version, at_ms, changed, people))
        before = held
    return ConfigHistory(gate=params.gate, versions=told[::-1])


@action("gate.config.back", ConfigBackParams, writes=True)
async def config_back(context: Context, params: ConfigBackParams) -> ConfigsPut:
    """Put the content of an old version in force as a newer one, with the staff and closures of today."""
    async with context.database.write() as connection:
        await take_turn(context, connection, [params.gate], params.despite_freeze)
        versions = [held for held, _ in await _versions(connection, params.gate)]
        old = next((held for held in versions if held.version == params.version), None)
        if old is None:
            raise ActionFailed(f"{params.gate} never had a configuration {params.version}: see `gate config history`")
        done = await _put_content(context, connection, versions[-1], old.config, old.ages)
    return ConfigsPut(gates=[done])


async def _versions(connection: AsyncConnection, gate: str) -> list[tuple[ConfigPayload, int]]:
    """With the time of each, oldest first. Raises ActionFailed for a gate that does not exist."""
    await must_exist(connection, gates, gate, "gate")
    query = select(gate_configs).where(gate_configs.c.gate == gate).order_by(gate_configs.c.version)
    return [(payload_of(row), row.at_ms) for row in await connection.execute(query)]


async def concerned_gates(connection: AsyncConnection, gates_named: Sequence[str], venue: str) -> list[str]:
    """Those that are named, and those of a venue. Raises ActionFailed where there is none, or no such one."""
    named = list(dict.fromkeys(gates_named))
    for gate in named:
        await must_exist(connection, gates, gate, "gate")
    if venue:
        await must_exist(connection, venues, venue, "venue")
        query = select(gates.c.id).where(gates.c.venue == venue, gates.c.id.not_in(named)).order_by(gates.c.id)
        named += (await connection.execute(query)).scalars()
    if not named:
        raise ActionFailed("no gate is named: state one, or a venue that has some")
    return named


async def _put(
    context: Context, connection: AsyncConnection, held: ConfigPayload, params: ConfigPutParams
) -> ConfigPut:
    return await _put_content(context, connection, held, *changed_config(held, params.body, params.whole))


def changed_config(held: ConfigPayload, body: Mapping[str, Any], whole: bool = False) -> tuple[GateConfig, Ages]:
    """A configuration with what a body names of it. Raises ActionFailed with the path of what is wrong."""
    own = held.config
    base = GateConfig(0, own.gate, own.kind, own.direction, own.time_zone, own.title_zh, own.title_en)
    return checked_config(own, merged(body_of(held._replace(config=base) if whole else held), body))


async def _put_content(
    context: Context, connection: AsyncConnection, held: ConfigPayload, config: GateConfig, ages: Ages
) -> ConfigPut:
    changed = differences(body_of(held), body_of(held._replace(config=config, ages=ages)))
    if not changed:
        return ConfigPut(held.config.gate, held.version, [])
    put = await put_config(connection, context.keys, config, ages, context.now_ms)
    return ConfigPut(put.config.gate, put.version, changed)


# --- bodies as people write them ----------------------------------------------------------------------------------


def body_of(held: ConfigPayload) -> dict[str, Any]:
    """What a file can say of a configuration, all of it: its own fields and the three ages."""
    config: dict[str, Any] = msgspec.to_builtins(held.config)
    config["texts"] = {
        reason: {name: text for name, text in wording.items() if text} for reason, wording in config["texts"].items()
    }
    return {name: value for name, value in config.items() if name not in GIVEN} | {
        "ages": msgspec.structs.asdict(held.ages)
    }


def merged(held: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged name by name; anything else takes the place of what is held."""
    result = dict(held)
    for name, value in body.items():
        before = result.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[name] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result


class _Ages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The three ages as people write them."""

    warn_ms: Count
    restrict_ms: Count
    close_ms: Count


class _WithAges(msgspec.Struct, frozen=True):
    ages: _Ages


def checked_config(own: GateConfig, body: Mapping[str, Any]) -> tuple[GateConfig, Ages]:
    """A whole body as a configuration of this gate. Raises ActionFailed with the path of what is wrong."""
    for name, why in GIVEN.items():
        if name in body:
            raise ActionFailed(f"configuration of {own.gate}: {name}: {why}, leave it out")
    content = {name: value for name, value in body.items() if name != "ages"}
    try:
        found = msgspec.convert({"version": 0, "gate": own.gate, "kind": own.kind, **content}, GateConfig)
        stated = msgspec.convert({"ages": body.get("ages")}, _WithAges).ages
    except msgspec.ValidationError as error:
        raise ActionFailed(f"configuration of {own.gate}: {error}") from None
    ages = Ages(stated.warn_ms, stated.restrict_ms, stated.close_ms)
    for purpose in found.screen.consents:
        if purpose not in purposes() or purposes()[purpose].consent == "never":
            raise ActionFailed(f"configuration of {own.gate}: screen.consents: {purpose!r} asks for no consent")
    require_zone(found.time_zone)
    require_rising(ages)
    texts = {reason: said for reason, said in sorted(found.texts.items()) if any(msgspec.structs.astuple(said))}
    return msgspec.structs.replace(found, texts=texts), ages


def differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> list[str]:
    """The paths at which two bodies differ, such as `release.pulse_ms`."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{path}{name}.")
        elif old != new:
            found.append(path + name)
    return found
