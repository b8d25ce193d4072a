"""Points: what members have, and the plans that they go by."""
