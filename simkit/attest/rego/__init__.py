"""Policies in Rego, evaluated by a real engine in a process of its own, within limits."""
