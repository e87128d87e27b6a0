"""What may leave an institution: results, log tails, and results that wait for their owners."""
