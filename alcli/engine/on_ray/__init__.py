"""Shards and cells in the workers of a Ray cluster. Only `--engine ray` loads the library."""
