"""The API's own description, made out of the registry of actions: nothing in it is written by hand. Pure."""

import inspect
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, get_type_hints

import msgspec

from central.access.rules import LOCAL_ONLY, RULES
from central.actions.action import Action, Result

PREFIX = "/api/v1"
QUERIES = {"/feed": "feed.read"}
"""Reading actions that are asked by GET, too: whoever pulls a feed need send no body."""
REFERENCES = "#/components/schemas/"
FAILURES = {
    "400": "The body or a parameter cannot be read; `failure` names it.",
    "401": "No token, or one that is unknown, revoked or over.",
    "403": "The token's account may not ask for this, or not there.",
    "413": "The body is larger than what is taken.",
    "415": "The body is neither JSON nor a form with `params` and `file`.",
    "422": "It was not done; `failure` says why, in one line for a person.",
    "429": "Too many requests with this token; `Retry-After` says when to ask again.",
    "503": "It went wrong on the server's side; its log says where.",
}


class Failed(msgspec.Struct, frozen=True):
    """Why nothing was done. `kind`: a word that stays the same; `failure`: one line for a person."""

    kind: str
    failure: str


def offered(actions: Iterable[Action[Any]]) -> list[Action[Any]]:
    """Those that have a rule, but for what is for this machine's command line alone."""
    return sorted((a for a in actions if a.name in RULES and a.name not in LOCAL_ONLY), key=lambda a: a.name)


def result_of(action: Action[Any]) -> type[Result]:
    """The type that an action answers with."""
    return get_type_hints(action.run)["return"]  # type: ignore[no-any-return]


def document(actions: Iterable[Action[Any]]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    shown = offered(actions)
    types = [*(action.params for action in shown), *(result_of(action) for action in shown), Failed]
    schemas, components = msgspec.json.schema_components(types, schema_hook=_schema, ref_template=REFERENCES + "{name}")
    schemas, components = _renamed((schemas, components), {name: _name(name) for name in components if "." in name})
    count = len(shown)
    for action, schema in zip(shown, schemas[:count], strict=True):
        if "who" in action.params.__struct_fields__:
            _without_who(components[schema["$ref"].rpartition("/")[2]])
    failed = schemas[-1]
    told = {
        action.name: (action, params, result)
        for action, params, result in zip(shown, schemas[:count], schemas[count:-1], strict=True)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tapgate",
            "version": version("tapgate"),
            "description": (
                "Everything that the console's pages do, as actions. Parameters are one JSON object; the answer holds "
                "`result`, and `items` where the action hands out a list one by one (`more`: it was cut off). "
                "Who asks is the token's account, and every change is kept in the audit log in its name."
            ),
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An API token."}},
            "schemas": components,
        },
        "paths": {
            f"/{name}": {"post": _operation(action, params, result, failed)}
            for name, (action, params, result) in told.items()
        }
        | {
            path: {"get": _query(action, components[params["$ref"].rpartition("/")[2]], result, failed)}
            for path, (action, params, result) in ((path, told[name]) for path, name in QUERIES.items() if name in told)
        },
    }


def _schema(kind: type) -> dict[str, Any]:
    if kind is object:
        return {"description": "Anything."}
    raise NotImplementedError(kind)


def _name(full: str) -> str:
    """Where two types go by one name they are told apart by their module's: `plans.Totals` is PlansTotals."""
    module, name = full.split(".")[-2:]
    return "".join(part.capitalize() for part in module.split("_")) + name


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(held, names) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed(held, names) for held in value)
    if isinstance(value, str) and value.startswith(REFERENCES):
        name = value.removeprefix(REFERENCES)
        return REFERENCES + names.get(name, name)
    return value


def _without_who(schema: dict[str, Any]) -> None:
    """Who says something is the caller: the server fills it in, whatever was sent."""
    schema["properties"].pop("who", None)
    if "who" in schema.get("required", []):
        schema["required"].remove("who")


def _query(action: Action[Any], params: dict[str, Any], result: Any, failed: Any) -> dict[str, Any]:
    """The same by GET, with its parameters in the address."""
    told = _operation(action, {}, result, failed)
    del told["requestBody"]
    told["responses"] = {status: answer for status, answer in told["responses"].items() if status not in ("413", "415")}
    required = params.get("required", [])
    given = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in params["properties"].items()
    ]
    return {**told, "operationId": f"{action.name}.query", "parameters": given}


def _operation(action: Action[Any], params: Any, result: Any, failed: Any) -> dict[str, Any]:
    rule = RULES[action.name]
    roles = sorted({"admin", *rule.roles, *(() if action.writes else ("auditor",))})
    roles += [f"tokens of the scope {rule.scope}"] if rule.scope else []
    answer = {
        "type": "object",
        "properties": {"result": result, "items": {"type": "array"}, "more": {"type": "boolean"}},
        "required": ["result", "items", "more"],
        "additionalProperties": False,
    }
    about = inspect.cleandoc(action.run.__doc__ or "")
    return {
        "operationId": action.name,
        "tags": [action.name.partition(".")[0]],
        "summary": about.partition("\n")[0] or action.name,
        "description": f"{about}\n\nFor: {', '.join(roles)}.",
        "x-writes": action.writes,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": params},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "params": {"type": "string", "description": "The same parameters, as JSON."},
                            "file": {"type": "string", "format": "binary"},
                        },
                        "required": ["params"],
                    }
                },
            },
        },
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
            **{
                status: {"description": about, "content": {"application/json": {"schema": failed}}}
                for status, about in FAILURES.items()
            },
        },
    }
