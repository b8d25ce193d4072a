"""The command line of `tapgate-central`, a module a subject. Each command asks for one action and shows its result."""
