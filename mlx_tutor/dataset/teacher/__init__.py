"""Rows that a larger model writes, each with its evidence in the text."""
