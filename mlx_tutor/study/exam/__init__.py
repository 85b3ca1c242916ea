"""Exam mode: no network, and a record of all that was asked."""
