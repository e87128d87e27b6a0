"""Logs of runs: how they are read in pieces, and how they are kept when a run is over."""
