"""Rows mined from the text itself, without a model."""
