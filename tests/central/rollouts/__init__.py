"""Publishing by stages and by date."""
