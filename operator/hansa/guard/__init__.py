"""The guard: ends runs that must not go on. It talks to nobody but its own API server."""
