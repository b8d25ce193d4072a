"""Passwords: argon2id with the parameters of RFC 9106 for little memory, never more than two computed at once."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, profiles
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

MIN_LENGTH = 12
MAX_BYTES = 256
AT_ONCE = 2
"""Each takes 64 MiB and a core: more at once would let sign-ins starve the gates."""

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Of random passwords: none that is taken for another on paper."""
GROUPS, GROUP = 4, 5
"""32^20: 100 bits."""

COMMON = (
    *("password", "passw0rd", "tapgate", "letmein", "welcome", "qwerty", "asdfgh", "zxcvbn", "iloveyou", "admin"),
    *("administrator", "changeme", "secret", "abc123", "1q2w3e4r", "monkey", "dragon", "football", "taipei", "taiwan"),
    *("library", "easycard", "123456", "654321", "111111", "000000", "888888"),
)
"""What people begin with; a password that is one of these and little else is refused."""

_hasher = PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")


def _nobodys() -> str:
    """The hash of no password, checked for unknown accounts so that they take as long as known ones."""
    limits = profiles.RFC_9106_LOW_MEMORY
    costs = f"m={limits.memory_cost},t={limits.time_cost},p={limits.parallelism}"
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (limits.salt_len, limits.hash_len)
    )
    return f"$argon2id$v={limits.version}${costs}${salt}${digest}"


class PasswordRefused(Exception):
    """It may not be used. The text says what one must be like, and never quotes it."""


def require_good(password: str, account: str) -> None:
    """Raises PasswordRefused."""
    plain = _normal(password)
    if len(plain) < MIN_LENGTH:
        raise PasswordRefused(f"a password has at least {MIN_LENGTH} characters: a few words are easy to remember")
    if _bytes(plain) > MAX_BYTES:
        raise PasswordRefused(f"a password has at most {MAX_BYTES} bytes")
    folded = plain.casefold()
    if len(account) > 3 and account.casefold() in folded:
        raise PasswordRefused("a password does not hold the account's name")
    if len(set(folded)) < 5:
        raise PasswordRefused("this password repeats few characters: anybody would try it early")
    for word in COMMON:
        rest = folded.replace(word, "")
        if rest != folded and len(rest) < 8:
            raise PasswordRefused("this password is among those that are tried first: take a few words of your own")


async def hashed(password: str) -> str:
    """As it is stored, with its parameters and salt."""
    return await _apart(_hasher.hash, _normal(password))


async def is_right(stored: str | None, password: str) -> bool:
    """Whether it is the password. None: an account that there is not, which takes as long and is never right."""
    if _bytes(password) > MAX_BYTES:
        stored, password = None, ""
    return await _apart(_verify, stored or _nobodys(), _normal(password)) and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether it was made with other parameters than today's: then it is hashed again at the next sign-in."""
    try:
        return _hasher.check_needs_rehash(stored)
    except InvalidHashError:
        return False


def random_password() -> str:
    """For a person to copy once and to change at once."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))


def _normal(password: str) -> str:
    """One form of each character, whatever keyboard it came from."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace").decode()


def _bytes(password: str) -> int:
    return len(password.encode("utf-8", "replace"))


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def _apart(work: Callable[..., T], *arguments: str) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
