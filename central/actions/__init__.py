"""What operators do, one typed action each: the command line runs them now, pages and an API run the same ones."""
