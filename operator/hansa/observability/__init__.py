"""What operators see: metrics from one table, events by reason, logs as key-values, probes."""
