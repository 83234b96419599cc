"""The nouns: immutable facts of a node, what a user wishes for, and the data that answers are made of."""
