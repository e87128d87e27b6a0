"""Placement: from a snapshot of the league to a plan, and why. Pure: no I/O, no clock, no chance.

Read ``planner`` first: the numbered cycle. ``incremental`` is the same between full plans.
"""
