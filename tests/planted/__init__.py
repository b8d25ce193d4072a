"""Faults planted into copies of the code, each of which a test of the product's behaviour has to notice."""
