"""What runs a stage for a command: is it up to date, run it, say what came out."""
