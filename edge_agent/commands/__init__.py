"""What operators do at a gate, one module for each group of commands. A module is loaded when its command is used."""
