"""The matrix: every strategy, head and update under every variant of the surroundings; the bytes must be the same."""
