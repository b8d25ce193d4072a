"""What is counted, drawn and judged for people who look after gates: pure rules, and the queries that feed them."""
