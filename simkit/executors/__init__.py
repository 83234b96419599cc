"""Carrying a plan to a node and back: nodes, the journal, and `apply`, which is a transaction."""
