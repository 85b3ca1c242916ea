"""Example -> adapter, through mlx-lm's trainer."""
