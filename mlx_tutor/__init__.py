"""A private tutor from a folder of course files, trained on your own Mac."""

__version__ = "0.1.0"
