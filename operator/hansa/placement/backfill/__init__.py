"""Room held for gangs that do not fit yet, who may use it meanwhile, and when they start."""
