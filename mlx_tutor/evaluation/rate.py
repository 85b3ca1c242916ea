"""Blind rating: two answers to each prompt, in an order that only the journal knows, scored 1 to 5 by criterion.

Every score is in `journal.sqlite` as soon as it is given, so that a rater can stop at any time. What happens between
two scores is up to the caller, a terminal or a web page: pick_pair, store_score, store_skip, step_back.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import mlx.core as mx

from mlx_tutor.errors import DatasetError, RecipeError, TutorError
from mlx_tutor.evaluation.answers import Reply, generate_replies
from mlx_tutor.evaluation.prompts import Prompt
from mlx_tutor.files import hash_sample, hash_text, hash_value
from mlx_tutor.journal import open_journal
from mlx_tutor.models import context_length, hash_model, load_spec, render_prompt
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.workspace import Course

Side = Literal["base", "tuned"]
SIDES: tuple[Side, Side] = ("base", "tuned")
LOWEST, HIGHEST = 1, 5

# A contest is a ModelPair, by its key; the journals of earlier versions have the column.
SCHEMA = """
CREATE TABLE IF NOT EXISTS rated_pairs (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    contest TEXT NOT NULL,
    prompt TEXT NOT NULL,
    task TEXT NOT NULL,
    messages TEXT NOT NULL,
    source TEXT,
    section INTEGER,
    label TEXT NOT NULL,
    base TEXT NOT NULL,
    tuned TEXT NOT NULL,
    made TEXT NOT NULL,
    UNIQUE (run, contest, messages)
);
CREATE TABLE IF NOT EXISTS rated_contests (
    run TEXT PRIMARY KEY,
    contest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rated_orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    pair INTEGER NOT NULL REFERENCES rated_pairs (id),
    rater TEXT NOT NULL,
    first TEXT NOT NULL CHECK (first IN ('base', 'tuned')),
    skipped INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pair, rater)
);
CREATE TABLE IF NOT EXISTS ratings (
    pair INTEGER NOT NULL REFERENCES rated_pairs (id),
    rater TEXT NOT NULL,
    model TEXT NOT NULL CHECK (model IN ('base', 'tuned')),
    criterion TEXT NOT NULL,
    score INTEGER NOT NULL CHECK (score BETWEEN 1 AND 5),
    rated TEXT NOT NULL,
    PRIMARY KEY (pair, rater, model, criterion)
);
"""
_open = partial(open_journal, schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class ModelPair:
    """Which two models of a run are rated against each other, with which settings; `tuned` is its adapter or fused.

    Answers of one pair of models are never mixed with those of another: a run that was
    fused again is a new pair.
    """

    run: str
    base: ModelSpec
    tuned: ModelSpec
    settings: GenerateSettings

    @property
    def key(self) -> str:
        """Fingerprint of both models and the settings; answers are at temperature 0, so sampling is not in it."""
        adapter = None if self.tuned.adapter is None else hash_sample(self.tuned.adapter / "adapters.safetensors")
        settings = [self.settings.max_tokens, self.settings.repetition_penalty]
        return hash_value([hash_model(self.base.path), [hash_model(self.tuned.path), adapter], settings])


@dataclass(frozen=True, slots=True)
class BlindPair:
    """A pair as a rater may see it: nothing here says whose answer is which.

    `scores` maps (0 or 1 for the answer, criterion) to what this rater gave before. `done` and `total` count pairs.
    """

    pair: int
    question: str
    answers: tuple[str, str]
    scores: Mapping[tuple[int, str], int]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """All scores of one rater for one pair.

    `scores` maps base and tuned to criterion to score; the answer of `first` was shown first.
    """

    pair: int
    rater: str
    first: Side
    scores: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt with both answers. `label` is adapter or fused: what `tuned` is."""

    id: int
    prompt: str
    task: str
    messages: list[dict[str, str]]
    label: str
    base: str
    tuned: str

    @property
    def question(self) -> str:
        """The last turn of the user."""
        return self.messages[-1]["content"]


def check_criteria(criteria: Sequence[str]) -> tuple[str, ...]:
    """`rate.criteria` of the recipe; raises RecipeError when they are none or not distinct."""
    names = tuple(name.strip() for name in criteria)
    if not names or not all(names) or len(set(names)) < len(names):
        raise RecipeError('rate.criteria must be distinct names, at least one, as ["help", "clarity"].')
    return names


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def prepare_pairs(
    course: Course,
    models: ModelPair,
    prompts: Sequence[Prompt],
    on_progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> int:
    """Let both models answer the prompts that have no answers yet; returns how many pairs are new.

    From then on, these two are rated. Answers are at temperature 0, several at once. A pair of answers is in the
    journal only when both are there.

    Args:
        on_progress: Called with "answers", how many are there and how many there will be; it must not name the model.

    Raises:
        DatasetError: a prompt that fills the context of a model.
    """
    key = models.key
    with _open(course) as connection:
        found = connection.execute(
            "SELECT messages FROM rated_pairs WHERE run = ? AND contest = ?", (models.run, key)
        ).fetchall()
    known = {row["messages"] for row in found}
    missing = list({text: prompt for prompt in prompts if (text := _write_messages(prompt)) not in known}.items())
    asked = [prompt for _, prompt in missing]
    replies: list[list[Reply]] = [[], []]
    for number, model in enumerate((models.base, models.tuned) if asked else ()):
        replies[number] = _answer(model, models.settings, asked, number * len(asked), on_progress)
    with _open(course) as connection:
        connection.execute("INSERT OR REPLACE INTO rated_contests (run, contest) VALUES (?, ?)", (models.run, key))
        connection.executemany(
            "INSERT OR IGNORE INTO rated_pairs (run, contest, prompt, task, messages, source, section, label, base, "
            "tuned, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(models.run, key, prompt.id, prompt.task, text, *(prompt.place or (None, None))),
                    *(models.tuned.label, base.text, tuned.text, _now()),
                )
                for (text, prompt), base, tuned in zip(missing, *replies, strict=True)
            ],
        )
    return len(asked)


def _write_messages(prompt: Prompt) -> str:
    return json.dumps(list(prompt.messages), ensure_ascii=False)


def _answer(
    model: ModelSpec,
    settings: GenerateSettings,
    prompts: Sequence[Prompt],
    before: int,
    on_progress: Callable[[str, int, int], None],
) -> list[Reply]:
    on_progress("answers", before, 2 * len(prompts))
    loaded = load_spec(model)
    tokens = [render_prompt(loaded.tokenizer, prompt.messages) for prompt in prompts]
    context = context_length(loaded.config)
    for prompt, rendered in zip(prompts, tokens, strict=True):
        if len(rendered) >= context:
            raise DatasetError(
                f"Prompt {prompt.id} is {len(rendered)} tokens long, and the model's context holds {context}. "
                "Shorten it, or leave it out."
            )
    replies: dict[int, Reply] = {}

    def keep(index: int, reply: Reply) -> None:
        replies[index] = reply
        on_progress("answers", before + len(replies), 2 * len(prompts))

    generate_replies(loaded, tokens, settings, keep)
    del loaded
    mx.clear_cache()
    return [replies[index] for index in range(len(prompts))]


def has_pairs(course: Course, models: ModelPair) -> bool:
    """Whether these two models have any answers to rate."""
    with _open(course) as connection:
        query = "SELECT 1 FROM rated_pairs WHERE run = ? AND contest = ?"
        return connection.execute(query, (models.run, models.key)).fetchone() is not None


def read_pairs(course: Course, run: str) -> list[Pair]:
    """The answers of the two models of a run that were prepared last, in the order in which they were made."""
    with _open(course) as connection:
        rows = _list_pairs(connection, run)
    return [
        Pair(r["id"], r["prompt"], r["task"], json.loads(r["messages"]), r["label"], r["base"], r["tuned"])
        for r in rows
    ]


def _list_pairs(connection: sqlite3.Connection, run: str) -> list[sqlite3.Row]:
    query = "SELECT rated_pairs.* FROM rated_pairs JOIN rated_contests USING (run, contest) WHERE run = ? ORDER BY id"
    return connection.execute(query, (run,)).fetchall()


def pick_pair(course: Course, run: str, rater: str, criteria: Sequence[str]) -> BlindPair | None:
    """The next pair that this rater has not scored in full and has not skipped; None when there is none.

    Each rater gets the pairs in an order of their own. Which answer comes first is drawn when a pair is first shown,
    recorded, and stays. A pair that was begun comes first.
    """
    with _open(course) as connection:
        pairs = _list_pairs(connection, run)
        given = {pair["id"]: _read_scores(connection, pair["id"], rater) for pair in pairs}
        shown = _read_orders(connection, rater)
        open_pairs = [
            pair["id"]
            for pair in pairs
            if not _is_whole(given[pair["id"]], criteria) and not (shown.get(pair["id"]) or {"skipped": 0})["skipped"]
        ]
        if not open_pairs:
            return None
        chosen = min(open_pairs, key=lambda pair: (not given[pair], hash_text(f"{rater} {pair}")))
        return _make_blind_pair(connection, run, chosen, rater, criteria)


def step_back(course: Course, run: str, rater: str, criteria: Sequence[str], pair: int | None) -> BlindPair | None:
    """The pair that this rater saw before `pair` (None: the last one), with its scores; None at the beginning."""
    with _open(course) as connection:
        ids = {row["id"] for row in _list_pairs(connection, run)}
        orders = {found: row for found, row in _read_orders(connection, rater).items() if found in ids}
        limit = orders[pair]["number"] if pair in orders else float("inf")
        earlier = [(row["number"], found) for found, row in orders.items() if row["number"] < limit]
        return _make_blind_pair(connection, run, max(earlier)[1], rater, criteria) if earlier else None


def store_score(course: Course, rater: str, pair: int, answer: int, criterion: str, score: int) -> None:
    """Keep one score, 1 to 5, for the first (0) or second (1) answer as it was shown; a later one replaces it.

    Raises:
        TutorError: not a score, or a pair that was never shown to this rater.
    """
    if not LOWEST <= score <= HIGHEST:
        raise TutorError(f"{score} is not a score. Give {LOWEST} to {HIGHEST}.")
    with _open(course) as connection:
        order = _read_orders(connection, rater).get(pair)
        if order is None:
            raise TutorError(f"Pair {pair} was never shown to {rater}. Ask for the next pair first.")
        first: Side = order["first"]
        side = first if answer == 0 else _other(first)
        connection.execute(
            "INSERT OR REPLACE INTO ratings (pair, rater, model, criterion, score, rated) VALUES (?, ?, ?, ?, ?, ?)",
            (pair, rater, side, criterion, score, _now()),
        )
        connection.execute("UPDATE rated_orders SET skipped = 0 WHERE pair = ? AND rater = ?", (pair, rater))


def store_skip(course: Course, rater: str, pair: int) -> None:
    """Leave a pair out until `restore_skipped`; its scores stay."""
    with _open(course) as connection:
        connection.execute("UPDATE rated_orders SET skipped = 1 WHERE pair = ? AND rater = ?", (pair, rater))


def restore_skipped(course: Course, run: str, rater: str) -> int:
    """Offer the pairs that this rater skipped once more, as a new session does; returns how many there are."""
    with _open(course) as connection:
        ids = [row["id"] for row in _list_pairs(connection, run)]
        skipped = [(pair, rater) for pair, row in _read_orders(connection, rater).items() if row["skipped"]]
        mine = [entry for entry in skipped if entry[0] in ids]
        connection.executemany("UPDATE rated_orders SET skipped = 0 WHERE pair = ? AND rater = ?", mine)
    return len(mine)


def read_judgements(course: Course, run: str, criteria: Sequence[str]) -> list[Judgement]:
    """What raters gave to the pairs of answers; only pairs that a rater scored in full, by these criteria."""
    with _open(course) as connection:
        rows = connection.execute(
            "SELECT ratings.*, rated_orders.first FROM ratings JOIN rated_orders USING (pair, rater) ORDER BY rated"
        ).fetchall()
        pairs = {row["id"] for row in _list_pairs(connection, run)}
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for row in rows:
        if row["pair"] in pairs and row["criterion"] in criteria:
            entry = found.setdefault((row["pair"], row["rater"]), {"first": row["first"], "base": {}, "tuned": {}})
            entry[row["model"]][row["criterion"]] = row["score"]
    return [
        Judgement(pair, rater, entry["first"], {side: entry[side] for side in SIDES})
        for (pair, rater), entry in found.items()
        if all(len(entry[side]) == len(set(criteria)) for side in SIDES)
    ]


def list_criteria(course: Course, run: str) -> list[str]:
    """The criteria by which the pairs were scored so far, in the order of their first score."""
    with _open(course) as connection:
        pairs = {row["id"] for row in _list_pairs(connection, run)}
        rows = connection.execute("SELECT pair, criterion FROM ratings ORDER BY rated").fetchall()
    return list(dict.fromkeys(row["criterion"] for row in rows if row["pair"] in pairs))


def _other(side: Side) -> Side:
    return "tuned" if side == "base" else "base"


def _read_orders(connection: sqlite3.Connection, rater: str) -> dict[int, sqlite3.Row]:
    rows = connection.execute("SELECT * FROM rated_orders WHERE rater = ?", (rater,)).fetchall()
    return {row["pair"]: row for row in rows}


def _read_scores(connection: sqlite3.Connection, pair: int, rater: str) -> dict[tuple[str, str], int]:
    rows = connection.execute("SELECT * FROM ratings WHERE pair = ? AND rater = ?", (pair, rater)).fetchall()
    return {(row["model"], row["criterion"]): row["score"] for row in rows}


def _is_whole(scores: Mapping[tuple[str, str], int], criteria: Sequence[str]) -> bool:
    return all((side, criterion) in scores for side in SIDES for criterion in criteria)


def _make_blind_pair(
    connection: sqlite3.Connection, run: str, pair: int, rater: str, criteria: Sequence[str]
) -> BlindPair:
    drawn = random.SystemRandom().choice(SIDES)
    connection.execute("INSERT OR IGNORE INTO rated_orders (pair, rater, first) VALUES (?, ?, ?)", (pair, rater, drawn))
    first: Side = _read_orders(connection, rater)[pair]["first"]
    sides = (first, _other(first))
    pairs = {row["id"]: row for row in _list_pairs(connection, run)}
    row, scores = pairs[pair], _read_scores(connection, pair, rater)
    done = sum(_is_whole(_read_scores(connection, other, rater), criteria) for other in pairs)
    return BlindPair(
        pair=pair,
        question=json.loads(row["messages"])[-1]["content"],
        answers=(row[sides[0]], row[sides[1]]),
        scores={
            (slot, criterion): scores[side, criterion]
            for slot, side in enumerate(sides)
            for criterion in criteria
            if (side, criterion) in scores
        },
        done=done,
        total=len(pairs),
    )
