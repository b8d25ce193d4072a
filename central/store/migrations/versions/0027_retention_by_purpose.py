"""Retention by purpose, and how many came to activities of which nobody knows any more who did."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_COLUMNS = "venue, days, at_ms, who, why"


def upgrade() -> None:
    """The rules that are there are of admission. Nothing is destroyed that was not before."""
    _anew(by_purpose=True, columns=f"purpose, {_COLUMNS}", values=f"'admission', {_COLUMNS}")
    op.create_table(
        "kept_attendance",
        sa.Column("activity", sa.String(length=64), nullable=False),
        sa.Column("came", sa.String(length=16), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["activity"], ["activities.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("activity", "came"),
    )


def downgrade() -> None:
    """Rules of other purposes are forgotten; what they destroyed does not come back."""
    op.drop_table("kept_attendance")
    op.execute("DELETE FROM retention_rules WHERE purpose <> 'admission'")
    _anew(by_purpose=False, columns=_COLUMNS, values=_COLUMNS)


def _anew(by_purpose: bool, columns: str, values: str) -> None:
    """The table under another key, with its rows."""
    op.execute("CREATE TEMPORARY TABLE rules_before AS SELECT * FROM retention_rules")
    op.drop_table("retention_rules")
    key = ["purpose", "venue"] if by_purpose else ["venue"]
    op.create_table(
        "retention_rules",
        *(sa.Column(name, sa.String(length=64), nullable=False) for name in key),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(*key),
    )
    op.execute(f"INSERT INTO retention_rules ({columns}) SELECT {values} FROM rules_before")
    op.execute("DROP TABLE rules_before")
