"""Judged again: conflicts, corrections, why, what if."""
