"""Central judges again: every tap against what was so at its time, what contradicts it, and why it was decided so."""
