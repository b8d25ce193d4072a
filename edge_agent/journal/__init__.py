"""What a gate writes down and has to keep: the store, its damage and repair, what is delivered of it."""
