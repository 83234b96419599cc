"""For users' tests: small worlds with known answers, and checks that any implementation must pass."""
