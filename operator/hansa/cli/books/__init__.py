"""Commands that read the books, and the one that says what they will say."""
