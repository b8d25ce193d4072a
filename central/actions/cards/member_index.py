"""What members are found by, beside their cards: keyed hashes of their names, and their numbers in other systems."""

from collections.abc import Collection, Mapping
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.people.search_keys import name_parts, number_form
from central.store.put_rows import put_rows
from central.store.schema import member_name_keys, member_numbers, members
from central.store.slices import slices

NumberKind = Literal["library-barcode", "volunteer-number"]
LIBRARY_BARCODE, VOLUNTEER_NUMBER = "library-barcode", "volunteer-number"
KINDS: tuple[str, ...] = (LIBRARY_BARCODE, VOLUNTEER_NUMBER)
"""A member has at most one number of each."""
Numbers = dict[str, str]
"""By kind, as they were written."""


def name_rows(keys: Keys, member: bytes, name: str) -> list[tuple[bytes, bytes]]:
    """Rows of `member_name_keys`, in the order of its columns."""
    return [(keys.name_key(part), member) for part in name_parts(name)]


def number_row(keys: Keys, kind: str, number: str, member: bytes, now_ms: int) -> tuple[str, bytes, bytes, bytes, int]:
    """A row of `member_numbers`, in the order of its columns."""
    key = keys.number_key(kind, number_form(number))
    return kind, key, member, keys.seal_number(number, kind, member), now_ms


async def put_name_keys(connection: AsyncConnection, keys: Keys, wanted: Mapping[bytes, str]) -> None:
    """These members are found by these names from now on; an empty one finds nobody."""
    for some in slices(sorted(wanted)):
        await connection.execute(delete(member_name_keys).where(member_name_keys.c.member.in_(some)))
    rows = [row for member, name in sorted(wanted.items()) for row in name_rows(keys, member, name)]
    await put_rows(connection, member_name_keys, [dict(zip(("key", "member"), row, strict=True)) for row in rows])


async def put_number(
    connection: AsyncConnection, keys: Keys, kind: str, number: str, member: bytes, now_ms: int
) -> None:
    """In place of the one of this kind that the member had. It must be nobody else's."""
    await drop_number(connection, kind, member)
    names = [column.name for column in member_numbers.columns]
    row = number_row(keys, kind, number, member, now_ms)
    await connection.execute(member_numbers.insert(), [dict(zip(names, row, strict=True))])


async def drop_number(connection: AsyncConnection, kind: str, member: bytes) -> int:
    """Returns how many there were."""
    c = member_numbers.c
    return (await connection.execute(delete(member_numbers).where(c.kind == kind, c.member == member))).rowcount


async def numbers_of(connection: AsyncConnection, keys: Keys, ids: Collection[bytes]) -> dict[bytes, Numbers]:
    """Of those of these members who have any. Raises Refused where a seal was altered."""
    found: dict[bytes, Numbers] = {}
    c = member_numbers.c
    for some in slices(sorted(set(ids))):
        for kind, member, sealed in await connection.execute(
            select(c.kind, c.member, c.sealed).where(c.member.in_(some)).order_by(c.kind)
        ):
            found.setdefault(member, {})[kind] = keys.open_number(sealed, kind, member)
    return found


async def owners_of(
    connection: AsyncConnection, keys: Keys, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """By kind and number (as it is compared): the reference of the member whose it is."""
    found: dict[tuple[str, str], str] = {}
    c = member_numbers.c
    for kind in KINDS:
        forms = {keys.number_key(kind, form): form for of, form in wanted if of == kind}
        for some in slices(sorted(forms)):
            query = select(c.key, members.c.reference).join(members, members.c.id == c.member)
            for key, reference in await connection.execute(query.where(c.kind == kind, c.key.in_(some))):
                found[kind, forms[key]] = reference
    return found
