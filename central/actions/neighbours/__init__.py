"""What is done about other systems: events to them, and what they may ask."""
