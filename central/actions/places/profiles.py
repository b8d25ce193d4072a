"""Reader profiles that central publishes to every gate: put, listed, shown, removed."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.shared_parts import put_profiles, read_profiles
from central.store.schema import devices
from firmware_profiles import ProfileError, parse_profile
from protocol.messages import Poll, Profiles, decode

MAX_PROFILES = 64
MAX_CHARACTERS = 16 * 1024


class ProfilePutParams(Params, frozen=True):
    """The profile's name, which is that of its file, and the file's text."""

    name: str
    text: str


class ProfileParams(Params, frozen=True):
    """Which profile."""

    name: str


class ProfilesParams(Params, frozen=True):
    """All of them."""


class PublishedProfile(msgspec.Struct, frozen=True):
    """One profile; `evidence`: what it rests on, by its own word."""

    name: str
    evidence: str
    characters: int


class ProfilesPublished(Result, frozen=True):
    """The set in force. `lacking`: gates whose agents are too old to take profiles."""

    version: int
    profiles: list[PublishedProfile]
    lacking: list[str]


class ProfileShown(Result, frozen=True):
    """The file as it was put."""

    name: str
    version: int
    text: str


@action("profile.put", ProfilePutParams, writes=True)
async def profile_put(context: Context, params: ProfilePutParams) -> ProfilesPublished:
    """Publish a profile; it goes before a shipped one of its name, and behind a machine's own."""
    if len(params.text) > MAX_CHARACTERS:
        raise ActionFailed(f"{params.name}.toml: {len(params.text):,} characters, {MAX_CHARACTERS:,} allowed")
    async with context.database.write() as connection:
        held = await read_profiles(connection)
        texts = dict(held.profiles) | {params.name: params.text}
        _require_readable(params.name, texts)
        if len(texts) > MAX_PROFILES:
            raise ActionFailed(f"{MAX_PROFILES} profiles are published already: remove one first")
        if texts != held.profiles:
            await put_profiles(connection, texts, context.now_ms)
        return await _published(connection)


@action("profile.remove", ProfileParams, writes=True)
async def profile_remove(context: Context, params: ProfileParams) -> ProfilesPublished:
    """Publish the set without this profile; gates go back to the one that they were shipped with."""
    async with context.database.write() as connection:
        texts = dict((await _held(connection, params.name)).profiles)
        del texts[params.name]
        await put_profiles(connection, texts, context.now_ms)
        return await _published(connection)


@action("profile.list", ProfilesParams, writes=False)
async def profile_list(context: Context, _params: ProfilesParams) -> ProfilesPublished:
    """What is published."""
    async with context.database.read() as connection:
        return await _published(connection)


@action("profile.show", ProfileParams, writes=False)
async def profile_show(context: Context, params: ProfileParams) -> ProfileShown:
    """A published profile, as a file that can be put again."""
    async with context.database.read() as connection:
        held = await _held(connection, params.name)
    return ProfileShown(name=params.name, version=held.version, text=held.profiles[params.name])


def _require_readable(name: str, texts: Mapping[str, str]) -> None:
    """Raises ActionFailed: a gate that cannot read one profile takes none of the set."""
    for each, text in sorted(texts.items(), key=lambda item: item[0] != name):
        try:
            parse_profile(each, text)
        except ProfileError as error:
            more = "" if each == name else " (published before: put it anew, or remove it first)"
            raise ActionFailed(f"{error}{more}") from None


async def _held(connection: AsyncConnection, name: str) -> Profiles:
    held = await read_profiles(connection)
    if name not in held.profiles:
        raise ActionFailed(f"no profile {name!r} is published: see `profile list`")
    return held


async def _published(connection: AsyncConnection) -> ProfilesPublished:
    held = await read_profiles(connection)
    found = [PublishedProfile(name, _evidence(name, text), len(text)) for name, text in held.profiles.items()]
    return ProfilesPublished(version=held.version, profiles=found, lacking=await _lacking(connection))


def _evidence(name: str, text: str) -> str:
    try:
        return "; ".join(parse_profile(name, text).evidence)
    except ProfileError as error:  # put by a version that knew another form of profiles
        return f"unreadable to this version: {error}"


async def _lacking(connection: AsyncConnection) -> list[str]:
    query: Any = select(devices.c.gate, devices.c.report).where(devices.c.state == "active")
    rows = await connection.execute(query.where(devices.c.report.is_not(None)))
    return sorted({gate for gate, report in rows if Profiles.TYPE not in decode(Poll, report).understands})
