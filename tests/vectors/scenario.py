"""What one vector file holds, and the fixed keys that all of them use."""

from typing import Any

from tests.vectors import reference as ref

ALL: dict[str, dict[str, Any]] = {}


def scenario(
    name: str, spec: str, rule: str, input: dict[str, Any], expect: object = None, failure: str | None = None
) -> None:
    """Registers the content of `<name>.json`."""
    if name in ALL:
        raise ValueError(f"{name} stands twice")
    outcome = {"expect": expect} if failure is None else {"failure": failure}
    ALL[name] = {"name": name, "spec": f"§{spec}", "rule": rule, "input": input, **outcome}


def seed(name: str) -> bytes:
    """A private key that anybody can make again: SHA-256 of its name."""
    return ref.sha256(f"vector key {name}".encode())


DEVICE, DOMAIN = "dev-7f3a", "library"
EPOCH = bytes.fromhex("a1a2a3a4a5a6a7a8")
EPOCH_BEFORE = bytes.fromhex("9192939495969798")
DOMAIN_KEY = bytes(range(32))
SUBJECT = "5b" * 16
NONCE = "0c" * 16
NOW = 1_795_399_200_000
"""2026-11-23 02:00 UTC, a Monday: 10:00 in Taipei."""
