"""What the local server counts, and live comparisons of two runs."""
