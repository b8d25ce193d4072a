"""Cards, members and what is theirs."""
