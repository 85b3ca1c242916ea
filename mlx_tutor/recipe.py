"""The recipe: every setting of a course, read from TOML into frozen dataclasses.

Precedence: `--set section.key=value`, then `recipe.toml`, then the defaults below. Training words are
mlx-lm's own.
"""

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from mlx_tutor.errors import RecipeError

SYSTEM_PROMPT = (
    "You are a patient tutor for this course. Explain in small steps, give a short answer, "
    "and name related concepts. Say so when the course does not cover a question."
)


def setting(
    default: Any, doc: str, *, low: float | None = None, high: float | None = None, choices: Sequence[Any] = ()
) -> Any:
    """A dataclass field that carries its own documentation and bounds (both ends allowed)."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": tuple(choices)})


@dataclass(frozen=True, slots=True)
class CourseSettings:
    subject: str = setting("", "subject, written into the metadata of each row")
    grade_level: str = setting("undergraduate", "who is taught")
    teaching_style: str = setting(
        "step by step", "how it is taught; `socratic`, `steps` or `direct` also begins a chat in that style"
    )
    system_prompt: str = setting(SYSTEM_PROMPT, "who the tutor is; the same in training, compare and chat")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    base: str = setting(
        "mlx-community/Qwen2.5-0.5B-Instruct-4bit", "`starter`, a folder, or a model of the Hugging Face Hub"
    )


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    seed: int = setting(0, "orders and splits the rows", low=0)
    chunk_tokens: int = setting(320, "longest piece of a section that one row is about", low=64, high=4096)
    valid: float = setting(0.1, "share of the sections kept for validation", low=0.02, high=0.4)
    test: float = setting(0.1, "share of the sections kept for the test", low=0.02, high=0.4)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    fine_tune_type: str = setting(
        "lora", "`lora`; `dora` learns the length of each weight row apart, and is slower", choices=("lora", "dora")
    )
    rank: int = setting(8, "rank of the adapter", low=1, high=1024)
    scale: float = setting(20.0, "factor on the adapter's output (`alpha` = scale * rank)", low=0.0)
    dropout: float = setting(0.0, "share of adapter inputs dropped in training", low=0.0, high=0.9)
    keys: tuple[str, ...] = setting((), "layers that get an adapter, as `self_attn.q_proj`; empty: all linear layers")
    num_layers: int = setting(16, "adapted blocks, counted from the last; -1: all", low=-1)
    batch_size: int = setting(4, "rows a step", low=1)
    iters: int = setting(600, "training steps; Ctrl-C ends earlier and keeps the best", low=1)
    learning_rate: float = setting(1e-4, "peak of the schedule", low=1e-8, high=1.0)
    warmup: int = setting(20, "steps of linear warm-up before the cosine", low=0)
    weight_decay: float = setting(0.01, "of AdamW", low=0.0)
    max_seq_length: int = setting(1024, "longest row in tokens; longer ones are dropped and counted", low=32)
    mask_prompt: bool = setting(True, "learn the answers only, not the questions")
    grad_checkpoint: bool = setting(False, "recompute activations: less memory, slower")
    grad_accumulation_steps: int = setting(1, "steps summed into one update", low=1)
    steps_per_report: int = setting(10, "steps between two reports", low=1)
    steps_per_eval: int = setting(50, "steps between two validations", low=1)
    patience: int = setting(5, "validations without a better loss before training ends", low=1)
    seed: int = setting(0, "of weights, dropout and row order", low=0)


@dataclass(frozen=True, slots=True)
class FuseSettings:
    bits: int = setting(0, "of the layers with an adapter; 0: as few as keep the training", choices=(0, 4, 5, 6, 8))
    dequantize: bool = setting(False, "write full-precision weights")
    target: float = setting(0.98, "least share of the training that the fused model must keep", low=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    max_tokens: int = setting(400, "longest answer", low=1)
    temp: float = setting(0.0, "temperature; 0: the same answer every time", low=0.0, high=5.0)
    top_p: float = setting(1.0, "nucleus sampling, at a temperature above 0", low=0.0, high=1.0)
    repetition_penalty: float = setting(1.1, "above 1: repeated words become less likely", low=1.0, high=2.0)
    seed: int = setting(0, "of sampling", low=0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a course."""

    course: CourseSettings = field(default_factory=CourseSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    fuse: FuseSettings = field(default_factory=FuseSettings)
    generate: GenerateSettings = field(default_factory=GenerateSettings)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The resolved recipe as it stands in manifests."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the recipe reference."""

    name: str
    default: Any
    doc: str


def list_settings() -> Iterator[SettingRow]:
    """Every setting with its dotted name, default and meaning, in order."""
    recipe = Recipe()
    for section in fields(Recipe):
        for item in fields(getattr(recipe, section.name)):
            yield SettingRow(f"{section.name}.{item.name}", item.default, item.metadata["doc"])


def load_recipe(path: Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides; without a file, the defaults.

    Raises:
        RecipeError: all problems of the file and the overrides in one message.
    """
    tables: dict[str, Any] = {}
    if path is not None and path.is_file():
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
            raise RecipeError(f"{path} is not valid TOML: {err}.") from err
    problems: list[str] = []
    for override in overrides:
        _apply_override(tables, override, problems)
    sections: dict[str, Any] = {}
    known = {section.name: getattr(Recipe(), section.name) for section in fields(Recipe)}
    for name, table in tables.items():
        if name not in known:
            problems.append(f"unknown section [{name}]{_suggest(name, known)}")
        elif not isinstance(table, dict):
            problems.append(f"{name} must be a section, as [{name}]")
        else:
            sections[name] = _read_section(name, type(known[name]), table, problems)
    if problems:
        where = f"{path}: " if path is not None and path.is_file() else ""
        raise RecipeError(where + "; ".join(problems) + ".")
    return Recipe(**sections)


def _apply_override(tables: dict[str, Any], override: str, problems: list[str]) -> None:
    name, equals, value = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        problems.append(f"--set {override!r} is not of the form section.key=value")
        return
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    table = tables.setdefault(section, {})
    if isinstance(table, dict):
        # The command line wins over the file, also where the two spell the scale differently.
        for twin in {"alpha", "scale"} - {key} if key in ("alpha", "scale") else ():
            table.pop(twin, None)
        table[key] = parsed


def _read_section(name: str, kind: type, table: dict[str, Any], problems: list[str]) -> Any:
    hints = get_type_hints(kind)
    known = {item.name: item for item in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if name == "train" and key == "alpha":
            continue
        if key not in known:
            problems.append(f"unknown key {name}.{key}{_suggest(key, known)}")
            continue
        converted = _convert(value, hints[key])
        if converted is None:
            problems.append(f"{name}.{key} must be {_describe(hints[key])}, not {value!r}")
        elif problem := _check_bounds(converted, known[key].metadata):
            problems.append(f"{name}.{key} must be {problem}, not {value!r}")
        else:
            values[key] = converted
    if name == "train" and "alpha" in table:
        _apply_alpha(table, values, problems)
    return None if problems else kind(**values)


def _apply_alpha(table: dict[str, Any], values: dict[str, Any], problems: list[str]) -> None:
    alpha = _convert(table["alpha"], float)
    if "scale" in table:
        problems.append("train.alpha and train.scale say the same thing; keep one (scale = alpha / rank)")
    elif alpha is None or alpha < 0:
        problems.append(f"train.alpha must be a number of at least 0, not {table['alpha']!r}")
    else:
        values["scale"] = alpha / values.get("rank", TrainSettings().rank)


def _convert(value: Any, hint: Any) -> Any:
    """`value` as the hinted type, or None when it does not fit."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        fits = isinstance(value, list) and all(isinstance(item, inner) for item in value)
        return tuple(value) if fits else None
    if isinstance(value, bool):
        return value if hint is bool else None
    if hint is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, hint) else None


def _check_bounds(value: Any, metadata: Any) -> str | None:
    low, high, choices = metadata["low"], metadata["high"], metadata["choices"]
    if choices and value not in choices:
        return "one of " + ", ".join(str(choice) for choice in choices)
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if (low is not None and value < low) or (high is not None and value > high):
        return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
    return None


def _describe(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "a list of texts"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[hint]


def _suggest(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
