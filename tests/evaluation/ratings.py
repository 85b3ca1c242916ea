"""What is rated in tests, and by which criteria."""

from mlx_tutor.evaluation.prompts import make_prompt

CRITERIA = ("help", "clarity")
PROMPTS = [make_prompt(f"What is number {i}?", "Tutor.", str(i), "define") for i in range(5)]
