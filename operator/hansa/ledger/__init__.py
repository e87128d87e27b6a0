"""The ledger process: takes receipts in, countersigns, logs and posts them."""
