"""The central server: takes events into custody, publishes what gates should hold, answers operators."""
