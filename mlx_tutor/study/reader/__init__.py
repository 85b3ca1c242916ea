"""The documents of a course as pages to read, with a passage marked."""
