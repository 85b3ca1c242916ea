"""A course in one file: what a lecturer hands out and a student opens offline."""
