"""Walks that are done keep nobody's place: it may be somebody's who was erased since."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empties them."""
    for table, is_done in (("point_closings", "closed_ms IS NOT NULL"), ("point_rounds", "is_done")):
        nobody = sa.bindparam("nobody", b"", sa.LargeBinary())
        op.get_bind().execute(sa.text(f"UPDATE {table} SET cursor = :nobody WHERE {is_done}").bindparams(nobody))


def downgrade() -> None:
    """Nothing asks for the place of a walk that is done."""
