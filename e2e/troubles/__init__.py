"""Clusters as they are, with real pods: each trouble is brought about, and what the owner reads is written down."""
