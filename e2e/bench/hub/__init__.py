"""``make bench-hub``: the hub of a large league whose GPUs run short, on a real API server."""
