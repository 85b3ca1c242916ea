"""The program that mlx.launch starts on each host of `train --hosts`; not a command to type."""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlx_tutor.recipe import Recipe
    from mlx_tutor.workspace import Course


def read_both(course: "Course", recipe: "Recipe") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of train and valid, as the model is to learn them."""
    from mlx_tutor.dataset.build import read_rows

    thinking = recipe.model.thinking
    return read_rows(course, "train", thinking=thinking), read_rows(course, "valid", thinking=thinking)


if __name__ == "__main__":
    from mlx_tutor.training.rank import run_rank

    run_rank(json.loads(sys.argv[1]), read_both)
