"""The agent beside the reader: decides at once and offline, journals, syncs."""
