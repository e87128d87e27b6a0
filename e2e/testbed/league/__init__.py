"""Hansa on the clusters: agents as host processes, and how a league is founded."""
