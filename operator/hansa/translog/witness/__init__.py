"""The side that watches a log: what it is asked, what it decides, and how its memory begins."""
