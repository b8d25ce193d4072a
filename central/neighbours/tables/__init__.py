"""Tables for others: CSV that any program reads, and history as Parquet for analysts."""
