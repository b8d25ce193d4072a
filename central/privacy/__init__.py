"""What the law on personal data asks of the city: consent, what is kept how long, and what is destroyed."""
