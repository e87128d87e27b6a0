"""Rows of the table of metrics, where one file would be too long for all."""
