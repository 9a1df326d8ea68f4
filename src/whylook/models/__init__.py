"""Models: where they come from, and what is needed to feed them and to read their answers."""
