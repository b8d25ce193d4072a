"""What the city counts: each service settles events and facts into rows of its own, and can do so from nothing."""
