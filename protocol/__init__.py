"""What edge and central agree on: pure functions and typed messages, no I/O, no clock, no logging.

`SPEC.md` beside this file is normative; a difference between the two is a fault of the code.
"""
