"""The member agent: the institution's own process, which judges every grant before anything runs.

It dials out only. What it decides is decided by the pure functions in ``grants`` and ``reconcile``;
the files here read, write and wait.
"""
