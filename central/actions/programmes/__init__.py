"""Activities and offers."""
