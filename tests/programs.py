"""An answer that is text and code, and a stand-in for the model that writes it piece by piece."""

from collections.abc import Callable
from typing import Any

from mlx_tutor.generate import Answer

MIXED = (
    "The mean is the sum over the count.\n\n```python\nimport numpy as np\n\nprint(np.mean(x))\n```\n\nThen:\n"
    "1. Sort.\n2. Take `median(x)` or the `mode`.\n\nSo:\n\n    x = 3\n\n"
    "import os\nos.remove(path)\n\nDone, so y = a + b*x."
)


def write_program(
    loaded: Any, messages: Any, settings: Any, on_text: Callable[[str], None], *rest: Any, **more: Any
) -> Answer:
    """In place of a model: one of a few thousand random weights writes no code."""
    for start in range(0, len(MIXED), 7):
        on_text(MIXED[start : start + 7])
    return Answer(MIXED, 1, 1, 1.0, 0.0, "stop", 0.0)
