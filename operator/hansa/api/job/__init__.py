"""Parts of an AIJob that have a file of their own."""
