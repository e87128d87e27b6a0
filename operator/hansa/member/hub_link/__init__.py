"""The way to the hub: identity, certificates, joining, contact, and who of the replicas works."""
