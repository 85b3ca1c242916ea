"""Reporting to TensorBoard by a callback of ours, and to wandb and swanlab by mlx-lm's.

An event file is a row of records (length, its checksum, a protobuf `Event`, its checksum), as TensorFlow's
tensorflow/core/lib/io/record_writer.h and core/util/event.proto describe them; three fields are all that a curve needs.
"""

import socket
import struct
import time
from importlib.util import find_spec
from typing import Any

from mlx_tutor.errors import RecipeError
from mlx_tutor.files import disk_errors
from mlx_tutor.workspace import Run

REPORTS = ("tensorboard", "wandb", "swanlab")
# CRC-32C (Castagnoli), one byte at a time.
CRC_POLYNOMIAL = 0x82F63B78


class TensorBoardCallback:
    """mlx-lm's training callback that writes an event file; `wrapped` is called too.

    `tensorboard --logdir adapters` shows it. TensorBoard itself is not needed to write it.
    """

    def __init__(self, run: Run, wrapped: Any = None) -> None:
        self.wrapped = wrapped
        now = time.time()
        self.path = run.adapter / f"events.out.tfevents.{now:.0f}.{socket.gethostname()}"
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(frame_record(_double(1, now) + _bytes(3, b"brain.Event:2")))

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
        summary = b"".join(
            _bytes(1, _bytes(1, name.encode()) + b"\x15" + struct.pack("<f", value)) for name, value in values.items()
        )
        event = _double(1, time.time()) + b"\x10" + _varint(step) + _bytes(5, summary)
        with disk_errors(self.path), self.path.open("ab") as file:
            file.write(frame_record(event))


def frame_record(data: bytes) -> bytes:
    """One record of an event file."""
    length = struct.pack("<Q", len(data))
    return length + _mask_crc(length) + data + _mask_crc(data)


def _mask_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


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
