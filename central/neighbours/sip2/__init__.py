"""SIP2, the line protocol of library systems: exact on the wire, and never a yes by omission."""
