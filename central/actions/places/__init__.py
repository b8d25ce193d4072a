"""Venues, gates, devices, and what is published to them."""
