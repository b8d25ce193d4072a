"""What all tables stand in, and the mark of those that can be made again from the others."""

from sqlalchemy import Column, MetaData, String, Table, Text

metadata = MetaData()

PROJECTION = {"projection": True}
"""`info` of a table that is computed from events and facts alone: no backup holds it, `rebuild` makes it again."""

UNSAVED = {"unsaved": True}
"""`info` of a table that no backup holds, since it is nobody's business later: who is signed in, who guessed wrong."""

meta = Table(  # custody generation, versions' floor, …
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
