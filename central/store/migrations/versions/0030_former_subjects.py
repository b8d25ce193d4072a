"""Who members were within domains that they left."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table. Who left a domain before is not known any more."""
    op.create_table(
        "former_subjects",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["domain"], ["domains.id"]),
        sa.ForeignKeyConstraint(["member"], ["members.id"]),
        sa.PrimaryKeyConstraint("domain", "member"),
        sa.UniqueConstraint("subject"),
    )
    op.create_index("former_subjects_member", "former_subjects", ["member"])


def downgrade() -> None:
    """Drops it."""
    op.drop_table("former_subjects")
