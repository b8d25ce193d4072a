"""Publishing policies and configurations by stages and by date, never within a freeze."""
