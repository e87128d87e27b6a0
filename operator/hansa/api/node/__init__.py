"""Parts of a SovereignNode that have a file of their own."""
