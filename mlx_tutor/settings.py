"""The settings of a course: one frozen dataclass for each section of a recipe, with meanings and bounds.

Training words are mlx-lm's own.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mlx_tutor.languages.detect import NAMES

SYSTEM_PROMPT = (
    "You are a patient tutor for this course. Explain in small steps, give a short answer, "
    "and name related concepts. Say so when the course does not cover a question."
)

LANGUAGES = tuple(NAMES)
TEMPLATES = ("catalogue",)
# Fields of an imported row.
COLUMNS = (
    "question", "answer", "context", "category", "text", "messages", "subject", "grade_level", "teaching_style"
)  # fmt: skip


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
        "step by step",
        "how it is taught; `socratic`, `steps`, `direct`, `analogy` and `inquiry` also begin a chat in that style",
    )
    language: str = setting(
        "",
        "language of the default system prompt and of what stands around answers and passages; empty: the one that "
        "most of the course is in",
        choices=("", *LANGUAGES),
    )
    system_prompt: str = setting(
        SYSTEM_PROMPT,
        "who the tutor is; the same in training, compare and chat; the default is in the course's language",
    )
    allow_code: bool = setting(
        True, "false: the system prompt asks for none, rows with code are left out, and so is code in answers"
    )


@dataclass(frozen=True, slots=True)
class ModelSettings:
    base: str = setting(
        "smollm2", "`smollm2`, a model folder, a GGUF file, a model of the Hugging Face Hub, or `starter`, for tests"
    )
    thinking: bool = setting(
        False, "steps go into `<think>` before the answer, in training and in answers; for bases that can, as Qwen3"
    )


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """One `[[dataset.import]]`: rows that somebody else made."""

    path: str = setting(
        "", "a .csv, .tsv, .json, .jsonl or .parquet file, or flash cards; a relative path begins at the recipe"
    )
    hub: str = setting("", "instead of `path`: a dataset of the Hugging Face Hub, fetched with `mlx-tutor pull --data`")
    config: str = setting("", "the configuration of the Hub dataset, where it has several")
    split: str = setting("train", "the split of the Hub dataset")
    rows: int = setting(0, "at most so many rows, counted after the filters; 0: all", low=0)
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
    valid: float = setting(0.1, "share of the sections kept for validation", low=0.001, high=0.4)
    test: float = setting(
        0.1,
        "share of the sections kept for the test; 0: none, and `evaluate` measures validation rows",
        low=0.0,
        high=0.4,
    )
    section_share: float = setting(0.25, "largest share of the mined rows that one section may have", low=0.0, high=1.0)
    page_share: float = setting(0.25, "largest share of them that one page or cell may have", low=0.0, high=1.0)
    method_share: float = setting(0.6, "largest share of them that one method may have", low=0.0, high=1.0)
    sentence_share: float = setting(
        0.16, "largest share of tasks about one sentence: completions and titles", low=0.0, high=1.0
    )
    code_share: float = setting(
        1.0, "largest share of rows that hold code; 0: none, though answers may; see `course.allow_code`",
        low=0.0, high=1.0,
    )  # fmt: skip
    passages: int = setting(
        4, "passages that a row quotes at most, the right one among those that search finds, and that `ask` gives the "
        "model at most; rows quote as many as fit into `train.max_seq_length`; 1: the right one alone",
        low=1, high=8,
    )  # fmt: skip
    unanswerable: float = setting(
        0.15, "share of them that lack the right one and are answered with what is missing", low=0.0, high=0.5
    )
    gap_rows: int = setting(3, "sections with fewer rows get more with `mlx-tutor build --fill-gaps`", low=1)
    holdout: tuple[str, ...] = setting(
        (),
        "files such as past exams: kept out of training, with what repeats them, of search and quiz; their rows are "
        "the test",
    )
    general: float = setting(0.0, "general instruction rows per training row of the course", low=0.0, high=1.0)
    refusals: float = setting(
        0.0, "rows per row of the course that ask for something else and are told what the tutor is for; none where "
        "the course's language has no table",
        low=0.0, high=0.5,
    )  # fmt: skip
    tell_style: bool = setting(
        False, "say in the system prompt how a row teaches, and its level where that is not the course's"
    )
    imports: tuple[ImportSettings, ...] = tables("import")
    templates: tuple[TemplateSettings, ...] = tables("template")

    def __post_init__(self) -> None:
        # Normalized as the names of sources are, whatever Unicode form the editor wrote.
        object.__setattr__(self, "holdout", tuple(unicodedata.normalize("NFC", name) for name in self.holdout))


@dataclass(frozen=True, slots=True)
class TrainSettings:
    fine_tune_type: str = setting(
        "lora",
        "`lora`, or `dora`, which learns the length of each weight row separately and is slower",
        choices=("lora", "dora"),
    )
    rank: int = setting(8, "rank of the adapter", low=1, high=1024)
    scale: float = setting(20.0, "factor on the adapter's output (`alpha` = scale * rank)", low=0.0)
    dropout: float = setting(0.0, "share of adapter inputs dropped in training", low=0.0, high=0.9)
    keys: tuple[str, ...] = setting((), "layers that get an adapter, as `self_attn.q_proj`; empty: all linear layers")
    num_layers: int = setting(16, "adapted blocks, counted from the last; -1: all", low=-1)
    batch_size: int = setting(4, "rows a step, on average: steps have about the same number of answer tokens", low=1)
    iters: int = setting(600, "training steps; Ctrl-C keeps the best, and the next `train` goes on", low=1)
    epochs: float = setting(0.0, "passes over the rows, instead of `iters`; 0: `iters` counts", low=0.0)
    learning_rate: float = setting(1e-4, "peak of the schedule", low=1e-8, high=1.0)
    warmup: int = setting(20, "steps of linear warm-up before the cosine", low=0)
    weight_decay: float = setting(0.01, "weight decay of AdamW", low=0.0)
    max_seq_length: int = setting(1024, "longest row in tokens; longer ones are dropped and counted", low=32)
    mask_prompt: bool = setting(True, "learn the answers only, not the questions")
    distill: float = setting(
        0.0,
        "for rows asked without a passage: share of the target that is what the base itself says with the passage in "
        "view (prompt distillation); the rest is the answer of the row",
        low=0.0, high=1.0,
    )  # fmt: skip
    grad_checkpoint: bool = setting(
        False, "recompute activations, for less memory, on all batches; false: on those that would not fit otherwise"
    )
    cache_gb: float = setting(
        4.0, "disk space for what the frozen layers make of each row; 0: it is computed again in each pass", low=0.0
    )
    grad_accumulation_steps: int = setting(1, "steps summed into one update", low=1)
    steps_per_report: int = setting(10, "steps between two reports", low=1)
    steps_per_eval: int = setting(50, "steps between two validations", low=1)
    val_batches: int = setting(
        25, "validation batches of `batch_size` rows, always the same, spread over the split; -1: all", low=-1
    )
    test_batches: int = setting(500, "the same for the losses of `evaluate`, of the test rows; -1: all", low=-1)
    steps_per_save: int = setting(50, "steps between two checkpoints, from which a killed training goes on", low=1)
    patience: int = setting(5, "validations without a better loss before training ends", low=1)
    min_gain: float = setting(0.0, "nats by which a loss must fall to count as better for `patience`", low=0.0)
    report_to: str = setting("", "`tensorboard`, `wandb` or `swanlab`, or several, with commas between")
    seed: int = setting(0, "seed of weights, dropout and row order", low=0)


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
    bits: int = setting(0, "bits of layers with an adapter; 0: as few as keep the training", choices=(0, 4, 5, 6, 8))
    dequantize: bool = setting(False, "write full-precision weights")
    target: float = setting(0.99, "least share of the training that the fused model must keep", low=0.0, high=1.0)
    top1: float = setting(0.98, "least share of tokens on which fused model and adapter agree", low=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    max_tokens: int = setting(400, "longest answer", low=1)
    temp: float = setting(0.0, "temperature; 0: the same answer every time", low=0.0, high=5.0)
    top_p: float = setting(1.0, "nucleus sampling, at a temperature above 0", low=0.0, high=1.0)
    repetition_penalty: float = setting(
        1.0, "above 1: repeated words become less likely, those of the passage too", low=1.0, high=2.0
    )
    stop_repetition: bool = setting(True, "end an answer that says the same thing for the third time")
    seed: int = setting(0, "seed of sampling", low=0)


@dataclass(frozen=True, slots=True)
class RateSettings:
    criteria: tuple[str, ...] = setting(
        ("help", "tone", "clarity", "adherence"), "what each answer gets 1 to 5 for in `mlx-tutor rate`"
    )


@dataclass(frozen=True, slots=True)
class ServeSettings:
    log_questions: bool = setting(
        False, "keep the questions asked at `mlx-tutor serve`, without names, for `mlx-tutor monitor --questions`"
    )
    cached_answers: int = setting(
        200, "answers that `serve` keeps in memory, for questions asked again; 0: none; never in exams", low=0
    )


@dataclass(frozen=True, slots=True)
class SearchSettings:
    semantic: bool = setting(
        True,
        "find what is asked in other words than the course's, in English courses, where the package wordllama is "
        "installed (the extra `semantic`)",
    )


# Of two neighbouring sections together.
CONNECT = "connect"
TEACHER_KINDS = (
    "what", "why", "how", "compare", "apply", "what-if", "misconception", "code", "relation", "explain", CONNECT
)  # fmt: skip


# In front of a model that teaches in this process; the base itself goes by SELF.
LOCAL, SELF = "mlx:", "self"


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    model: str = setting(
        "",
        "who writes further rows: a model of the endpoint, `mlx:` and a model as in `model.base`, or `self` for "
        "`model.base` itself; empty: nobody",
    )
    base_url: str = setting(
        "", "the OpenAI-compatible endpoint, as `http://localhost:1234/v1`; not used with `mlx:` and `self`"
    )
    key_env: str = setting("", "environment variable that holds its key; empty: it needs none")
    kinds: tuple[str, ...] = setting(TEACHER_KINDS, "kinds of questions", choices=TEACHER_KINDS)
    kinds_at_once: int = setting(
        0,
        "kinds asked for in one request; 0: all of them at an endpoint, one of a model in this process",
        low=0,
        high=11,
    )
    wordings: int = setting(5, "ways to ask for each fact, a row each", low=1, high=10)
    judge: int = setting(0, "rows that the teacher rates below this, of 10, are dropped; 0: no rating", low=0, high=10)
    temperature: float = setting(0.7, "temperature of its replies", low=0.0, high=2.0)
    max_tokens: int = setting(4096, "longest reply, its thoughts included", low=64)
    concurrency: int = setting(8, "requests at the same time; in this process, answers in a batch", low=1, high=64)
    timeout: float = setting(180.0, "seconds to wait for a reply", low=1.0)
    price_in: float = setting(0.0, "price of a million tokens of requests", low=0.0)
    price_out: float = setting(0.0, "price of a million tokens of replies", low=0.0)
    budget_tokens: int = setting(0, "limit on the tokens spent on a course; 0: none", low=0)
    budget_cost: float = setting(0.0, "limit on what they cost, by the two prices; 0: none", low=0.0)

    def to_inputs(self) -> dict[str, Any] | None:
        """What the rows depend on; not where the model answers, nor how fast."""
        elsewhere = ["base_url", "key_env", "concurrency", "timeout"]
        elsewhere += [] if self.budget_cost else ["price_in", "price_out"]
        return {key: value for key, value in asdict(self).items() if key not in elsewhere} if self.model else None


@dataclass(frozen=True, slots=True)
class ExamSettings:
    allow_code: bool = setting(True, "show code in answers in exam mode; false: replace it by a note")


@dataclass(frozen=True, slots=True)
class GateSettings:
    loss: float = setting(
        0.0, "least share of the base's test loss that training must take away; 0: it must be no worse, -1: off",
        low=-1.0, high=1.0,
    )  # fmt: skip
    learned: float = setting(0.0, "least share of the facts asked that must be known; 0: off", low=0.0, high=1.0)
    unlearned: float = setting(
        1.0, "largest share of the facts known before that may be lost; 1: off", low=0.0, high=1.0
    )
    forgotten: float = setting(
        1.0,
        "largest share of the base's right answers to general questions that may be lost; 1: off",
        low=0.0,
        high=1.0,
    )
    refused: float = setting(
        0.0, "least share of outside, unanswerable and false questions that must be refused; 0: off", low=0.0, high=1.0
    )
    overrefused: float = setting(
        1.0, "largest share of the course's questions that may be refused; 1: off", low=0.0, high=1.0
    )
    code: float = setting(
        1.0, "largest share of answers that may hold code, before it is left out; 1: off", low=0.0, high=1.0
    )
    copied_words: int = setting(0, "longest word-for-word run of source text in an answer; 0: off", low=0)
    copied: float = setting(
        1.0, "largest share of 8-grams of answers that may be in the sources; 1: off", low=0.0, high=1.0
    )
    repetition: float = setting(
        1.0, "largest share of repeated 4-grams in answers to test questions; 1: off", low=0.0, high=1.0
    )
    grounded: float = setting(
        0.0, "least share of statements in those answers that the course must support; 0: off", low=0.0, high=1.0
    )
