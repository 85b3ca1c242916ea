"""The recipe: every setting of a course, read from TOML into frozen dataclasses.

Precedence: `--set section.key=value`, then `recipe.toml`, then the defaults below. Training words are
mlx-lm's own.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from mlx_tutor.errors import RecipeError

SYSTEM_PROMPT = (
    "You are a patient tutor for this course. Explain in small steps, give a short answer, "
    "and name related concepts. Say so when the course does not cover a question."
)

# Told apart by script or by their commonest words.
LANGUAGES = ("ar", "de", "el", "en", "es", "fr", "he", "hi", "it", "ja", "ko", "nl", "pt", "ru", "th", "zh")
TEMPLATES = ("catalogue",)
# What an imported row may have.
COLUMNS = (
    "question", "answer", "context", "category", "text", "messages", "subject", "grade_level", "teaching_style"
)  # fmt: skip

# Settings that say the same in other words; a recipe has one of the two.
TWINS = {"alpha": "scale", "scale": "alpha", "epochs": "iters", "iters": "epochs"}


def setting(
    default: Any, doc: str, *, low: float | None = None, high: float | None = None, choices: Sequence[Any] = ()
) -> Any:
    """A dataclass field that carries its own documentation and bounds (both ends allowed)."""
    metadata = {"doc": doc, "low": low, "high": high, "choices": tuple(choices)}
    if default == {}:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def tables(key: str) -> Any:
    """A dataclass field that holds the tables written as `[[section.key]]`, none by default."""
    return field(default=(), metadata={"key": key})


@dataclass(frozen=True, slots=True)
class CourseSettings:
    subject: str = setting("", "subject, written into the metadata of each row")
    grade_level: str = setting("undergraduate", "who is taught")
    teaching_style: str = setting(
        "step by step", "how it is taught; `socratic`, `steps`, `direct` and `analogy` also begin a chat in that style"
    )
    system_prompt: str = setting(SYSTEM_PROMPT, "who the tutor is; the same in training, compare and chat")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    base: str = setting(
        "mlx-community/Qwen2.5-0.5B-Instruct-4bit", "`starter`, a folder, or a model of the Hugging Face Hub"
    )


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """One `[[dataset.import]]`: rows that somebody else made."""

    path: str = setting("", "a .csv, .tsv, .json, .jsonl or .parquet file; a relative path begins at the recipe")
    hub: str = setting("", "instead of `path`: a dataset of the Hugging Face Hub, fetched with `mlx-tutor pull --data`")
    config: str = setting("", "the configuration of the Hub dataset, where it has several")
    split: str = setting("train", "the split of the Hub dataset")
    rows: int = setting(0, "at most so many rows, counted behind the filters; 0: all", low=0)
    columns: Mapping[str, str] = setting(
        {},
        'where the names are not the usual ones: `{question = "Frage", answer = "Antwort"}`; also `context`, '
        "`category`, `text`, `messages`, `subject`, `grade_level`, `teaching_style`",
    )
    group: str = setting(
        "", "a column or regular expression: rows with one value stay in one split; empty: rows with one answer"
    )
    keep: Mapping[str, tuple[str, ...]] = setting(
        {}, 'only rows with one of these words in a column: `{instruction = ["email", "deadline"]}`'
    )
    drop: Mapping[str, tuple[str, ...]] = setting({}, "no rows with one of these words in a column")
    language: str = setting("", "only rows in this language; a text too short to tell stays", choices=LANGUAGES)
    keep_system: bool = setting(False, "keep each row's own system prompt instead of the course's")
    subject: str = setting("", "metadata of these rows; empty: the course's")
    grade_level: str = setting("", "metadata of these rows; empty: the course's")
    teaching_style: str = setting("", "metadata of these rows; empty: the course's")


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """One `[[dataset.template]]`: questions and answers written from the columns of a table."""

    path: str = setting("", "a .csv, .tsv, .json, .jsonl or .parquet file; a relative path begins at the recipe")
    use: str = setting("", "templates that come with mlx-tutor: `catalogue`, for a list of courses", choices=TEMPLATES)
    questions: tuple[str, ...] = setting((), 'wordings with placeholders: `["Who teaches {title}?"]`')
    answer: tuple[str, ...] = setting(
        (), "sentences with placeholders; one with an empty field is left out, and without the first there is no row"
    )
    type: str = setting("fact", "kind of question, kept in the row")
    columns: Mapping[str, str] = setting({}, 'placeholders and the columns they stand for: `{title = "Course Title"}`')
    group: str = setting("", "a column whose rows stay in one split; empty: each row of the table by itself")
    wordings: int = setting(3, "questions for each fact", low=1, high=20)
    subject: str = setting("", "metadata of these rows; empty: the course's")
    grade_level: str = setting("", "metadata of these rows; empty: the course's")
    teaching_style: str = setting("", "metadata of these rows; empty: the course's")


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    ocr: str = setting("", 'languages of tesseract for scanned pages, as "eng+deu"; empty: they are left out')


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    seed: int = setting(0, "orders and splits the rows", low=0)
    chunk_tokens: int = setting(320, "longest piece of a section that one row is about", low=64, high=4096)
    valid: float = setting(0.1, "share of the sections kept for validation", low=0.02, high=0.4)
    test: float = setting(0.1, "share of the sections kept for the test", low=0.02, high=0.4)
    section_share: float = setting(0.25, "most of the rows made of the text that are of one section", low=0.0, high=1.0)
    page_share: float = setting(0.25, "most of them that are of one page or cell", low=0.0, high=1.0)
    method_share: float = setting(0.6, "most of them that are made in one way", low=0.0, high=1.0)
    gap_rows: int = setting(3, "sections with fewer rows get more with `mlx-tutor build --fill-gaps`", low=1)
    holdout: tuple[str, ...] = setting(
        (), "files such as past exams: never trained on, nor what repeats them; their rows are the test"
    )
    general: float = setting(0.0, "general instruction rows for each training row of the course", low=0.0, high=1.0)
    refusals: float = setting(
        0.0, "rows for each row of the course that ask for something else and are told what the tutor is for",
        low=0.0, high=0.5,
    )  # fmt: skip
    tell_style: bool = setting(
        False, "name in the system prompt how a row is taught, and its level where that is not the course's"
    )
    imports: tuple[ImportSettings, ...] = tables("import")
    templates: tuple[TemplateSettings, ...] = tables("template")


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
    iters: int = setting(600, "training steps; Ctrl-C keeps the best, and the next `train` goes on", low=1)
    epochs: float = setting(0.0, "passes over the rows, instead of `iters`; 0: `iters` counts", low=0.0)
    learning_rate: float = setting(1e-4, "peak of the schedule", low=1e-8, high=1.0)
    warmup: int = setting(20, "steps of linear warm-up before the cosine", low=0)
    weight_decay: float = setting(0.01, "of AdamW", low=0.0)
    max_seq_length: int = setting(1024, "longest row in tokens; longer ones are dropped and counted", low=32)
    mask_prompt: bool = setting(True, "learn the answers only, not the questions")
    grad_checkpoint: bool = setting(False, "recompute activations: less memory, slower")
    grad_accumulation_steps: int = setting(1, "steps summed into one update", low=1)
    steps_per_report: int = setting(10, "steps between two reports", low=1)
    steps_per_eval: int = setting(50, "steps between two validations", low=1)
    steps_per_save: int = setting(50, "steps between two checkpoints, from which a killed training goes on", low=1)
    patience: int = setting(5, "validations without a better loss before training ends", low=1)
    min_gain: float = setting(0.0, "nats by which a loss must fall to count as better for `patience`", low=0.0)
    report_to: str = setting("", "`tensorboard`, `wandb` or `swanlab`, or several with commas, beside the curve")
    seed: int = setting(0, "of weights, dropout and row order", low=0)


def values_of(name: str) -> Any:
    """A field of [sweep]: several values of a training setting, within its bounds."""
    item = next(item for item in fields(TrainSettings) if item.name == name)
    return field(default=(), metadata={**item.metadata, "doc": f"values of `train.{name}` to try"})


@dataclass(frozen=True, slots=True)
class SweepSettings:
    combine: str = setting(
        "all", "`all` combinations of the values below; `list`: first with first, second with second",
        choices=("all", "list"),
    )  # fmt: skip
    fine_tune_type: tuple[str, ...] = values_of("fine_tune_type")
    rank: tuple[int, ...] = values_of("rank")
    scale: tuple[float, ...] = values_of("scale")
    dropout: tuple[float, ...] = values_of("dropout")
    keys: tuple[tuple[str, ...], ...] = values_of("keys")
    num_layers: tuple[int, ...] = values_of("num_layers")
    batch_size: tuple[int, ...] = values_of("batch_size")
    iters: tuple[int, ...] = values_of("iters")
    epochs: tuple[float, ...] = values_of("epochs")
    learning_rate: tuple[float, ...] = values_of("learning_rate")
    weight_decay: tuple[float, ...] = values_of("weight_decay")
    grad_accumulation_steps: tuple[int, ...] = values_of("grad_accumulation_steps")
    seed: tuple[int, ...] = values_of("seed")


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
class RateSettings:
    criteria: tuple[str, ...] = setting(
        ("help", "tone", "clarity", "adherence"), "what each answer gets 1 to 5 for in `mlx-tutor rate`"
    )


TEACHER_KINDS = ("explain", "compare", "apply", "code", "misconception", "relation")


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    model: str = setting(
        "", "who writes further rows: a model of the endpoint, or `mlx:` and a model as in `model.base`; empty: nobody"
    )
    base_url: str = setting("", "the OpenAI-compatible endpoint, as `http://localhost:1234/v1`; not used with `mlx:`")
    key_env: str = setting("", "name of the environment variable that holds its key; empty: it wants none")
    kinds: tuple[str, ...] = setting(TEACHER_KINDS, "kinds of questions", choices=TEACHER_KINDS)
    wordings: int = setting(5, "ways to ask for each fact, a row each", low=1, high=10)
    judge: int = setting(0, "rows that the teacher rates below this, of 10, are dropped; 0: no rating", low=0, high=10)
    temperature: float = setting(0.7, "of its replies", low=0.0, high=2.0)
    max_tokens: int = setting(4096, "longest reply, its thoughts included", low=64)
    concurrency: int = setting(4, "requests at a time", low=1, high=64)
    timeout: float = setting(180.0, "seconds to wait for a reply", low=1.0)
    price_in: float = setting(0.0, "price of a million tokens of requests", low=0.0)
    price_out: float = setting(0.0, "price of a million tokens of replies", low=0.0)
    budget_tokens: int = setting(0, "most tokens that the rows of a course may take; 0: no limit", low=0)
    budget_cost: float = setting(0.0, "most that they may cost, by the two prices; 0: no limit", low=0.0)

    def to_inputs(self) -> dict[str, Any] | None:
        """What the rows depend on; not where the model answers, nor how fast."""
        elsewhere = ["base_url", "key_env", "concurrency", "timeout"]
        elsewhere += [] if self.budget_cost else ["price_in", "price_out"]
        return {key: value for key, value in asdict(self).items() if key not in elsewhere} if self.model else None


@dataclass(frozen=True, slots=True)
class ExamSettings:
    allow_code: bool = setting(True, "in exam mode, show code in answers; false: a note stands in its place")


@dataclass(frozen=True, slots=True)
class GateSettings:
    loss: float = setting(
        0.0, "least share of the base's test loss that training must take away; 0: it must be no worse, -1: off",
        low=-1.0, high=1.0,
    )  # fmt: skip
    learned: float = setting(0.0, "least share of the facts asked that must be known; 0: off", low=0.0, high=1.0)
    unlearned: float = setting(1.0, "most of the facts known before that may be lost; 1: off", low=0.0, high=1.0)
    forgotten: float = setting(
        1.0, "most of the base's right answers to general questions that may be lost; 1: off", low=0.0, high=1.0
    )
    refused: float = setting(
        0.0, "least share of outside, unanswerable and false questions that must be refused; 0: off", low=0.0, high=1.0
    )
    overrefused: float = setting(1.0, "most of the course's questions that may be refused; 1: off", low=0.0, high=1.0)
    copied_words: int = setting(0, "longest word-for-word run of source text in an answer; 0: off", low=0)
    copied: float = setting(1.0, "most 8-grams of answers that may stand in the sources; 1: off", low=0.0, high=1.0)
    repetition: float = setting(1.0, "most repeated 4-grams in answers to test questions; 1: off", low=0.0, high=1.0)
    grounded: float = setting(
        0.0, "least share of statements in those answers that the course must support; 0: off", low=0.0, high=1.0
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a course."""

    course: CourseSettings = field(default_factory=CourseSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    extract: ExtractSettings = field(default_factory=ExtractSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    fuse: FuseSettings = field(default_factory=FuseSettings)
    generate: GenerateSettings = field(default_factory=GenerateSettings)
    exam: ExamSettings = field(default_factory=ExamSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    rate: RateSettings = field(default_factory=RateSettings)

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
            if "key" in item.metadata:
                continue
            yield SettingRow(f"{section.name}.{item.name}", item.default, item.metadata["doc"])


def list_table_settings() -> Iterator[tuple[str, list[SettingRow]]]:
    """Every array of tables as `dataset.import`, with the settings of one of its tables."""
    for section in fields(Recipe):
        kind = get_type_hints(Recipe)[section.name]
        hints = get_type_hints(kind)
        for item in (item for item in fields(kind) if "key" in item.metadata):
            entry = get_args(hints[item.name])[0]
            rows = [SettingRow(row.name, getattr(entry(), row.name), row.metadata["doc"]) for row in fields(entry)]
            yield f"{section.name}.{item.metadata['key']}", rows


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
        # The command line wins over the file, also where the two say the same in other words.
        table.pop(TWINS.get(key, ""), None)
        table[key] = parsed


def _read_section(name: str, kind: type, table: dict[str, Any], problems: list[str]) -> Any:
    hints = get_type_hints(kind)
    known = {item.metadata.get("key", item.name): item for item in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if name == "train" and key == "alpha":
            continue
        if key not in known:
            problems.append(f"unknown key {name}.{key}{_suggest(key, known)}")
            continue
        if "key" in known[key].metadata:
            entry = get_args(hints[known[key].name])[0]
            values[known[key].name] = _read_tables(f"{name}.{key}", entry, value, problems)
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
    if name == "train" and "iters" in table and table.get("epochs"):
        problems.append("train.epochs and train.iters both say how long to train; keep one")
    if name == "sweep":
        _check_sweep(values, problems)
    return None if problems else kind(**values)


def _read_tables(name: str, kind: type, value: Any, problems: list[str]) -> tuple[Any, ...]:
    """The tables of `[[name]]`, counted from 1 in messages."""
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        problems.append(f"{name} must be written as [[{name}]]")
        return ()
    read = []
    for number, table in enumerate(value, 1):
        where = f"{name}[{number}]"
        read.append(_read_section(where, kind, table, problems))
        if kind is ImportSettings and bool(table.get("path")) == bool(table.get("hub")):
            problems.append(f"{where} needs either path or hub")
        columns = table.get("columns") if kind is ImportSettings else None
        for column in set(columns if isinstance(columns, dict) else ()) - set(COLUMNS):
            problems.append(f"unknown key {where}.columns.{column}{_suggest(column, COLUMNS)}")
        if kind is TemplateSettings and not table.get("path"):
            problems.append(f"{where} needs path")
        own = bool(table.get("questions")) and bool(table.get("answer"))
        if kind is TemplateSettings and own == bool(table.get("use")):
            problems.append(f"{where} needs either use, or questions and answer")
    return tuple(read)


def _check_sweep(values: dict[str, Any], problems: list[str]) -> None:
    lengths = {name: len(value) for name, value in values.items() if isinstance(value, tuple) and value}
    if {"epochs", "iters"} <= set(lengths):
        problems.append("sweep.epochs and sweep.iters both say how long to train; keep one")
    if values.get("combine") == "list" and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        problems.append(f"sweep.combine: the lists of a `list` must be equally long, not {counts}")


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
    if get_origin(hint) is Mapping:
        inner = get_args(hint)[1]
        found = {key: _convert(item, inner) for key, item in value.items()} if isinstance(value, dict) else {"": None}
        return None if None in found.values() else found
    if get_origin(hint) is tuple:
        items = [_convert(item, get_args(hint)[0]) for item in value] if isinstance(value, list) else [None]
        return None if None in items else tuple(items)
    if isinstance(value, bool):
        return value if hint is bool else None
    if hint is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, hint) else None


def _check_bounds(value: Any, metadata: Any) -> str | None:
    low, high, choices = metadata["low"], metadata["high"], metadata["choices"]
    if choices and not set(value if isinstance(value, tuple) else (value,)) <= set(choices):
        return "one of " + ", ".join(str(choice) for choice in choices)
    if isinstance(value, tuple):
        return next((problem for item in value if (problem := _check_bounds(item, metadata))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if (low is not None and value < low) or (high is not None and value > high):
        return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
    return None


def _describe(hint: Any) -> str:
    if get_origin(hint) is Mapping:
        return f"a table whose values are each {_describe(get_args(hint)[1])}"
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        kinds = {int: "whole numbers", float: "numbers", str: "texts"}
        return f"a list of {kinds.get(inner, 'lists of texts')}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[hint]


def _suggest(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
