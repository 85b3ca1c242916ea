"""What a version written by hand stands for: its golden hashes move when it moves, and only then.

A stage takes what it made before for current as long as its version stays. So where it makes something else of the same
input, the version must be raised; then `make test ARGS="tests/test_golden.py --update-golden"` writes the hashes anew.
The input is fixed: the sources of the sample course, and for what follows from documents the text that was extracted
from some of them once, `golden/course.jsonl`, which does not change with the readers.
"""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlx_tutor.dataset.build import MAKER, build_dataset, cut_chunks, find_gaps
from mlx_tutor.dataset.messages import has_format
from mlx_tutor.dataset.teacher.evidence import number_sentences
from mlx_tutor.dataset.teacher.examples import TeacherRows, check_reply, write_pairs
from mlx_tutor.dataset.teacher.replies import Reply as TeacherReply
from mlx_tutor.dataset.teacher.subjects import Subject
from mlx_tutor.evaluation.answers import Question, Reply
from mlx_tutor.evaluation.evaluate import MEASURER
from mlx_tutor.evaluation.guards import SourceText, list_guards, summarize_guards
from mlx_tutor.evaluation.learned import Knowledge, find_common, list_facts, measure_said, pick_options, sort_facts
from mlx_tutor.evaluation.measure import compare_samples, compare_style, compare_teaching
from mlx_tutor.evaluation.metrics import make_samples
from mlx_tutor.evaluation.teaching import CourseText
from mlx_tutor.extract.extract import EXTRACTOR, read_documents, read_source
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.files import hash_file, hash_value, read_json, write_json
from mlx_tutor.fuse.fuse import FUSER, fuse_run
from mlx_tutor.gguf.convert import VERSION, convert_gguf
from mlx_tutor.models import load_tokenizer
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.records import Message
from mlx_tutor.settings import FuseSettings
from mlx_tutor.study.exam.record import FORMAT, hash_entry, make_code, write_line
from mlx_tutor.study.search.index import INDEX_VERSION, build_index, find_index
from mlx_tutor.training.batches import TokenRow, iterate_batches
from mlx_tutor.training.monitor import Metric
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.training.train import TRAINER
from mlx_tutor.workspace import Course
from tests.gguf.factory import make_gguf
from tests.model_factory import make_model
from tests.training.runs import SETTINGS, make_rows, train

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
RECIPE = """
[course]
subject = "data science"
grade_level = "undergraduate"
system_prompt = "You are a tutor."
"""
# One more of everything that rows are made of beside the text of the course.
MORE = """
[dataset]
general = 0.05
refusals = 0.05
tell_style = true
section_share = 0.1
holdout = ["business-statistics.pdf"]

[[dataset.import]]
path = "questions.csv"

[[dataset.template]]
path = "courses.csv"
use = "catalogue"
"""
QUESTIONS = "question,answer\n" + "".join(
    f"How many {noun} are in box {i}?,There are {i + 2} {noun} in box {i} of the cellar.\n"
    for i, noun in enumerate("apples pears plums nuts figs dates limes grapes".split())
)
COURSES = "title,instructor,prerequisites\n" + "".join(
    f"{topic} for beginners,Doctor {topic}son,{'none' if i % 2 else 'Algebra'}\n"
    for i, topic in enumerate("Baking Sailing Weaving Mining Singing Rowing".split())
)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course whose documents never change."""
    course = Course(tmp_path, "golden")
    course.dataset.mkdir(parents=True)
    shutil.copy(GOLDEN / "course.jsonl", course.dataset / "documents.jsonl")
    (course.root / "questions.csv").write_text(QUESTIONS)
    (course.root / "courses.csv").write_text(COURSES)
    return course


def load(course: Course, text: str = "") -> Recipe:
    course.recipe.write_text(RECIPE + text)
    return load_recipe(course.recipe)


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


def hash_documents(course: Course) -> dict[str, str]:
    """Of each source of the sample course, what is read in it."""
    known = list_sources(Course(ROOT, "sample")).known
    read = {name: read_source(path, name)[1] for name, path in known.items()}
    return {name: hash_value(document and document.to_row()) for name, document in read.items()}


def teach(course: Course, recipe: Recipe) -> TeacherRows:
    """What a teacher wrote who quotes the first words of every piece."""
    pairs = {}
    for chunk in cut_chunks(read_documents(course), recipe):
        start = " ".join(number_sentences(chunk)[0].text.split()[:6])
        reply = f"KIND: what\nQ: What does this part say?\nQ: Why does it matter?\nSTEP: Read it.\nA: {start}\nFROM: 1"
        items, _ = check_reply(TeacherReply(reply), Subject(chunk, (chunk,)), recipe.teacher)
        pairs[chunk] = [pair for kept in items for pair in write_pairs(kept)]
    return TeacherRows(pairs)


def hash_rows(course: Course) -> dict[str, str]:
    """The files of a dataset: of the text alone, with gaps filled, with a teacher, and with all that can be added."""
    plain, more = load(course), load(course, MORE)
    wide = replace(plain, dataset=replace(plain.dataset, gap_rows=12))
    builds: dict[str, tuple[Recipe, dict[str, Any]]] = {
        "text": (plain, {}),
        "gaps": (wide, {"thin": find_gaps(course, wide, count_words)}),
        "teacher": (plain, {"taught": teach(course, plain)}),
        "more": (more, {}),
    }
    found = {}
    for name, (recipe, arguments) in builds.items():
        build_dataset(course, recipe, count_words, "tokenizer", **arguments)
        for split in ("train", "valid", "test", "dropped"):
            found[f"{name}, {split}"] = hash_file(course.dataset / f"{split}.jsonl")
    return found


def hash_index(course: Course) -> dict[str, str]:
    """The passages of the search index, and at which place of which passage each of its words stands."""
    build_index(course)
    with closing(sqlite3.connect(find_index(course))) as connection:
        connection.execute("CREATE VIRTUAL TABLE temp.placed USING fts5vocab(main, words, instance)")
        connection.execute("CREATE VIRTUAL TABLE temp.spelt USING fts5vocab(main, spellings, instance)")
        tables = {
            "passages": "SELECT * FROM passages ORDER BY id",
            "words": "SELECT * FROM placed ORDER BY doc, col, offset, term",
            "spellings": "SELECT * FROM spelt ORDER BY doc, col, offset, term",
        }
        return {name: hash_value(connection.execute(query).fetchall()) for name, query in tables.items()}


def read_terms(course: Course) -> dict[str, str]:
    """Some sentences of the course, each under a name."""
    texts = [block.text for document in read_documents(course) for s in document.sections for block in s.blocks]
    return {f"idea {i}": text.split(". ")[0] for i, text in enumerate(text for text in texts if "." in text[20:])}


def write_row(term: str, text: str) -> dict[str, Any]:
    question, answer = f"What is {term}?", f"{term.capitalize()} is this: {text}."
    turns = [
        {"role": "system", "content": "Tutor."},
        {"role": "user", "content": question},
        {"role": "assistant", "content": f"Answer: {answer}\n\nRelated concepts:\n- {term}"},
    ]
    qa = {"question": question, "answer": answer, "type": "concept", "context": ""}
    return {"messages": turns, "qa_pair": qa, "origin": {"source": "a.md", "section": 0, "heading": []}}


def hash_measures(course: Course) -> dict[str, str]:
    """What is measured of answers that never change, and what models are asked; figures to six digits."""
    terms = read_terms(course)
    rows = [write_row(*item) for item in list(terms.items())[:48]]
    facts = list_facts({"train": rows[:40], "valid": [], "test": rows[40:]})
    sources = [text for document in read_documents(course) for text in (s.text for s in document.sections)]
    texts = list(terms.values())
    tokens = TokenRow((1, 2, 3, 4), 2)
    questions = []
    for line, row in enumerate(rows, 1):
        *messages, last = row["messages"]
        prompt: list[Message] = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
        questions.append(Question(line, tuple(prompt), last["content"], tokens))
    replies = {
        "base": [Reply(f"{texts[i + 1]}. I am not sure.", 20 + i, "stop") for i in range(len(rows))],
        "adapter": [Reply(f"Answer: {texts[i]}.", 9, "length" if i % 7 == 0 else "stop") for i in range(len(rows))],
    }
    losses = np.arange(4.0 * len(rows)).reshape(-1, 4) % 11 + 1
    samples = {name: make_samples(questions, found, losses, has_format) for name, found in replies.items()}
    text = CourseText(sources, "undergraduate", lambda text: tuple(text.split()[:2]), lambda answer, question: (1, 2))
    guards = list_guards(facts, sources, 6, 0)
    given = [Reply(sources[i % len(sources)], 9, "stop") for i in range(len(guards))]
    common = find_common(facts)
    said = [measure_said(texts[i], fact, common) for i, fact in enumerate(facts)]
    before, after = ([Knowledge((i % n - 1.0,), said[i], "") for i in range(len(facts))] for n in (3, 4))
    found: dict[str, Any] = {
        "measures": compare_samples(samples, 0),
        "style": compare_style(replies, [question.reference for question in questions]),
        "teaching": compare_teaching(text, questions, replies, 0),
        "facts": [asdict(fact) for fact in facts],
        "options": [pick_options(facts, i) for i in range(len(facts))],
        "learned": sort_facts(facts, before, after),
        "guards": [asdict(guard) for guard in guards],
        "refused": summarize_guards(guards, given, np.arange(float(len(guards))), ["I only know"], SourceText(sources)),
    }
    return {name: hash_value(round_numbers(value)) for name, value in found.items()}


def round_numbers(value: Any) -> Any:
    """A value for JSON with six digits of each fraction: the last ones differ from machine to machine."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return {str(key): round_numbers(item) for key, item in value.items()}
    return [round_numbers(item) for item in value] if isinstance(value, list | tuple) else value


def hash_record(course: Course) -> dict[str, str]:
    """An entry of an exam's record as it is written, with its hash and its code."""
    entry = {"exam": "e", "number": 1, "time": "t", "seconds": 0.5, "kind": "start", "data": {"é": [1]}, "before": ""}
    head = hash_entry(entry)
    return {"entry": hash_value([write_line(entry), head, make_code(head)])}


def hash_training(course: Course) -> dict[str, str]:
    """The batches of a training, the rates of its steps, and its losses to a tenth: machines differ behind that."""
    base = make_model(course.root / "model")
    rows = tokenize_rows(make_rows(40), load_tokenizer(base), 256).rows
    batches: list[Any] = []

    def note(indices: Sequence[int], weight: float) -> bool:
        batches.append([list(indices), weight])
        return len(batches) < 30

    for _ in iterate_batches(rows, 4, 256, loop=True, seed=3, on_batch=note):
        pass
    seen: list[Metric] = []
    settings = replace(SETTINGS, learning_rate=1e-2, iters=20, grad_accumulation_steps=2, steps_per_report=1)
    _, report = train(course.workspace, base, settings, on_event=seen.append)
    steps = [[metric["iteration"], metric["learning_rate"]] for metric in seen if metric["kind"] == "train"]
    losses = [f"{loss:.1f}" for loss in (report.base_loss, report.best_loss, report.train_loss or 0.0)]
    found = {"batches": batches, "rates": steps, "losses": [*losses, report.best_iteration, report.trained_parameters]}
    return {name: hash_value(round_numbers(value)) for name, value in found.items()}


def hash_fused(course: Course) -> dict[str, str]:
    """Which sizes were tried for an adapter that 4 bits lose, and what each came to, to a tenth."""
    base = make_model(course.root / "model")
    run, _ = train(course.workspace, base, replace(SETTINGS, learning_rate=1e-5, iters=4))
    recipe = Recipe(train=SETTINGS, fuse=FuseSettings())
    report = fuse_run(run, base, recipe, make_rows(22), make_rows(3, start=22), lambda message: None)
    trials = [[trial.bits, trial.layers, f"{trial.loss:.1f}", f"{trial.top1:.1f}"] for trial in report.tried]
    return {"trials": hash_value(round_numbers(trials)), "layers": hash_file(run.fused / "config.json")}


def hash_converted(course: Course) -> dict[str, str]:
    """The weights, configuration and tokens that files of several types become."""
    found = {}
    for architecture, kind in (("qwen2", "Q4_0"), ("llama", "Q6_K"), ("qwen3", "Q8_0"), ("qwen2", "Q2_K")):
        name = f"{architecture}, {kind}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(course.root / name))
            folder = convert_gguf(make_gguf(course.root / "model.gguf", architecture, kind))
        found[name] = hash_value(
            [
                *(hash_file(folder / file) for file in ("model.safetensors", "config.json")),
                load_tokenizer(folder).encode("<|im_start|>user\nWhat does the mean tell?<|im_end|>"),
            ]
        )
    return found


CASES: dict[str, tuple[str, int, Callable[[Course], dict[str, str]]]] = {
    "documents": ("extract/extract.py: EXTRACTOR", EXTRACTOR, hash_documents),
    "rows": ("dataset/build.py: MAKER", MAKER, hash_rows),
    "index": ("study/search/index.py: INDEX_VERSION", INDEX_VERSION, hash_index),
    "training": ("training/train.py: TRAINER", TRAINER, hash_training),
    "fused": ("fuse/fuse.py: FUSER", FUSER, hash_fused),
    "gguf": ("gguf/convert.py: VERSION", VERSION, hash_converted),
    "measures": ("evaluation/evaluate.py: MEASURER", MEASURER, hash_measures),
    "record": ("study/exam/record.py: FORMAT", FORMAT, hash_record),
}


@pytest.mark.parametrize("name", CASES)
def test_a_hash_moves_with_its_version_and_only_with_it(name: str, course: Course, update_golden: bool) -> None:
    where, version, compute = CASES[name]
    path, hashes = GOLDEN / f"{name}.json", compute(course)
    golden = read_json(path) if path.is_file() else {"version": None, "sha256": {}}
    moved = sorted(part for part in {**hashes, **golden["sha256"]} if hashes.get(part) != golden["sha256"].get(part))
    if golden["version"] == version:
        assert not moved, f"{', '.join(moved)}: other {name} of the same input. Raise {where}, then --update-golden."
    elif update_golden:
        write_json(path, {"version": version, "sha256": hashes})
    else:
        pytest.fail(f"{where} is {version}, and the golden hashes are of {golden['version']}. Run --update-golden.")
