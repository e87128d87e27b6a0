"""Pure: what is observed and what is wanted become actions. No I/O, no clock, no randomness."""
