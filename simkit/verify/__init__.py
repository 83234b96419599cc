"""Properties of hosts and plans: proved, or refuted by a counterexample that replays."""
