"""Consent, the member's rights, retention."""
