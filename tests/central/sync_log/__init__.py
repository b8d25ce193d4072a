"""The sync log and its proofs."""
