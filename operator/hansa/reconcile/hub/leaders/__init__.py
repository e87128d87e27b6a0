"""A league of several leaders: whose each pool is, and with it each job and each node."""
