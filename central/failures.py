"""Which HTTP status an unsigned refusal carries (SPEC §10; none of them moves a device's queue), and what a log may say
of a fault of ours."""

import traceback

from protocol.errors import Failure, Refused

STATUSES = {
    Failure.MALFORMED: 400,
    Failure.WRONG_TYPE: 400,
    Failure.OVERSIZED: 413,
    Failure.UNKNOWN_KEY: 403,
    Failure.WRONG_ROLE: 403,
    Failure.BAD_SIGNATURE: 403,
    Failure.OTHER_DOMAIN: 403,
}


class Declined(Refused):
    """A refusal whose status its kind alone does not tell."""

    def __init__(self, status: int, kind: Failure, detail: str) -> None:
        super().__init__(kind, detail)
        self.status = status


def status_of(refused: Refused) -> int:
    """400 where nothing better is known: the sender said something that cannot be used."""
    return refused.status if isinstance(refused, Declined) else STATUSES.get(refused.kind, 400)


def breakage(error: BaseException) -> dict[str, str]:
    """What a log may say of a fault of ours: its kind and its line, never its text, since a database error quotes the
    row that it was about."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return {"error": type(error).__name__, "where": f"{at.filename}:{at.lineno}"}
