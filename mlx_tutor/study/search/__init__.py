"""The search index of a course."""
