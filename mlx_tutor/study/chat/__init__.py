"""Questions and conversations, answered from the course."""
