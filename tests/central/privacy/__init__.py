"""What the law on personal data asks of the city."""
