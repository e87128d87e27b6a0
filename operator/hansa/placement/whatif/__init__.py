"""Questions about leagues that are not: what would let a job start, and what a change would do."""
