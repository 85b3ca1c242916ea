"""Document -> Chunk -> Example: making training rows, checking them, and splitting them."""
