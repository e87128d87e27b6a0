"""Kubernetes API servers: connection, raw JSON client, cache, leadership."""
