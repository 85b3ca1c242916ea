"""Reports for other programs: TensorBoard's event files by tensorboardX, wandb and swanlab by mlx-lm's callbacks."""

import time
import weakref
from importlib.util import find_spec
from typing import Any

from mlx_tutor.errors import RecipeError
from mlx_tutor.files import disk_errors
from mlx_tutor.workspace import Run

REPORTS = ("tensorboard", "wandb", "swanlab")


class TensorBoardCallback:
    """mlx-lm's training callback that writes an event file; `wrapped` is called too.

    `tensorboard --logdir adapters` shows it. TensorBoard itself is not needed to write it.
    """

    def __init__(self, run: Run, wrapped: Any = None) -> None:
        # Not its SummaryWriter, whose thread dies on a full disk and then blocks whoever adds to its queue.
        from tensorboardX.event_file_writer import EventsWriter

        self.wrapped = wrapped
        self._folder = run.adapter
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(self._folder / "events"))
            self._writer.flush()
        # The trainer does not say when it is done.
        weakref.finalize(self, self._writer.close)

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """Training loss, learning rate, speed and memory."""
        names = ("train_loss", "learning_rate", "tokens_per_second", "peak_memory")
        self._write(train_info["iteration"], {f"training/{name}": train_info[name] for name in names})
        if self.wrapped is not None:
            self.wrapped.on_train_loss_report(train_info)

    def on_val_loss_report(self, val_info: dict[str, Any]) -> None:
        """Validation loss."""
        self._write(val_info["iteration"], {"validation/loss": val_info["val_loss"]})
        if self.wrapped is not None:
            self.wrapped.on_val_loss_report(val_info)

    def _write(self, step: int, values: dict[str, float]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        with disk_errors(self._folder):
            self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._writer.flush()


def open_callback(report_to: str, run: Run, project: str, recipe: dict[str, Any]) -> Any:
    """The callbacks that `train.report_to` names as one, or None.

    Raises:
        RecipeError: an unknown name, or a package that is not installed.
    """
    names = [name.strip().lower() for name in report_to.split(",") if name.strip()]
    if unknown := sorted(set(names) - set(REPORTS)):
        raise RecipeError(f"train.report_to: unknown {', '.join(unknown)}. It knows: {', '.join(REPORTS)}.")
    others = [name for name in names if name != "tensorboard"]
    for name in others:
        if find_spec(name) is None:
            raise RecipeError(
                f"train.report_to: {name} is not installed. Install it with: pip install {name}. Or leave it out."
            )
    callback = None
    if others:
        from mlx_lm.tuner.callbacks import get_reporting_callbacks

        with disk_errors(run.adapter):
            run.adapter.mkdir(parents=True, exist_ok=True)
        callback = get_reporting_callbacks(",".join(others), project, str(run.adapter), recipe)
    return TensorBoardCallback(run, callback) if "tensorboard" in names else callback
