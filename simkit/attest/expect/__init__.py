"""Reference values that know the placement: what a guest's evidence will say if it was started as it was planned (RFC 9334 §8.3)."""
