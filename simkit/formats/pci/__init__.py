"""Configuration space as bytes, and the tree that bus numbers make."""
