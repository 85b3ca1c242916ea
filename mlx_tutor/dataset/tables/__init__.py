"""Rows that somebody else made, read from tables and written to them."""
