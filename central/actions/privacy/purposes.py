"""What data is used for, what people are told of it, and from when it needs their consent."""

from typing import Annotated, Any

import msgspec
from sqlalchemy import select

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.dates import start_ms
from central.privacy.at_screens import put_consents
from central.privacy.notices import Notice, append_notice, newest_versions, read_notice
from central.privacy.purposes import Purpose, purposes
from central.privacy.requiring import follow, state_rule
from central.store.schema import consent_notices, consent_rules
from protocol.time_zones import CITY

PurposeId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""Consent is the whole city's affair, whatever zone a venue keeps."""


class PurposesParams(Params, frozen=True):
    """All of them."""


class PurposeRow(msgspec.Struct, frozen=True, kw_only=True):
    """`required`: only a given consent counts. `from_ms`: that begins then; 0 = nothing is planned. `notice`: the
    newest version, 0 = none. `following`: lists are being compiled after a change of it. `written`: a tap at a kiosk
    is not enough to agree."""

    id: str
    title_zh: str
    title_en: str
    basis_zh: str
    basis_en: str
    consent: str
    classes: list[str]
    written: bool
    required: bool
    from_ms: int
    notice: int
    following: bool


class PurposesListed(Result, frozen=True):
    """In the order in which they are kept."""

    purposes: list[PurposeRow]


class RequireParams(Params, frozen=True, kw_only=True):
    """`when`: a local date, `now`, or `never` (not any more)."""

    purpose: PurposeId
    when: str
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class Required(Result, frozen=True):
    """How it stands, and how many members' cards were compiled again."""

    purpose: str
    required: bool
    from_ms: int
    members: int


class NoticePutParams(Params, frozen=True, kw_only=True):
    """A purpose, and what is told of it."""

    purpose: PurposeId
    notice: Notice
    who: str = ""


class NoticeParams(Params, frozen=True):
    """`version` 0: the newest."""

    purpose: PurposeId
    version: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class NoticeShown(Result, frozen=True):
    """A version of a notice; `newest` is another one's number where this one is an older."""

    purpose: str
    version: int
    newest: int
    at_ms: int
    who: str
    notice: Notice


@action("purpose.list", PurposesParams, writes=False)
async def purpose_list(context: Context, _params: PurposesParams) -> PurposesListed:
    """Every purpose, its basis, and whether it needs consent."""
    async with context.database.read() as connection:
        notices = await newest_versions(connection)
        rules = {row.purpose: row for row in await connection.execute(select(consent_rules))}
    return PurposesListed(
        purposes=[_row(each, rules.get(each.id), notices.get(each.id, 0)) for each in purposes().values()]
    )


def _row(purpose: Purpose, rule: Any, notice: int) -> PurposeRow:
    return PurposeRow(
        **msgspec.to_builtins(purpose),
        required=purpose.consent == "always" or (rule is not None and rule.required),
        from_ms=rule.from_ms if rule is not None else 0,
        notice=notice,
        following=rule is not None and rule.cursor is not None,
    )


@action("purpose.require", RequireParams, writes=True)
async def purpose_require(context: Context, params: RequireParams) -> Required:
    """Say from when only a given consent counts. Where that is now, every list follows before this returns."""
    purpose = known(params.purpose)
    if purpose.consent != "when-required":
        always = "always needs consent" if purpose.consent == "always" else "rests on another basis than consent"
        raise ActionFailed(f"{purpose.id} {always}: nothing can be stated of it")
    stops = params.when == "never"
    try:
        from_ms = 0 if stops else context.now_ms if params.when == "now" else start_ms(params.when, CITY)
    except ValueError as error:
        raise ActionFailed(f"when: {error}, `now` or `never`") from None
    if not stops and not from_ms:
        raise ActionFailed("when: a local date, `now` or `never`")
    async with context.database.write() as connection:
        if not stops and not (await newest_versions(connection)).get(purpose.id):
            raise ActionFailed(f"nobody can agree to {purpose.id} before there is a notice: `notice put {purpose.id}`")
        await state_rule(connection, purpose.id, not stops, from_ms, params.who, params.why, context.now_ms)
    members = await follow(context.database, context.keys, context.now_ms)
    async with context.database.read() as connection:
        query = select(consent_rules).where(consent_rules.c.purpose == purpose.id)
        rule = (await connection.execute(query)).one()
    return Required(purpose=purpose.id, required=rule.required, from_ms=rule.from_ms, members=members)


@action("notice.put", NoticePutParams, writes=True)
async def notice_put(context: Context, params: NoticePutParams) -> NoticeShown:
    """What is told from now on, at connected gates at once; older versions stay, since people agreed to them."""
    known(params.purpose)
    async with context.database.write() as connection:
        await append_notice(connection, params.purpose, params.notice, params.who, context.now_ms)
        await put_consents(connection, context.now_ms)
    return await notice_show(context, NoticeParams(purpose=params.purpose))  # type: ignore[no-any-return]


@action("notice.show", NoticeParams, writes=False)
async def notice_show(context: Context, params: NoticeParams) -> NoticeShown:
    """A notice as it was told."""
    known(params.purpose)
    async with context.database.read() as connection:
        newest = (await newest_versions(connection)).get(params.purpose, 0)
        version = params.version or newest
        notice = await read_notice(connection, params.purpose, version)
        c = consent_notices.c
        query = select(c.at_ms, c.who).where(c.purpose == params.purpose, c.version == version)
        made = (await connection.execute(query)).one_or_none()
    if not version:
        raise ActionFailed(f"there is no notice of {params.purpose} yet: `notice put {params.purpose}`")
    if notice is None or made is None:
        raise ActionFailed(f"there is no version {version} of the notice of {params.purpose}: see `purpose list`")
    told = {"version": version, "newest": newest, "at_ms": made.at_ms, "who": made.who}
    return NoticeShown(purpose=params.purpose, notice=notice, **told)


def known(id_: str) -> Purpose:
    """Raises ActionFailed for one that there is not."""
    purpose = purposes().get(id_)
    if purpose is None:
        raise ActionFailed(f"there is no purpose {id_[:64]!r}: known are {', '.join(purposes())}")
    return purpose
