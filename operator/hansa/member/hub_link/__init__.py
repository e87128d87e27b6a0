"""The way to the hub: identity, tokens, joining, contact, and who of the replicas works."""
