"""Capacity probes as they happen: drawn in time, sent as jobs of the ledger's, judged by what comes back."""
