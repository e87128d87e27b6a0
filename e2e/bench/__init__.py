"""Benchmarks: one command each, one JSON line last, every field in docs/reference/benchmarks.md."""
