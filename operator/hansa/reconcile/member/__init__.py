"""What the member makes of a grant and of its own cluster: the life of a run, its objects, its words."""
