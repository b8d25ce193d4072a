"""Central's storage: one schema on SQLAlchemy Core, SQLite by default, PostgreSQL by URL."""
