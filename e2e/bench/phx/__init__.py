"""PHX, the workload of every benchmark: Philly's demand on a league of openb machines."""
