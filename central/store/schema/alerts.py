"""Incidents, whom they are told to, what is still to be told, and what running servers say of themselves."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import metadata

alerts = Table(  # one row an incident
    "alerts",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),  # begins with the time: rows lie in order
    Column("kind", String(16), nullable=False),  # of `central.alerts.conditions.Kind`
    Column("target", String(128), nullable=False),  # a gate, a device, a server, an incident, or rollout/venue, by kind
    Column("venue", String(64), nullable=False),  # empty: of a server
    Column("gate", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # open, acknowledged, resolved
    Column("opened_ms", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),  # JSON: what was seen when it opened
    Column("acknowledged_ms", BigInteger),
    Column("acknowledged_by", String(64), nullable=False, server_default=""),
    Column("comment", Text, nullable=False, server_default=""),
    Column("resolved_ms", BigInteger),
    Column("resolved_by", String(64), nullable=False, server_default=""),  # empty: it was over by itself
    Column("why", Text, nullable=False, server_default=""),
    Index("alerts_state", "state", "id"),
    Index("alerts_venue", "venue", "id"),
)

alert_watch = Table(  # what is watched more closely: a condition that began, holds, or was over a moment ago
    "alert_watch",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("target", String(128), primary_key=True),
    Column("phase", String(16), nullable=False),  # rising, open, dismissed
    Column("bad_ms", BigInteger, nullable=False),  # since when it holds
    Column("good_ms", BigInteger, nullable=False),  # since when it does not any more; 0 = it holds
    Column("alert", LargeBinary(16), nullable=False),  # empty while it rises
)

alert_contacts = Table(
    "alert_contacts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False),  # the person's name
    Column("mail", Text, nullable=False, server_default=""),
    Column("webhook_sealed", LargeBinary),  # AES-256-GCM, bound to the contact: such addresses hold secrets
    Column("webhook_host", Text, nullable=False, server_default=""),  # what is shown of it
    Column("kinds", Text, nullable=False),  # JSON list; empty: all
    Column("venues", Text, nullable=False),  # JSON list; empty: all, and the servers
    Column("language", String(8), nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

alert_messages = Table(  # what is to be told, or was: written in the transaction that opens or resolves the incident
    "alert_messages",
    metadata,
    Column("alert", LargeBinary(16), primary_key=True),
    Column("contact", String(64), primary_key=True),
    Column("channel", String(16), primary_key=True),  # mail, webhook
    Column("what", String(16), primary_key=True),  # opened, resolved
    Column("state", String(16), nullable=False),  # waiting, told, given-up
    Column("bundle", LargeBinary(16), nullable=False),  # those sent as one; empty: not tried yet
    Column("made_ms", BigInteger, nullable=False),
    Column("next_ms", BigInteger, nullable=False),  # not tried before
    Column("taken_until_ms", BigInteger, nullable=False),  # some process is sending it until then
    Column("tries", Integer, nullable=False),
    Column("done_ms", BigInteger),
    Column("problem", Text, nullable=False, server_default=""),
    Index("alert_messages_state", "state", "contact", "channel", "made_ms"),
)

servers = Table(  # running processes of central
    "servers",
    metadata,
    Column("id", String(128), primary_key=True),  # HOST:PORT
    Column("started_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON of `alerts.servers.ServerReport`
)
