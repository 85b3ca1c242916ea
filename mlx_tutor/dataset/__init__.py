"""Document -> Chunk -> Example: training rows from the text itself."""
