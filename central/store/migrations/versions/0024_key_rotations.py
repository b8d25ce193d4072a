"""A list of each domain under each of its keys, so that the next one can be made beside the published one."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

LISTS = "domain, version, key_number, count, sum, base"


def upgrade() -> None:
    """What there is belongs to the key that the domain's list says."""
    op.create_table(
        "key_rotations",
        sa.Column("domain", sa.String(64), sa.ForeignKey("domains.id"), primary_key=True),
        sa.Column("key_number", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.LargeBinary(16), nullable=False),
    )
    op.create_table(
        "key_changes",
        sa.Column("domain", sa.String(64), sa.ForeignKey("domains.id"), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("key_number", sa.Integer(), nullable=False),
    )
    _rebuild_lists("domain", "key_number")
    _rebuild_entries(
        sa.Column("key_number", sa.Integer(), primary_key=True, autoincrement=False),
        ("domain", "key_number", "version"),
        "INSERT INTO list_entries (domain, key_number, token, entry, version, dropped)"
        " SELECT e.domain, l.key_number, e.token, e.entry, e.version, e.dropped"
        " FROM list_entries_before e JOIN lists l ON l.domain = e.domain ORDER BY e.domain, e.token",
    )
    op.execute(  # since moments are published as days
        "INSERT INTO meta (key, value) SELECT 'lists-due', '0024' WHERE EXISTS (SELECT 1 FROM lists)"
    )


def downgrade() -> None:
    """A rotation that is under way is forgotten; what is published stays."""
    op.execute("DELETE FROM meta WHERE key = 'lists-due'")
    for table in ("list_entries", "lists"):
        own = f"(SELECT key_number FROM domains WHERE id = {table}.domain)"
        op.execute(f"DELETE FROM {table} WHERE key_number <> {own}")
    _rebuild_entries(
        None,
        ("domain", "version"),
        "INSERT INTO list_entries (domain, token, entry, version, dropped)"
        " SELECT domain, token, entry, version, dropped FROM list_entries_before ORDER BY domain, token",
    )
    _rebuild_lists("domain")
    op.drop_table("key_changes")
    op.drop_table("key_rotations")


def _rebuild_lists(*key: str) -> None:
    op.rename_table("lists", "lists_before")
    op.create_table(
        "lists",
        sa.Column("domain", sa.String(64), sa.ForeignKey("domains.id"), nullable=False),
        sa.Column("key_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.LargeBinary(32), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*key),
    )
    op.execute(f"INSERT INTO lists ({LISTS}) SELECT {LISTS} FROM lists_before")
    op.drop_table("lists_before")


def _rebuild_entries(key: sa.Column[int] | None, index: tuple[str, ...], copy: str) -> None:
    op.drop_index("list_entries_version", "list_entries")
    op.rename_table("list_entries", "list_entries_before")
    op.create_table(
        "list_entries",
        sa.Column("domain", sa.String(64), sa.ForeignKey("domains.id"), primary_key=True),
        *([key] if key is not None else []),
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.Boolean(), nullable=False),
    )
    op.execute(copy)
    op.drop_table("list_entries_before")
    op.create_index("list_entries_version", "list_entries", list(index))
