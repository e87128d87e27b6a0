"""The demo's chapter on verification: one job is audited and found equal, one member cheats and is found."""
