"""Volunteers' hours: signings become sessions, sessions months, and a locked month stays as it was locked."""
