"""What the agent remembers: decided epochs, durably, and the runs it answers for."""
