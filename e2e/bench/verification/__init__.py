"""``make bench-verify``: what cheats earn, and what a probe costs."""
