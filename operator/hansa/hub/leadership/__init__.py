"""Which pools this process leads, and whether it does: by Leases, one a pool."""
