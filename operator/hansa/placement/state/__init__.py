"""The books: what stands where, what waits, and what is free. Only ``League.book`` changes them."""
