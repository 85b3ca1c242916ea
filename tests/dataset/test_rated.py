"""Well-rated answers as rows: which are taken, where they go, and what they may not repeat."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlx_tutor.cli import cli
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.rated import RatedAnswer, pick_rated, read_rated
from mlx_tutor.evaluation.rate import SCHEMA
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Document, Example, Origin, QaPair, Section
from mlx_tutor.settings import CourseSettings, DatasetSettings
from mlx_tutor.stages.data import run_build
from mlx_tutor.stages.job import Options, open_job
from mlx_tutor.study.chat.thumbs import SCHEMA as THUMBS
from mlx_tutor.workspace import Course
from tests.commands.conftest import TERMS, make_course

CRITERIA = ("help", "tone")


def make_example(answer: str) -> Example:
    qa = QaPair("Which is it?", (), answer, "rated", ())
    return Example(
        write_messages(qa, CourseSettings(system_prompt="")),
        Origin("a.md", 0, None, None, (), "rating", answer),
        qa,
        {},
    )


@pytest.mark.parametrize(
    ("answer", "leaks"),
    [
        ("As we saw, the mode is the most frequent value.", True),
        ("Surely the slope of a line tells how steep it is at one point, no more.", True),
        ("The mode is the most usual value.", False),
        ("A slope of zero tells nothing.", False),
        # Training has these words too.
        ("In words: a mean is the sum divided by the count of it.", False),
    ],
)
def test_words_that_only_held_out_rows_have(answer: str, leaks: bool) -> None:
    both = "A mean is the sum divided by the count."
    held_out = ["The mode is the most frequent value.", "The slope of a line tells how steep it is.", both]
    splits = {"train": [make_example(both)], "valid": [], "test": [make_example(text) for text in held_out]}
    rated = [RatedAnswer(1, "What is asked?", answer, 5.0, None)]
    kept, dropped = pick_rated(rated, Recipe(), [], splits, lambda messages: 1)
    assert (len(kept), len(dropped)) == ((0, 1) if leaks else (1, 0))


def test_a_held_out_exam_is_not_learned_from_ratings() -> None:
    sentence = "The bootstrap draws many samples with replacement from the one sample that there is."
    exam = Document("exam.md", "", "Exam", (Section(("Part 1",), (Block("text", sentence),)),))
    splits = {"train": [make_example("Something else.")], "valid": [], "test": []}
    rated = [RatedAnswer(1, "What does it do?", f"Well: {sentence}", 5.0, None)]
    recipe = Recipe(dataset=DatasetSettings(holdout=("exam.md",)))
    assert len(pick_rated(rated, Recipe(), [exam], splits, lambda messages: 1)[0]) == 1
    kept, dropped = pick_rated(rated, recipe, [exam], splits, lambda messages: 1)
    assert not kept and [reason for _, reason in dropped] == ["rated, but repeats the holdout"]


@pytest.fixture
def course(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    """A course with rows, and room for ratings."""
    recipe = make_course(tmp_path, "demo", tiny_model) / "recipe.toml"
    recipe.write_text(f"{recipe.read_text()}\n[rate]\ncriteria = {json.dumps(CRITERIA)}\n")
    monkeypatch.chdir(tmp_path)
    assert invoke("extract").exit_code == 0 and invoke("build").exit_code == 0
    return Course(tmp_path, "demo")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def store(
    course: Course,
    question: str,
    tuned: tuple[str, int],
    base: tuple[str, int] = ("no", 1),
    place: tuple[str, int] | None = None,
    raters: dict[str, tuple[str, ...]] | None = None,
) -> None:
    """A pair and what raters gave to both of its answers, the same for each criterion."""
    messages = json.dumps([{"role": "system", "content": "x"}, {"role": "user", "content": question}])
    source, section = place or (None, None)
    with open_journal(course, SCHEMA) as connection:
        pair = connection.execute(
            "INSERT INTO rated_pairs (run, contest, prompt, task, messages, source, section, label, base, tuned, made) "
            "VALUES ('demo', (SELECT count(*) FROM rated_pairs), 'p', '', ?, ?, ?, 'fused', ?, ?, '')",
            (messages, source, section, base[0], tuned[0]),
        ).lastrowid
        for rater, criteria in (raters or {"ada": CRITERIA}).items():
            for model, (_, score) in (("tuned", tuned), ("base", base)):
                for criterion in criteria:
                    row = (pair, rater, model, criterion, score)
                    connection.execute("INSERT INTO ratings VALUES (?, ?, ?, ?, ?, '')", row)


def read_split(course: Course, split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (course.dataset / f"{split}.jsonl").read_text().splitlines()]


def read_bytes(course: Course, split: str) -> bytes:
    return (course.dataset / f"{split}.jsonl").read_bytes()


def test_good_answers_join_the_training_rows_and_nothing_else_moves(course: Course) -> None:
    before = {split: read_bytes(course, split) for split in ("train", "valid", "test")}
    store(course, "How do I begin?", ("Begin with a chart of all you have.", 5))
    store(course, "What is dull?", ("Whatever nobody likes.", 3))
    result = invoke("build", "--from-ratings")
    assert result.exit_code == 0, result.stderr
    assert {split: read_bytes(course, split) for split in ("valid", "test")} == {
        split: before[split] for split in ("valid", "test")
    }
    assert read_bytes(course, "train").startswith(before["train"])
    row = read_split(course, "train")[-1]
    assert [turn["content"] for turn in row["messages"]] == [
        "Tutor.",
        "How do I begin?",
        "Begin with a chart of all you have.",
    ]
    assert (row["origin"]["method"], row["origin"]["source"]) == ("rating", "journal.sqlite")
    manifest = json.loads((course.dataset / "manifest.json").read_text())
    assert manifest["rows"]["methods"]["rating"] == 1


def test_the_best_answer_to_a_question_by_the_mean_of_raters(course: Course) -> None:
    store(course, "Which?", ("tuned one", 4), ("base one", 5))
    store(course, "Which?", ("tuned two", 4))
    store(course, "Half?", ("half rated", 5), raters={"ada": CRITERIA, "bob": CRITERIA[:1]})
    store(course, "Unsure?", ("never whole", 5), raters={"bob": CRITERIA[:1]})
    store(course, "Empty?", (" ", 5))
    assert {found.question: found.answer for found in read_rated(course, CRITERIA)} == {
        "Which?": "base one",
        "Half?": "half rated",
    }


def test_nothing_of_a_held_out_section_gets_into_training(course: Course) -> None:
    held_out = next(row for row in read_split(course, "test") if row["origin"]["method"] == "definition")
    train = read_split(course, "train")[0]["origin"]
    term = next(text for text in TERMS.values() if text.rstrip(".") in held_out["qa_pair"]["answer"])
    place = (held_out["origin"]["source"], held_out["origin"]["section"])
    store(course, "Asked from the test.", ("Nobody can tell from words.", 5), place=place)
    store(course, held_out["qa_pair"]["question"].upper(), ("In quite other words than before.", 5))
    store(course, "Tell me everything!", (f"Well. {term} So much for that, my friend.", 5))
    store(course, "Asked from training.", ("This one is fine to learn.", 5), place=(train["source"], train["section"]))
    assert invoke("build", "--from-ratings").exit_code == 0
    rated = [row for row in read_split(course, "train") if row["origin"]["method"] == "rating"]
    assert [row["qa_pair"]["question"] for row in rated] == ["Asked from training."]
    dropped = [json.loads(line) for line in (course.dataset / "dropped.jsonl").read_text().splitlines()]
    reasons = [row["dropped"] for row in dropped if row["origin"]["method"] == "rating"]
    assert sorted(reasons) == [
        "rated, but asked from a held-out section",
        "rated, but the same as a held-out row",
        "rated, but the same as a held-out row",
    ]


def test_when_the_rows_are_up_to_date(course: Course) -> None:
    store(course, "How do I begin?", ("Begin with a chart of all you have.", 5))
    assert "up to date" in invoke("build").stderr
    assert "up to date" not in invoke("build", "--from-ratings").stderr
    assert "up to date" in invoke("build", "--from-ratings").stderr
    store(course, "And then?", ("Then look at the largest residual.", 4))
    assert "up to date" not in invoke("build", "--from-ratings").stderr
    # Another stage that renews the rows keeps the kind that they are.
    run_build(open_job(Options(overrides=("dataset.seed=3",))))
    assert [row for row in read_split(course, "train") if row["origin"]["method"] == "rating"]
    without = invoke("build")
    assert "--from-ratings adds them again" in without.stderr
    assert not [row for row in read_split(course, "train") if row["origin"]["method"] == "rating"]


def test_nothing_is_rated_well(course: Course) -> None:
    assert not find_journal(course).is_file()
    result = invoke("build", "--from-ratings")
    assert result.exit_code == 1 and "rated 4 or more yet" in result.stderr
    assert not find_journal(course).is_file()
    store(course, "What is dull?", ("Whatever nobody likes.", 3))
    assert "rated 4 or more yet" in invoke("build", "--from-ratings").stderr


def test_liked_answers_count_as_rated_unless_they_lean_on_another_turn(tmp_path: Path) -> None:
    course = Course(tmp_path, "demo")
    thumbs = [
        ("What is a quorum of replicas?", "More than half of them.", 1),
        ("What is a quorum of replicas?", "Most of the replicas, so that two quorums meet.", 1),
        ("And why is that?", "Because they meet.", 1),
        ("Why?", "Because.", 1),
        ("What is a lease on a lock?", "A lock that ends by itself.", 1),
        ("What is a lease on a lock?", "A lock that ends by itself.", 0),
        ("What is a fence in a store?", "Something made of wood.", 0),
    ]
    with open_journal(course, THUMBS) as journal:
        journal.executemany(
            "INSERT INTO thumbs (time, model, question, answer, liked) VALUES ('', 'm', ?, ?, ?)", thumbs
        )
    (found,) = read_rated(course, CRITERIA)
    assert (found.question, found.answer) == (thumbs[1][0], thumbs[1][1])
    # The firewall holds for them too.
    block = Block("text", f"{found.question} {found.answer}")
    exam = Document("exam.md", "", "Exam", (Section(("Part 1",), (block,)),))
    splits = {"train": [make_example("Something else.")], "valid": [], "test": []}
    recipe = Recipe(dataset=DatasetSettings(holdout=("exam.md",)))
    kept, dropped = pick_rated([found], recipe, [exam], splits, lambda messages: 1)
    assert not kept and dropped[0][1] == "rated, but repeats the holdout"
