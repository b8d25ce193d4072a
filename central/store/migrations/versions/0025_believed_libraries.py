"""Until when a library is believed whatever it says of many at once."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None is."""
    op.add_column("libraries", sa.Column("believed_until_ms", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """What is known of libraries stays."""
    with op.batch_alter_table("libraries") as table:
        table.drop_column("believed_until_ms")
