"""Writes files that follow from the code: pages of ``docs/reference``, the charts' value schemas."""
