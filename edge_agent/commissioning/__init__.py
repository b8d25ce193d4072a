"""Setting a machine up as a gate and looking it over: what is plugged in, what is installed, what a card does."""
