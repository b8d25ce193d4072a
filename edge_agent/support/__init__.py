"""What an operator may ask of a gate from afar: how it is, and a bundle to look into when something is wrong."""
