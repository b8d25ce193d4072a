"""The systems around Tapgate: what is asked of them, and what they are told."""
