"""What the testbed needs of the machine it runs on: processes, ports, locks, limits, packages, the clock."""
