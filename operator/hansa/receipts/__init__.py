"""What a member signs about the work it did, and what proves it. Pure."""
