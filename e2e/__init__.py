"""Real clusters on one machine: the testbed, the demo and the benchmarks that run on them."""
