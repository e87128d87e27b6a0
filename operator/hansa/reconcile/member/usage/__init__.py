"""What a run holds and draws, from what the agent knows."""
