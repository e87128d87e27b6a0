"""What the agent knows of its own cluster besides runs: policy, machines, probes, use of GPUs."""
