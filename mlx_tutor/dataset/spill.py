"""Examples that wait in a file while a dataset is built: a million rows of a table would fill the memory."""

import marshal
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

from mlx_tutor.files import disk_errors
from mlx_tutor.records import Example, Message, Origin, QaPair

# So many stay in memory, which is quicker.
FEW = 20_000
# Bits for the length of an example; a longer one stays in memory.
BITS = 24


class Spill:
    """Keeps examples, all but the first few in a file of `folder` that has no name and goes with them."""

    def __init__(self, folder: Path, few: int = FEW) -> None:
        self.folder, self.left = folder, few
        self.file: Any = None
        # Messages that many examples share, as the system prompt.
        self.shared: list[Message] = []
        self.numbers: dict[str, int] = {}
        self.last: tuple[int, list[Any]] = (-1, [])
        self.is_written = True

    def keep(self, example: Example) -> Example:
        """The same example, which may be read from the file whenever it is asked for."""
        self.left -= 1
        if self.left >= 0:
            return example
        if self.file is None:
            with disk_errors(self.folder):
                self.file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - open as long as its examples
            weakref.finalize(self, self.file.close)
        data = marshal.dumps(self._pack(example))
        if len(data) >= 1 << BITS:
            return example
        with disk_errors(self.folder):
            place = self.file.tell() << BITS | len(data)
            self.file.write(data)
        self.is_written = False
        return SpilledExample(self, place)

    def read(self, place: int) -> list[Any]:
        """What `_pack` made of the example at a place; the last one is remembered, as it may be asked for more."""
        known, parts = self.last
        if known != place:
            if not self.is_written:
                self.file.flush()
                self.is_written = True
            parts = list(marshal.loads(os.pread(self.file.fileno(), place & (1 << BITS) - 1, place >> BITS)))
            self.last = place, parts
        return parts

    def _pack(self, example: Example) -> tuple[Any, ...]:
        first, *others = example.messages
        system = -1
        if first["role"] == "system":
            system = self.numbers.setdefault(first["content"], len(self.shared))
            self.shared += [first] if system == len(self.shared) else []
        turns = [dict(turn) for turn in (others if system >= 0 else example.messages)]
        origin, qa = ([getattr(part, name) for name in part.__slots__] for part in (example.origin, example.qa_pair))
        return system, turns, origin, qa, dict(example.metadata), example.language


class SpilledExample(Example):
    """An example in a file: each part of it is read when it is asked for."""

    __slots__ = ("place", "spill")
    place: int
    spill: Spill

    def __init__(self, spill: Spill, place: int) -> None:
        object.__setattr__(self, "spill", spill)
        object.__setattr__(self, "place", place)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The chat, as mlx-lm reads it."""
        system, turns, *_ = self.spill.read(self.place)
        return (*([self.spill.shared[system]] if system >= 0 else []), *turns)

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        parts = self.spill.read(self.place)
        origin = parts[2] if isinstance(parts[2], Origin) else Origin(*parts[2])
        parts[2] = origin
        return origin

    @property
    def qa_pair(self) -> QaPair:
        """Its question and answer."""
        parts = self.spill.read(self.place)
        qa = parts[3] if isinstance(parts[3], QaPair) else QaPair(*parts[3])
        parts[3] = qa
        return qa

    @property
    def metadata(self) -> dict[str, str]:
        """Subject, level and style."""
        metadata: dict[str, str] = self.spill.read(self.place)[4]
        return metadata

    @property
    def language(self) -> str:
        """The language of its text."""
        return str(self.spill.read(self.place)[5])
