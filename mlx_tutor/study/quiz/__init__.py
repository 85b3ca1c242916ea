"""Quiz and flash cards from the questions of a course."""
