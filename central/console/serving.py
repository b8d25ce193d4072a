"""The console as an application: who asks, may they, the handler, and an answer that says what to do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import groupby
from typing import Any
from urllib.parse import quote, unquote

import structlog
from aiohttp import web
from multidict import MultiDict

from central.access.caller import Caller
from central.access.perform import BadParameters
from central.access.reach import Forbidden
from central.access.sessions import caller_of_session
from central.access.sign_in import here_alone
from central.actions.action import ActionFailed
from central.config import Config
from central.console import live
from central.console.bodies import read_form
from central.console.guard import (
    LANG_COOKIE,
    SAID_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    VISITOR_COOKIE,
    csrf_of,
    harden,
    is_ours,
    origin_of,
    set_secret,
    visitor_of,
)
from central.console.jobs import JOBS, Jobs, keeping
from central.console.page import _N, Answer, Asking, Fields, Page, Route, See, go
from central.console.registry import ROUTES
from central.console.rendering import PREFIX, STATIC, render, render_block
from central.console.words import chosen, say
from central.device_api import SERVICES, Services
from central.failures import breakage
from protocol.errors import Refused

PUBLIC = frozenset({"/sign-in", "/look"})
"""Paths for people who are not signed in."""
UNTIL_CHANGED = frozenset({"/me/password", "/sign-out", "/look"})
"""What somebody may do whose password was set by another."""
GROUPS = (
    *((80, _N("Administration")), (70, _N("Services")), (55, _N("Rules of entry")), (50, _N("People and cards"))),
    *((40, _N("Places")), (0, "")),
)
"""Headings of the menu, by the first place of each."""
MOST_OPEN_OF_ONE, MOST_OPEN = 12, 400
"""Live pages: each is drawn again every few seconds, from the readers that gates use as well."""
THEMES = ("auto", "light", "dark")
NOBODY = frozenset[Any]()

log = structlog.get_logger()


def add_routes(app: web.Application, config: Config) -> None:
    """The console below `/console`, to an application that holds the services of a running server."""
    app.add_subapp(PREFIX, build(app[SERVICES], config))
    app.router.add_get("/", _to_the_console)


async def _to_the_console(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther(f"{PREFIX}/")


def build(services: Services, config: Config) -> web.Application:
    """Every page and form, and the files that they need."""
    app = web.Application()
    console = _Console(services, config)
    jobs = app[JOBS] = Jobs(services, config)
    app.cleanup_ctx.append(keeping(jobs))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, console.answering(route))
    app.router.add_get("/static/{name}", _static)
    app.router.add_route("*", "/{rest:.*}", console.nowhere)
    return app


async def _static(request: web.Request) -> web.StreamResponse:
    path = STATIC / request.match_info["name"]
    response: web.StreamResponse
    if path.parent != STATIC or not path.is_file():
        response = web.Response(status=404, text="there is no such file")
    else:
        response = web.FileResponse(path)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    harden(request, response)
    return response


class _Console:
    def __init__(self, services: Services, config: Config) -> None:
        self._services, self._config = services, config
        self._open: dict[str, int] = {}
        """Live pages of each session."""
        self._menu = sorted(
            (route for route in ROUTES if route.nav), key=lambda route: route.nav[1] if route.nav else 0
        )

    def answering(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler of a route for aiohttp."""

        async def handle(request: web.Request) -> web.StreamResponse:
            ask = await self._asking(request)
            response = await self._turned_away(route, ask) or await self._tried(route, ask)
            self._finish(ask, response)
            return response

        return handle

    async def nowhere(self, request: web.Request) -> web.StreamResponse:
        """A page that there is not; strangers are not told which there are."""
        ask = await self._asking(request)
        if ask.session is None and request.method == "GET":
            return go(_sign_in_first(request))
        response = self._problem(ask, 404, say(ask.lang, "There is no such page."))
        self._finish(ask, response)
        return response

    # --- who asks --------------------------------------------------------------------------------------------

    async def _asking(self, request: web.Request) -> Asking:
        origin = origin_of(request, self._config.proxied)
        secret, session = request.cookies.get(SESSION_COOKIE, ""), None
        if secret:
            session = await caller_of_session(
                *(self._services.database, secret, origin, self._services.now_ms()),
                loopback=here_alone(self._config),
                touch="live" not in request.query,
            )
        lang = chosen(request.cookies.get(LANG_COOKIE, ""), request.headers.get("Accept-Language", ""))
        caller = session.caller if session is not None else Caller("", NOBODY, origin)
        csrf = csrf_of(secret if session is not None else visitor_of(request))
        query = Fields(MultiDict(request.query))
        return Asking(
            request, self._services, self._config, caller, lang, csrf, request.match_info, query, session=session
        )

    async def _turned_away(self, route: Route, ask: Asking) -> web.StreamResponse | None:
        """An answer for who may not go on; None for everybody else."""
        if route.path in PUBLIC:
            return None
        if ask.session is None:
            if route.method == "GET" and "live" not in ask.query:
                return go(_sign_in_first(ask.request))
            return self._problem(ask, 401, say(ask.lang, "You are not signed in any more: sign in again."))
        if ask.session.must_change and route.path not in UNTIL_CHANGED:
            return go(f"{PREFIX}/me/password")
        if not ask.may(route.needs):
            return self._problem(ask, 403, say(ask.lang, "Your account may not do this."))
        return None

    # --- what they get ---------------------------------------------------------------------------------------

    async def _tried(self, route: Route, ask: Asking) -> web.StreamResponse:
        try:
            return await self._done(route, ask)
        except web.HTTPRequestEntityTooLarge:
            return self._problem(ask, 413, say(ask.lang, "That is larger than what is taken here."))
        except web.HTTPException as refusal:
            if refusal.status < 400:
                raise
            return self._problem(ask, refusal.status, refusal.text or "")
        except Forbidden as refusal:
            return self._problem(ask, 403, str(refusal))
        except (ActionFailed, Refused, BadParameters) as failure:
            return self._problem(ask, 422, str(failure))
        except ConnectionResetError:
            raise
        except Exception as error:
            log.error("page-broken", path=route.path, **breakage(error))
            return self._problem(ask, 500, say(ask.lang, "This went wrong on our side; it is in the server's log."))

    async def _done(self, route: Route, ask: Asking) -> web.StreamResponse:
        if route.method == "GET":
            return await self._answer(route, ask, await route.handler(ask))
        most = self._config.max_upload_bytes if ask.session is not None else 0  # strangers fill no disk
        async with read_form(ask.request, self._config.data_dir, most) as (ask.form, ask.file):
            cookie = SESSION_COOKIE if ask.session is not None else VISITOR_COOKIE
            if not is_ours(ask.request, ask.request.cookies.get(cookie, ""), ask.form.get("csrf", "")):
                return self._problem(
                    ask, 403, say(ask.lang, "This form is not from this session: go back and try again.")
                )
            try:
                answer = await route.handler(ask)
            except (ActionFailed, Refused, BadParameters, Forbidden) as failure:
                if route.again is None:
                    raise
                ask.problem = str(failure)
                answer = await route.again(ask)
                if isinstance(answer, Page):
                    answer.status = 403 if isinstance(failure, Forbidden) else 422
            return await self._answer(route, ask, answer)

    async def _answer(self, route: Route, ask: Asking, answer: Answer) -> web.StreamResponse:
        if isinstance(answer, Page):
            if answer.live and "live" in ask.query and route.method == "GET":
                return await self._live(route, ask, answer)
            return self._page(ask, answer)
        if isinstance(answer, See):
            response = go(PREFIX + answer.url)
            if answer.said:
                said = say(ask.lang, answer.said)
                text = quote(said % answer.values if answer.values else said)
                response.set_cookie(SAID_COOKIE, text, max_age=60, path=PREFIX, httponly=True, samesite="Strict")
            return response
        return answer

    async def _live(self, route: Route, ask: Asking, page: Page) -> web.StreamResponse:
        """As long as the session lasts and the page can be shown."""
        first = [page]

        async def draw() -> str | None:
            again = await self._asking(ask.request)
            if again.session is None or not again.may(route.needs):
                return None
            again = replace(again, query=ask.query, looks_on=True)
            try:
                shown = first.pop() if first else await route.handler(again)
                if not isinstance(shown, Page):
                    return None
                return render_block(again.lang, shown.template, "live", self._data(again, shown))
            except (ActionFailed, Refused, Forbidden, BadParameters):
                return None
            except Exception as error:  # the stream has begun: nothing but its end can be answered any more
                log.error("page-broken", path=route.path, **breakage(error))
                return None

        of_session = self._open.get(ask.session.id, 0)
        if of_session >= MOST_OPEN_OF_ONE or sum(self._open.values()) >= MOST_OPEN:
            return self._problem(ask, 429, say(ask.lang, "Too many pages are open: close some."))
        self._open[ask.session.id] = of_session + 1
        try:
            return await live.send(ask.request, draw, page.every_s, lambda: self._services.wakeups.closing)
        finally:
            self._open[ask.session.id] -= 1
            self._open = {session: held for session, held in self._open.items() if held}

    def _data(self, ask: Asking, page: Page) -> dict[str, Any]:
        route_path = ask.request.path.removeprefix(PREFIX)
        return {
            "ask": ask,
            "caller": ask.caller,
            "csrf": ask.csrf,
            "form": ask.form,
            "here": route_path,
            "is_live": page.live,
            "may": ask.may,
            "menu": self._menu_of(ask),
            "now_ms": ask.now_ms,
            "problem": ask.problem,
            "said": unquote(ask.request.cookies.get(SAID_COOKIE, ""))[:500],
            "session": ask.session,
            "theme": theme_of(ask.request),
            **page.data,
        }

    def _menu_of(self, ask: Asking) -> list[tuple[str, list[Route]]]:
        """What the caller may look at, in groups."""
        mine = [route for route in self._menu if ask.session is not None and ask.may(route.needs)]
        return [(group, list(routes)) for group, routes in groupby(mine, _group_of)]

    def _page(self, ask: Asking, page: Page) -> web.StreamResponse:
        text = render(ask.lang, page.template, self._data(ask, page))
        response = web.Response(text=text, content_type="text/html", status=page.status)
        if SAID_COOKIE in ask.request.cookies:
            response.del_cookie(SAID_COOKIE, path=PREFIX)
        return response

    def _problem(self, ask: Asking, status: int, why: str) -> web.StreamResponse:
        return self._page(ask, Page("problem.html", status=status, code=status, why=why))

    def _finish(self, ask: Asking, response: web.StreamResponse) -> None:
        if ask.session is None and not response.prepared and ask.request.path.startswith(f"{PREFIX}/sign-in"):
            visitor = visitor_of(ask.request)
            if ask.request.cookies.get(VISITOR_COOKIE) != visitor:
                set_secret(response, VISITOR_COOKIE, visitor)
        harden(ask.request, response)


def _sign_in_first(request: web.Request) -> str:
    return f"{PREFIX}/sign-in?next={quote(request.path_qs)}"


def _group_of(route: Route) -> str:
    place = route.nav[1] if route.nav else 0
    return next(title for first, title in GROUPS if place >= first)


def theme_of(request: web.Request) -> str:
    """Light, dark, or what the machine says."""
    held = request.cookies.get(THEME_COOKIE, "")
    return held if held in THEMES else THEMES[0]
