"""A person erased: from tables, files, gates, and again from backups that are restored."""
