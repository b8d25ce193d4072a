"""The one family of errors that a peer's bytes, a file or a person's input can cause."""

from enum import StrEnum


class Failure(StrEnum):
    """The kind of a refusal. The strings are stable: they stand in SPEC, vectors, logs and answers."""

    MALFORMED = "malformed"
    OVERSIZED = "oversized"
    WRONG_TYPE = "wrong-type"
    UNKNOWN_KEY = "unknown-key"
    WRONG_ROLE = "wrong-role"
    BAD_SIGNATURE = "bad-signature"
    KEY_OUT_OF_DATE = "key-out-of-date"
    NOT_NEWER = "not-newer"
    EXPIRED = "expired"
    OTHER_DEVICE = "other-device"
    OTHER_DOMAIN = "other-domain"
    OTHER_EPOCH = "other-epoch"
    WRONG_BASE = "wrong-base"
    WRONG_DIGEST = "wrong-digest"
    WRONG_COUNT = "wrong-count"
    BROKEN_CHAIN = "broken-chain"
    NOT_SATISFIABLE = "not-satisfiable"
    AMBIGUOUS = "ambiguous"
    WRONG_LENGTH = "wrong-length"
    NOT_A_NUMBER = "not-a-number"


class Refused(Exception):
    """Something from outside was not accepted: `kind` for machines, `detail` names what and where."""

    def __init__(self, kind: Failure, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
