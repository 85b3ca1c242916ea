"""Rows that somebody else made: reading them from tables, and writing the course's rows for others."""
