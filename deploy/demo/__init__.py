"""The whole system at work on one machine, as `make run` and `make run-once` show it."""
