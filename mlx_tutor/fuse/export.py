"""A fused model for other programs: a GGUF file, or a folder for Ollama; the file is read back and compared."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_tutor.errors import ModelError
from mlx_tutor.files import disk_errors, read_json, write_text
from mlx_tutor.fuse.card import find_system
from mlx_tutor.fuse.modelfile import write_modelfile
from mlx_tutor.gguf.convert import fill_folder
from mlx_tutor.gguf.vocabulary import Vocabulary
from mlx_tutor.gguf.write import Draft, pick_type
from mlx_tutor.models import load_model, load_tokenizer, render_tokens
from mlx_tutor.recipe import Recipe
from mlx_tutor.workspace import Run

# Tokens of course text on which the file, read back, is compared with the fused model.
CHECKED = 200
# With less agreement, the file is not the same model.
LEAST_TOP1 = {"f16": 0.97, "bf16": 0.97, "q8_0": 0.9}
# Space for reading back, as a multiple of the file: F16 becomes float32, Q8_0 gets scales in float32.
CHECK_ROOM = 2.2
WEIGHTS, MODELFILE = "model.gguf", "Modelfile"

OnProgress = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, with the settings and the system prompt that it contains or needs.

    `top1` is the share of `tokens` tokens of course text for which the file, read back, and the fused model find the
    same token most likely; None without rows to compare on.
    """

    run: str
    path: str
    type: str
    megabytes: float
    tokens: int
    top1: float | None
    system_prompt: str


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes the fused model of a run, with `[generate]` of `recipe`; `rows` are for checking what was written."""

    run: Run
    recipe: Recipe
    rows: Sequence[dict[str, Any]]
    on_progress: OnProgress

    def write_gguf(self, kind: str, path: Path, *, replace: bool) -> ExportReport:
        """Write one GGUF file with matrices of the type f16, bf16 or q8_0.

        Raises:
            ModelError: not fused, another architecture, a full disk, an existing file, or a file that is not the model.
        """
        if path.suffix.lower() != ".gguf":
            raise ModelError(f"{path} does not end in .gguf. Name a file that does with --to.")
        if path.is_dir() or (path.exists() and not replace):
            raise ModelError(f"{path} is there already. Add --replace, or pick another file with --to.")
        self._check_fused()
        with _write_beside(path) as beside:
            report = self._write_weights(kind, beside / path.name, path)
            (beside / path.name).replace(path)
        return report

    def write_ollama(self, folder: Path, *, replace: bool) -> ExportReport:
        """Write a folder with a GGUF file in 16 bits and a Modelfile.

        Not safetensors: Ollama's own converter takes SmolLM2's tokenizer for another one, and knows no Qwen3.

        Raises:
            ModelError: as for `write_gguf`, or the chat template is not ChatML.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not replace:
            raise ModelError(f"{folder} is there already. Add --replace, or pick another folder with --to.")
        self._check_fused()
        text = write_modelfile(
            self.run.name, WEIGHTS, self._load_tokenizer(), self._config, find_system(self.run), self.recipe.generate
        )
        with _write_beside(folder) as beside:
            report = self._write_weights(pick_type(self.run.fused), beside / WEIGHTS, folder)
            write_text(beside / MODELFILE, text)
            if folder.is_dir():
                shutil.rmtree(folder)
            beside.rename(folder)
        return report

    @property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = read_json(self.run.fused / "config.json")
        return config

    def _check_fused(self) -> None:
        if not self.run.is_fused:
            raise ModelError(f"Run {self.run.name!r} is not fused yet. Fuse it: mlx-tutor fuse --run {self.run.name}")

    def _load_tokenizer(self, folder: Path | None = None) -> Any:
        return load_tokenizer(folder or self.run.fused, thinking=self.recipe.model.thinking)

    def _write_weights(self, kind: str, file: Path, target: Path) -> ExportReport:
        draft = Draft(self.run.fused, kind)
        _check_room(file.parent, target, draft.size, checked=bool(self.rows))
        settings, tokenizer = self.recipe.generate, self._load_tokenizer()
        about = {
            "general.name": self.run.name,
            "general.description": f"{self.run.read()['base']}, fine-tuned by mlx-tutor",
            # llama.cpp's defaults for this model; its options override them.
            "general.sampling.temp": settings.temp,
            "general.sampling.top_p": settings.top_p,
            "general.sampling.penalty_repeat": settings.repetition_penalty,
        }
        draft.write(file, describe_tokenizer(tokenizer), about, self._tell_written)
        top1, tokens = self._check(file, kind) if self.rows else (None, 0)
        return ExportReport(
            self.run.name, str(target), kind, file.stat().st_size / 1e6, tokens, top1, find_system(self.run)
        )

    def _tell_written(self, done: int, total: int) -> None:
        self.on_progress("writing", done / total, 4 if self.rows else 1)

    def _check(self, file: Path, kind: str) -> tuple[float, int]:
        """The share of equal top tokens on course text, and the number of tokens."""
        self.on_progress("reading back", 1, 4)
        folder = file.with_suffix(".check")
        folder.mkdir()
        with disk_errors(folder):
            fill_folder(file, "", folder, exact=True)
        ours, theirs = (self._pick_tokens(self._load_tokenizer(path)) for path in (self.run.fused, folder))
        if ours != theirs:
            raise ModelError(
                f"{file.name} splits the course's text into other tokens than the model, and was not kept. "
                "Use the fused model folder in LM Studio or mlx_lm."
            )
        found = []
        for number, path in enumerate((self.run.fused, folder), 2):
            self.on_progress("comparing", number, 4)
            model = load_model(path).model
            found.append(mx.concatenate([model(mx.array([row]))[0].argmax(axis=-1) for row in ours]))
            mx.eval(found)
        shutil.rmtree(folder)
        top1, tokens = float((found[0] == found[1]).mean()), int(found[0].size)
        if top1 < LEAST_TOP1[kind]:
            raise ModelError(
                f"{file.name}, read back, agrees with the fused model on {100 * top1:.1f} % of {tokens} tokens only. "
                "It was not kept. Take another --type, or fuse again."
            )
        return top1, tokens

    def _pick_tokens(self, tokenizer: Any) -> list[list[int]]:
        """CHECKED tokens of course rows, or all if there are fewer."""
        picked: list[list[int]] = []
        for row in self.rows:
            left = CHECKED - sum(map(len, picked))
            if left <= 0:
                break
            picked.append(render_tokens(tokenizer, row["messages"])[0][:left])
        return picked


def describe_tokenizer(tokenizer: Any) -> Vocabulary:
    """What a GGUF file says of an mlx-lm tokenizer."""
    template: str = tokenizer.get_chat_template()
    ends = sorted(tokenizer.eos_token_ids)
    turn = next((index for index in ends if tokenizer.decode([index]) in template), tokenizer.eos_token_id)
    ids = {name: getattr(tokenizer, f"{name}_token_id", None) for name in ("bos", "eos", "unk", "pad")} | {"eot": turn}
    known = {name: index for name, index in ids.items() if index is not None}
    return Vocabulary(tokenizer.backend_tokenizer, known, template)


@contextmanager
def _write_beside(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` to write into."""
    beside = target.with_name(f".{target.name}.new")
    with disk_errors(target):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            yield beside
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _check_room(folder: Path, target: Path, size: int, *, checked: bool) -> None:
    need, free = int(size * (1 + CHECK_ROOM * checked)), shutil.disk_usage(folder).free
    if free < need:
        raise ModelError(
            f"The disk has no room for {target}: {need / 1e6:,.0f} MB needed, checking included, and "
            f"{free / 1e6:,.0f} MB free. Free some space, or name a folder on another disk with --to."
        )
