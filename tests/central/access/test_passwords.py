"""What passwords may be, and what is kept of them."""

import asyncio
import threading
import time

import pytest
from argon2 import PasswordHasher

from central.access import passwords
from central.access.passwords import (
    AT_ONCE,
    MAX_BYTES,
    PasswordRefused,
    hashed,
    is_outdated,
    is_right,
    random_password,
    require_good,
)

pytestmark = pytest.mark.usefixtures("real_hashes")

GOOD = "green tea and dumplings"


async def test_a_password_is_known_again_and_no_other_is() -> None:
    stored = await hashed(GOOD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in stored
    assert await is_right(stored, GOOD)
    assert not await is_right(stored, GOOD + " ")
    assert not await is_right(stored, "")
    assert not await is_right(stored, "x" * 10_000_000)
    assert not await is_right(None, GOOD)
    assert not await is_right("not a hash", GOOD)


async def test_equal_passwords_are_kept_differently() -> None:
    assert await hashed(GOOD) != await hashed(GOOD)


async def test_characters_count_the_same_however_they_are_composed() -> None:
    stored = await hashed("caf\u00e9 au lait at nine")
    assert await is_right(stored, "cafe\u0301 au lait at nine")


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    assert is_outdated(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(GOOD))
    assert not is_outdated(await hashed(GOOD))


async def test_an_unknown_account_takes_as_long_as_a_known_one() -> None:
    stored = await hashed(GOOD)

    took: dict[str | None, list[float]] = {stored: [], None: []}
    for _ in range(5):
        for held, some in took.items():  # in turn, so that both meet the same load of the machine
            began = time.perf_counter()
            await is_right(held, "some other password")
            some.append(time.perf_counter() - began)
    known_s, unknown_s = (min(some) for some in took.values())
    assert known_s / 2 < unknown_s < known_s * 2


async def test_only_so_many_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def slow(_stored: str, _password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(passwords, "_verify", slow)
    await asyncio.gather(*(is_right(None, str(n)) for n in range(10)))
    assert most == AT_ONCE


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", "at least 12"),
        ("", "at least 12"),
        ("茶" * 11, "at least 12"),
        ("ab12" * (MAX_BYTES // 4) + "x", "at most 256 bytes"),
        ("lin.mei-hua at the library", "account's name"),
        ("My LIN.MEI-HUA password", "account's name"),
        ("aaaaaaaaaaaaaaaaaaaa", "repeats few characters"),
        ("123412341234", "repeats few characters"),
        ("password12345", "tried first"),
        ("Tapgate2026!!", "tried first"),
        ("qwertyqwerty1", "tried first"),
    ],
)
def test_what_would_be_guessed_is_refused_and_not_repeated(password: str, why: str) -> None:
    with pytest.raises(PasswordRefused, match=why) as refused:
        require_good(password, "lin.mei-hua")
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "password", [GOOD, "綠茶與小籠包在台北車站旁邊", "correct horse battery staple", "x7!kQ2#pL9@w"]
)
def test_a_few_words_are_a_good_password(password: str) -> None:
    require_good(password, "lin")


def test_random_passwords_are_good_and_never_twice_the_same() -> None:
    made = {random_password() for _ in range(1_000)}
    assert len(made) == 1_000
    for password in made:
        require_good(password, "somebody")
        assert not set(password) & set("lo01")
