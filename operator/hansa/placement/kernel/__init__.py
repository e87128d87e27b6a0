"""The inner loop on flat columns of integers: no names, no rules. Runs interpreted and compiled alike."""
