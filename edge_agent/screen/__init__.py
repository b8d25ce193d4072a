"""The kiosk screen: what a person at the gate sees, served on loopback for a full-screen browser."""
