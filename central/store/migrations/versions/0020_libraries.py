"""Library systems, and what they say of members."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "libraries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=False),
        sa.Column("failed_ms", sa.BigInteger(), nullable=False),
        sa.Column("failing_ms", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.String(length=32), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("held_until_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["domain"], ["domains.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "library_patrons",
        sa.Column("library", sa.String(length=64), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("hold_ready", sa.Boolean(), nullable=False),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("why", sa.String(length=64), nullable=False),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["library"], ["libraries.id"]),
        sa.ForeignKeyConstraint(["member"], ["members.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("library", "member"),
    )
    op.create_index("library_patrons_due", "library_patrons", ["library", "due_ms"])
    op.create_index("library_patrons_member", "library_patrons", ["member"])


def downgrade() -> None:
    """Without them. Lists keep what they said until they are compiled again."""
    op.drop_table("library_patrons")
    op.drop_table("libraries")
