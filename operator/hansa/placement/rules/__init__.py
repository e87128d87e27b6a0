"""What is allowed, what is entitled and what it costs: law, shares, caps, prices, job classes."""
