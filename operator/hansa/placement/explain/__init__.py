"""Why a job waits, and what is true of each node for it: for statuses and the command line."""
