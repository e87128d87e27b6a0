"""Commands for those who run a league or a member: join, accept, look, release, check."""
