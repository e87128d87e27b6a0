"""Logs of runs on their way to the jobs' owners: while a run writes, and when it is over."""
