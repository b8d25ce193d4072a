"""Accounts, sessions and tokens, and the audit log."""
