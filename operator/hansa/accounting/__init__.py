"""Tariffs, postings, set-off and exports: money as integers of the smallest unit. Pure."""
