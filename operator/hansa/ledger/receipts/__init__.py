"""Receipts as the ledger takes them: judged, countersigned, kept with what speaks against them, logged."""
