"""Who may get in, and what was asked by whom."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import UNSAVED, metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False, server_default=""),
    Column("roles", Text, nullable=False),  # JSON list
    Column("venues", Text, nullable=False),  # JSON list: an operator's
    Column("teams", Text, nullable=False),  # JSON list: a coordinator's
    Column("state", String(16), nullable=False),  # active, disabled
    Column("password", Text, nullable=False),  # argon2id, with its parameters
    Column("must_change", Boolean, nullable=False),  # the password was set by somebody else
    Column("loopback_only", Boolean, nullable=False),  # a demonstration's: its password was printed
    Column("totp_sealed", LargeBinary),  # AES-256-GCM, bound to the account; null = none
    Column("totp_step", BigInteger, nullable=False, server_default="0"),  # the newest one used: none counts twice
    Column("created_ms", BigInteger, nullable=False),
)

sign_ins = Table(  # a browser's session
    "sign_ins",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the cookie
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("origin", String(64), nullable=False),
    Index("sign_ins_account", "account"),
    info=UNSAVED,
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the secret
    Column("account", ForeignKey("accounts.id"), nullable=False),  # whose roles, venues and teams bound it
    Column("actions", Text, nullable=False),  # JSON list of what it is for
    Column("created_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("used_ms", BigInteger),
)

attempts = Table(  # failed sign-ins, by account and by address
    "attempts",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("failed", Integer, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    info=UNSAVED,
)

audit = Table(  # appended, never changed but for what is struck: the database itself refuses it
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("origin", String(64), nullable=False),  # an address, `local socket` or `command line`
    Column("action", String(64), nullable=False),
    Column("phase", String(16), nullable=False),  # asked, done, failed, refused, looked
    Column("asked", BigInteger, nullable=False),  # the number of the row that asked; 0 = itself
    Column("target", String(128), nullable=False),
    Column("body", Text, nullable=False),  # JSON: token, parameters, before, after, why
    Column("salt", LargeBinary(16), nullable=False),  # empty: target and body were struck
    Column("about", LargeBinary(32), nullable=False),  # SHA-256 of salt, target and body
    Column("head", LargeBinary(32), nullable=False),  # SHA-256 over the previous head and this row
    Index("audit_who", "who", "number"),
    Index("audit_action", "action", "number"),
    Index("audit_target", "target", "number"),
    Index("audit_asked", "asked", "number"),
    Index("audit_phase", "phase", "number"),
)
