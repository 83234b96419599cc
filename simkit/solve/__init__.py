"""A workload on a host: a plan, or why there is none and what would help."""
