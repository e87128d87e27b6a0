"""Whether a hub works at the chosen context: its Lease, pods, signing key and admission policies."""
