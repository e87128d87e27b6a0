"""What the ledger can do: postings a second in both databases, and the set-off of a large league."""
