"""The side that keeps a log: what grows, what is published, and proofs read from it."""
