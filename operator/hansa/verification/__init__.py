"""Whether work was done: tickets, samples, probes and verdicts. Pure."""
