"""What personal data is used for: data of this package, the same everywhere."""

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

Need = Literal["always", "when-required", "never"]


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One. `consent`: when it needs the person's; `classes`: sensitive ones that are published for it alone.
    `written`: the law asks for written consent, which no tap gives."""

    id: str
    title_zh: str
    title_en: str
    basis_zh: str
    basis_en: str
    consent: Need
    classes: list[str]
    written: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    purposes: list[Purpose]


@cache
def purposes() -> dict[str, Purpose]:
    """Every purpose by its id, in the order of the file."""
    text = files("central.privacy").joinpath("purposes.toml").read_bytes()
    return {purpose.id: purpose for purpose in msgspec.toml.decode(text, type=_File).purposes}


@cache
def purpose_of_class() -> dict[str, str]:
    """By sensitive class: the purpose that it is published for."""
    return {name: purpose.id for purpose in purposes().values() for name in purpose.classes}
