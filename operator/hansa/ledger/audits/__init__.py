"""Verification as it happens: epochs close, runs are drawn, audits are placed, and what they find follows."""
