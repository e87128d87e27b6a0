"""Runs from accepted to released: what is made, followed, reported and cleaned up."""
