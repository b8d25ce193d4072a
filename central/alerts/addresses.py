"""Where a person can be told: what a mail address and a webhook's URL must look like."""

import re
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_MAIL, LONGEST_URL = 254, 2_000
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_PLAIN = re.compile(r"[\x21-\x7e]*")


def mail_fault(address: str) -> str:
    """Why no mail can go to it; empty when one can. No address can carry a second header or recipient."""
    if len(address) > LONGEST_MAIL or not _MAIL.fullmatch(address):
        return f"{address[:80]!r} is no mail address; one is lin@library.example"
    return ""


def shape_fault(url: str) -> str:
    """Why it is no URL that anything could be posted to, wherever it leads; empty when it is one. Neither this nor what
    goes by it repeats the URL, which may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "the webhook is no URL"
    if len(url) > LONGEST_URL or not _PLAIN.fullmatch(url):
        return f"a webhook's URL has at most {LONGEST_URL} printable ASCII characters"
    if not host:
        return "the webhook's URL names no host"
    if parts.username is not None or parts.password is not None:
        return "the webhook's URL holds a name or password before its host: put a secret into its path"
    return ""


def webhook_fault(url: str) -> str:
    """Why no alert can be posted to it; empty when one can. Admins alone name these, for systems of the city's own."""
    if fault := shape_fault(url):
        return fault
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return "a webhook begins with https://; plain http is for loopback only"
    return ""


def host_of(url: str) -> str:
    """What may be shown of a webhook: its scheme, host and port, without the path that holds its secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if url else ""
