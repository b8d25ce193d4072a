"""Which addresses a webhook may go to: judged when it is set, and at every connection again. Pure.

Somebody who may name a URL shall not thereby reach what only this server reaches: its own services, the neighbours on
its network, the cloud's own address for secrets.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from central.alerts.addresses import shape_fault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Of `events.networks`. Raises ValueError."""
    return tuple(map(ipaddress.ip_network, texts))


def url_fault(url: str, allowed: Sequence[Network]) -> str:
    """Why nothing may be posted to it; empty when it may."""
    if fault := shape_fault(url):
        return fault
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.fragment:
        return "the webhook's URL names a place within a page: leave out what follows #"
    if parts.scheme != "https" and not (parts.scheme == "http" and may_be_plain(host, allowed)):
        return "a webhook begins with https://; plain http is for loopback, where events.networks allows it"
    literal = address_of(host)
    if literal is not None and not may_be_called(literal, allowed):
        return "the webhook's address is not a public one: name its network in events.networks"
    return ""


def may_be_plain(host: str, allowed: Sequence[Network]) -> bool:
    """On this machine alone, and only where the settings name it."""
    literal = address_of("127.0.0.1" if host == "localhost" else host)
    return literal is not None and literal.is_loopback and _is_within(literal, allowed)


def may_be_called(address: Address, allowed: Sequence[Network]) -> bool:
    """A public address, or one in a network that the settings name."""
    plain = _plain(address)
    return _is_within(plain, allowed) or (plain.is_global and not plain.is_multicast)


def address_of(host: str) -> Address | None:
    """Of a host that is written as an address; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return None


def _is_within(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in allowed)


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
