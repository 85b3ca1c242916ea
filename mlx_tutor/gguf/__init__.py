"""GGUF file -> MLX model folder in the user's cache folder, with its tokenizer and chat template."""
