"""Base + adapter -> model: the smallest that keeps the training, checked against the adapter."""
