"""The agent beside the reader: decides at once and offline, journals, syncs."""

__version__ = "0.1.0"
