"""What a page is made of: a handler that asks actions, and a template. Registered by `page` and `form`.

    @page("/devices", needs="device.list", nav=("Devices and gates", 30))
    async def devices(ask: Asking) -> Page:
        listed = await ask("device.list")
        return Page("devices.html", live=True, devices=listed.devices)

Paths are below `/console`. `needs` names the action that the caller must be allowed to ask for at all; where in the
city is checked by every `ask(...)`. `needs=SIGNED_IN`: anybody with an account.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from aiohttp import web
from multidict import MultiDict

from central.access import perform, rules
from central.access.caller import Caller
from central.actions.action import Context
from central.actions.registry import ACTIONS
from central.config import Config
from central.device_api import Services

SIGNED_IN = ""
"""In place of an action: for everybody who is signed in."""
MOST_ITEMS = 10_000
"""Handed out by one action to one page; what there is beyond is cut off."""


class Fields(dict[str, str]):
    """Names and values of a query or a form: the last value of each; `all` gives every one."""

    def __init__(self, pairs: MultiDict[str] | None = None) -> None:
        self._pairs = MultiDict[str]() if pairs is None else pairs
        super().__init__(self._pairs)

    def all(self, name: str) -> list[str]:
        return self._pairs.getall(name, [])

    def number(self, name: str, default: int | None = None) -> int | None:
        """An integer; the default where the field is empty or holds none."""
        try:
            return int(self.get(name, ""))
        except ValueError:
            return default


@dataclass(frozen=True)
class File:
    """An uploaded file, spooled to disk for as long as the request lasts; move it away to keep it."""

    path: Path
    name: str
    size: int


@dataclass
class Asking:
    """One request of one person, and the way to actions in their name."""

    request: web.Request
    services: Services
    config: Config
    caller: Caller
    lang: str
    csrf: str
    path: Mapping[str, str]
    query: Fields
    form: Fields = field(default_factory=Fields)
    file: File | None = None
    items: list[Any] = field(default_factory=list)
    """What the last action handed out one by one."""
    problem: str = ""
    """Why the form that was sent could not be done: the page is shown again with it."""
    looks_on: bool = False
    """An open page is drawn again."""
    session: Any = None
    """`central.access.sign_in.Session`; None for somebody who is not signed in."""

    async def __call__(self, action: str, /, **params: Any) -> Any:
        """The action's result. What is None is left out. Values may be texts: they are read as what is called for.

        Raises Forbidden, BadParameters, ActionFailed, Refused.
        """
        return await self.with_file(None, action, **params)

    async def with_file(self, attached: Path | None, action: str, /, **params: Any) -> Any:
        """The same for an action that takes a file."""
        self.items = []
        services = self.services
        context = Context(
            self.config,
            services.database,
            services.keys,
            self.now_ms,
            emit=self._emit,
            file=attached,
            caller=self.caller,
            looks_on=self.looks_on,
        )
        given = {name: value for name, value in params.items() if value is not None}
        return await perform.perform(context, action, given, strict=False)

    async def _emit(self, items: Any) -> None:
        self.items.extend(items[: max(0, MOST_ITEMS - len(self.items))])

    @property
    def now_ms(self) -> int:
        """UTC."""
        return self.services.now_ms()

    def may(self, action: str) -> bool:
        """Whether the caller may ask for this action at all: what it may not is not offered."""
        return action == SIGNED_IN or rules.may(self.caller, action, writes=ACTIONS[action].writes)


class Page:
    """A template and what it shows. `live`: its block `live` is sent again whenever it changed."""

    def __init__(
        self, template: str, *, live: bool = False, every_s: float = 2.0, status: int = 200, **data: Any
    ) -> None:
        self.template, self.live, self.every_s, self.status, self.data = template, live, every_s, status, data


class See(NamedTuple):
    """Go and look there. `said` (a text that is in the words): shown once, with `values` put into it."""

    url: str
    said: str = ""
    values: dict[str, Any] = {}


def go(address: str) -> web.Response:
    """See there (303): an answer that a handler may put cookies to."""
    return web.Response(status=303, headers={"Location": address})


Answer = Page | See | web.StreamResponse
Handler = Callable[[Asking], Awaitable[Answer]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True)
class Route:
    """One method of one path. `nav`: title and place in the menu. `again`: the page whose form it takes."""

    method: str
    path: str
    needs: str
    handler: Handler
    nav: tuple[str, int] | None = None
    again: Handler | None = None


ROUTES: list[Route] = []
"""Filled by importing `central.console.registry`."""


def page(path: str, *, needs: str, nav: tuple[str, int] | None = None) -> Callable[[H], H]:
    """Register a handler as the page at this path."""

    def register(handler: H) -> H:
        ROUTES.append(Route("GET", path, needs, handler, nav))
        return handler

    return register


def form(path: str, *, needs: str, again: Handler | None = None) -> Callable[[H], H]:
    """Register a handler as what happens when a form is sent to this path."""

    def register(handler: H) -> H:
        ROUTES.append(Route("POST", path, needs, handler, None, again))
        return handler

    return register


def _N(text: str) -> str:
    """Marks a text of the words where it is written but not shown yet."""
    return text
