"""Readers of evidence, endorsements and reference values: bytes to the frozen types of `model.evidence`, bounded, without conclusions."""
