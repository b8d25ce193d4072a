"""The one way to an action, whichever door it is asked at: rule, place, who, audit, then the action itself."""

from dataclasses import replace
from typing import Any, NoReturn

import msgspec

from central.access import audit
from central.access.audit import Entry
from central.access.caller import Caller
from central.access.reach import Asked, Forbidden, require
from central.access.redaction import difference
from central.access.rules import CITIZEN, ON_BEHALF, RULES, Rule, may
from central.access.shows import SHOWS, target_of
from central.actions.action import Action, ActionFailed, Context, Params, Result, no_items, require_content
from central.actions.registry import ACTIONS
from protocol.errors import Refused

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1


class NoSuchAction(Exception):
    """There is none of this name."""


class BadParameters(Exception):
    """They cannot be read. The text names the field."""


def find(name: str) -> Action[Any]:
    """Raises NoSuchAction."""
    found = ACTIONS.get(name)
    if found is None:
        raise NoSuchAction(f"there is no action {name[:80]!r}")
    return found


def typed(action: Action[Any], values: dict[str, Any], caller: Caller, *, strict: bool = True) -> Params:
    """The parameters, with `who` as the caller goes by. On this machine a person may say whom they act for.
    `strict` False: texts of a form are read as the numbers that are called for.

    Raises BadParameters.
    """
    if "who" in action.params.__struct_fields__ and not (caller.local and values.get("who")):
        values = values | {"who": caller.name}
    try:
        storable = _can_be_stored(values)
    except RecursionError:
        raise BadParameters(f"{action.name}: it is nested too deeply") from None
    if not storable:
        raise BadParameters(f"{action.name}: a number beyond 64 bits, or a text with the character NUL")
    try:
        return msgspec.convert(values, action.params, strict=strict)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise BadParameters(f"{action.name}: {error}") from None


def _can_be_stored(value: Any) -> bool:
    """Whether both databases could hold it, wherever it would go."""
    if isinstance(value, int):
        return MIN_INTEGER <= value <= MAX_INTEGER
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, dict):
        return all(_can_be_stored(key) and _can_be_stored(held) for key, held in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_can_be_stored, value))
    return True


async def perform(context: Context, name: str, values: dict[str, Any], *, strict: bool = True) -> Result:
    """What the action answers. `context.caller` says who asks.

    Raises NoSuchAction, BadParameters, Forbidden, ActionFailed, Refused.
    """
    action = find(name)
    if not may(context.caller, action.name, writes=action.writes):  # before anything of the parameters is told
        await _refuse_right(context, action, {})
    return await run(context, action, typed(action, values, context.caller, strict=strict))


async def run(context: Context, action: Action[Any], params: Params) -> Result:
    """The same, with parameters that were read already."""
    require_content(context.file)
    rule, caller = RULES.get(action.name, Rule()), context.caller
    told = msgspec.to_builtins(params)
    if not may(caller, action.name, writes=action.writes):
        await _refuse_right(context, action, told)
    if action.writes and caller.sees_everywhere_to_read:
        caller = caller.as_writer()  # whoever also audits sees the whole city, and changes none of it for that
        context = replace(context, caller=caller)
    if not caller.sees_all:
        try:
            async with context.database.read() as connection:
                await require(caller, rule, Asked(connection, context.keys, params))
        except Forbidden as refusal:
            await _refuse(context, action, told, str(refusal))
    if not action.writes:
        try:
            answer = await action.run(context, params)
        except Forbidden as refusal:
            await _refuse(context, action, told, str(refusal))
        if rule.personal and not context.looks_on:
            await _note(context, action, audit.LOOKED, told, why=ON_BEHALF if CITIZEN in caller.scopes else "")
        return answer
    try:
        before = await _shown(context, action, told)
    except Forbidden as refusal:
        await _refuse(context, action, told, str(refusal))
    asked = await _note(context, action, audit.ASKED, told)
    try:
        answer = await action.run(context, params)
    except (ActionFailed, Refused) as failure:
        await _note(context, action, audit.FAILED, told, asked, why=str(failure))
        raise
    except Forbidden as refusal:  # of what the action found out only as it went
        await _note(context, action, audit.REFUSED, told, asked, why=str(refusal))
        raise
    except BaseException as error:  # the text of others may quote the row that they were about
        await _note(context, action, audit.FAILED, told, asked, why=type(error).__name__)
        raise
    after = await _shown(context, action, told)
    was, now = difference(before, after)
    await _note(context, action, audit.DONE, {}, asked, told=told, was=was, now=now, answer=msgspec.to_builtins(answer))
    return answer


async def _refuse_right(context: Context, action: Action[Any], told: dict[str, Any]) -> NoReturn:
    caller = context.caller
    if caller.token:  # its account may do more
        await _refuse(context, action, told, f"the token {caller.token} is not for {action.name}")
    await _refuse(context, action, told, f"{caller.name} may not ask for {action.name}")


async def _refuse(context: Context, action: Action[Any], told: dict[str, Any], why: str) -> NoReturn:
    await _note(context, action, audit.REFUSED, told, why=why)
    raise Forbidden(why)


async def _shown(context: Context, action: Action[Any], told: dict[str, Any]) -> Any:
    """What the change is about, as it stands now; None where there is nothing yet, or nothing that shows it."""
    show = SHOWS.get(action.name)
    if show is None:
        return None
    name, params_of = show
    reading = ACTIONS[name]
    try:
        params = msgspec.convert(params_of(told), reading.params)
        return msgspec.to_builtins(await reading.run(replace(context, emit=no_items), params))
    except (ActionFailed, Refused, msgspec.ValidationError):
        return None


async def _note(
    context: Context, action: Action[Any], phase: str, params: dict[str, Any], asked: int = 0, **more: Any
) -> int:
    """`told`: parameters of a row whose `asked` row holds them; they only say what it is about."""
    target = target_of(more.pop("told", params)) or context.about
    body = {key: value for key, value in more.items() if value not in (None, {}, "")}
    if params and not asked:
        body = {"params": params} | body
    entry = Entry(action.name, phase, target, body, asked)
    return await audit.append(context.database, context.caller, entry, context.now_ms)
