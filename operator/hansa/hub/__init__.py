"""The hub process: caches, planning loop, executor. It advises; members decide."""
