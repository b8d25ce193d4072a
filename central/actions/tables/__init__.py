"""Tables that leave: history for analysts, and lists that come in again."""
