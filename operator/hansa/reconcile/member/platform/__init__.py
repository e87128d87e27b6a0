"""What a member's platform team says of runs: pods, users, resolvers, proxies, checkpoints."""
