"""Figures, measured here and now: `make bench`. Nothing is asserted; compare runs of one machine only."""
