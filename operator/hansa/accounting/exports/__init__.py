"""The books in the formats of others, as text or bytes: the same input gives the same bytes."""
