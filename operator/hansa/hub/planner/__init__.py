"""The planner as the hub keeps it: fed from the caches, run beside the loop, asked for decisions."""
