"""Who may do what: accounts, sessions, tokens, the one table of rules, and the audit log."""
