"""Commands for data owners: why a job waits, what would help, its log."""
