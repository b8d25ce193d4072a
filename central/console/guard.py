"""What stands between the console and the rest of the web: headers, cookies, and proof that a form is ours."""

import hashlib
import hmac
import ipaddress
import secrets

from aiohttp import web

SESSION_COOKIE = "__Host-tapgate"
VISITOR_COOKIE = "__Host-tapgate-visitor"
"""Of who is not signed in yet: it lasts as long as the browser is open and is good for the sign-in form alone."""
VISITOR, VISITOR_CHARACTERS = web.RequestKey("visitor", str), 43
LANG_COOKIE, THEME_COOKIE, SAID_COOKIE = "tapgate-lang", "tapgate-theme", "tapgate-said"
UNTOLD = "behind a proxy that does not tell"
"""In place of an address: no loopback one, so nobody is taken for somebody at this machine."""
YEAR_S = 366 * 86_400

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
HSTS = "max-age=63072000"
"""Where the request came over TLS."""


def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer has these headers; what a handler set itself stays."""
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.secure:
            response.headers.setdefault("Strict-Transport-Security", HSTS)


def csrf_of(secret: str) -> str:
    """The token in every form of a session: made of its cookie, so another session's is of no use."""
    return hmac.new(secret.encode(), b"tapgate-csrf-v1", hashlib.sha256).hexdigest()


def is_ours(request: web.Request, secret: str, token: str) -> bool:
    """Whether a form was sent from a page of ours, in this session."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin", "")
    if site != "same-origin" or (origin and origin.partition("://")[2] != request.host):
        return False
    if not secret:  # its token would be the same for everybody
        return False
    return hmac.compare_digest(csrf_of(secret).encode(), token.encode("utf-8", "replace"))


def visitor_of(request: web.Request) -> str:
    """The secret of somebody who is not signed in; a new one where there is none."""
    if VISITOR not in request:
        held = request.cookies.get(VISITOR_COOKIE, "")
        request[VISITOR] = held if len(held) == VISITOR_CHARACTERS else secrets.token_urlsafe(32)
    return request[VISITOR]


def set_secret(response: web.StreamResponse, name: str, value: str) -> None:
    """For this browser alone, over TLS (or loopback), out of reach of scripts and of other sites."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")


def drop_secret(response: web.StreamResponse, name: str) -> None:
    """The browser forgets it."""
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")


def origin_of(request: web.Request, proxied: bool) -> str:
    """The address that asks: of the peer, or as a proxy on this machine tells it."""
    peer = request.remote or ""
    if proxied and peer in ("127.0.0.1", "::1"):
        # the last one, of the last line: what the proxy itself wrote, whatever the browser sent before it
        told = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
        try:
            return str(ipaddress.ip_address(told))
        except ValueError:
            return UNTOLD
    return peer
