"""Shards and cells in the workers of a Ray cluster. Only `--engine ray` loads the library."""

# Addresses of a cluster beside HOST:PORT: one that is found, and one that is started for the command.
AUTO, LOCAL = "auto", "local"
