"""Where there is no terminal, work that takes long is seen from its first second, and how long the rest takes."""

from typing import Any

import pytest

from mlx_tutor import display


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("mlx_tutor.display.time.monotonic", lambda: now[0])
    return now


def test_progress_is_told_at_once_and_then_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with display.Screen().follow("fusing demo") as on_progress:
        for second in range(25):
            clock[0] = 100.0 + second
            on_progress("trying 5-bit", second, 25)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["  0 %  trying 5-bit", "  40 %  trying 5-bit, 15.0 s left", "  80 %  trying 5-bit, 5.0 s left"]


def test_the_first_steps_and_a_validation_are_seen_before_their_loss(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    def tell(seconds: float, **said: Any) -> None:
        clock[0] = 100.0 + seconds
        metric: Any = {"iterations": 40, "peak_memory_gb": 1.0, "seconds": seconds, **said}
        on_metric(metric)

    with display.Screen().watch_training("demo") as on_metric:
        tell(0, kind="progress", iteration=0, doing="validating", rows=0, total=64)
        tell(5, kind="progress", iteration=0, doing="validating", rows=16, total=64)
        tell(15, kind="progress", iteration=0, doing="validating", rows=48, total=64)
        tell(20, kind="valid", iteration=0, loss=2.5, best=True, rows=64, total=186)
        tell(24, kind="progress", iteration=1, doing="training", rows=1, total=40)
        tell(36, kind="progress", iteration=4, doing="training", rows=4, total=40)
        tell(60, kind="train", iteration=10, loss=2.0, tokens_per_second=50.0)
    assert capsys.readouterr().err.splitlines() == [
        "      0/40  validating, 0 of 64 rows",
        "      0/40  validating, 48 of 64 rows, 5.0 s left",
        "      0/40  validation loss 2.500 on 64 of 186 rows, the best so far",
        "      4/40  training, 2 min 24 s left",
        "     10/40  training loss 2.000  50 tokens/s  1.00 GB, 2 min 00 s left",
    ]
