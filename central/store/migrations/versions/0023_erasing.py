"""Erasing: what is kept of who was erased, legal holds, retention, and an audit log whose rows can be struck."""

import hashlib
import secrets
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

NAMED = ("number", "at_ms", "who", "origin", "action", "phase", "asked")
SLICE = 5_000
REFUSES = "the audit log is appended to, never changed"
_STRIKES = " AND ".join(
    (
        *(f"NEW.{name} = OLD.{name}" for name in (*NAMED, "about", "head")),
        "NEW.target = ''",
        "NEW.body = '{}'",
        "length(NEW.salt) = 0",
    )
)


def upgrade() -> None:
    """Adds its tables, and chains the audit log anew by digests of what each row is about: its newest head is another
    one from now on."""
    _tables()
    _unguard()
    with op.batch_alter_table("audit") as table:
        table.add_column(sa.Column("salt", sa.LargeBinary(length=16), server_default=sa.text("''"), nullable=False))
        table.add_column(sa.Column("about", sa.LargeBinary(length=32), server_default=sa.text("''"), nullable=False))
    _chain(_digested, b"tapgate-audit-v2\0")
    with op.batch_alter_table("audit") as table:
        table.alter_column("salt", server_default=None)
        table.alter_column("about", server_default=None)
    _guard()


def downgrade() -> None:
    """Without them: what was struck stays struck."""
    _unguard()
    _chain(_whole, b"tapgate-audit-v1\0")
    with op.batch_alter_table("audit") as table:
        table.drop_column("about")
        table.drop_column("salt")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
    else:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSES}'); END"
            )
    for name in ("kept_hours", "kept_visits", "erasures_pending", "erased_subjects", "erasures"):
        op.drop_table(name)
    op.drop_table("retention_rules")
    op.drop_table("uid_looks")
    op.drop_table("legal_holds")


# --- the audit log ------------------------------------------------------------------------------------------------


def _unguard() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER IF EXISTS audit_strikes_only ON audit")
        op.execute("DROP TRIGGER audit_append_only ON audit")
        op.execute("DROP FUNCTION IF EXISTS audit_strikes()")
        return
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER IF EXISTS audit_no_{verb}")


def _guard() -> None:
    """Nothing is deleted, and the one change is to strike what a row is about."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
        op.execute(
            "CREATE FUNCTION audit_strikes() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {_STRIKES} THEN RETURN NEW; END IF; RAISE EXCEPTION '{REFUSES}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_strikes_only BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_strikes()"
        )
        return
    op.execute(f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{REFUSES}'); END")
    op.execute(
        f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit WHEN NOT ({_STRIKES}) "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSES}'); END"
    )


def _chain(part: Any, tag: bytes) -> None:
    """Every head again, from the first row, over the part that this version chains."""
    connection, head, number = op.get_bind(), bytes(32), 0
    change = sa.text("UPDATE audit SET salt = :salt, about = :about, head = :head WHERE number = :row").bindparams(
        *(sa.bindparam(name, type_=sa.LargeBinary) for name in ("salt", "about", "head"))
    )
    query = sa.text(
        f"SELECT {', '.join(NAMED)}, target, body, salt, about FROM audit WHERE number > :after ORDER BY number LIMIT"
        f" {SLICE}"
    )
    while rows := connection.execute(query, {"after": number}).all():
        changes = []
        for row in rows:
            chained, values = part(row)
            head = hashlib.sha256(tag + head + msgspec.msgpack.encode(chained)).digest()
            changes.append(values | {"head": head, "row": row.number})
        connection.execute(change, changes)
        number = rows[-1].number


def _digested(row: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    salt = secrets.token_bytes(16)
    about = hashlib.sha256(salt + msgspec.msgpack.encode((row.target, row.body))).digest()
    return (*row[: len(NAMED)], about), {"salt": salt, "about": about}


def _whole(row: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return tuple(row[: len(NAMED) + 2]), {"salt": bytes(row.salt), "about": bytes(row.about)}


# --- the tables ---------------------------------------------------------------------------------------------------


def _tables() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("legal_holds_member", "legal_holds", ["member"])
    op.create_table(
        "uid_looks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.Column("card", sa.LargeBinary(length=16), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("allowed_by", sa.String(length=64), nullable=False),
        sa.Column("allowed_ms", sa.BigInteger(), nullable=False),
        sa.Column("shown_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uid_looks_at", "uid_looks", ["at_ms"])
    op.create_table(
        "retention_rules",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("venue"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("member", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reference", sa.LargeBinary(length=32), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("consents", sa.Text(), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("erasures_reference", "erasures", ["reference"])
    op.create_table(
        "erased_subjects",
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False),
        sa.Column("erasure", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "erasures_pending",
        sa.Column("erasure", sa.LargeBinary(length=16), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("erasure", "domain"),
    )
    op.create_table(
        "kept_visits",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("visits", "members", "corrected")),
        sa.Column("without_exit", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "hour", "class_name", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kept_hours",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "team", "month"),
    )
