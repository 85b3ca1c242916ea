"""Rows of tables: filters, groups, metadata, and courses that have nothing else."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from mlx_tutor.dataset.build import build_dataset, explain_stale, read_rows
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.dataset.tables.imports import Groups, fetch_imports, import_rows
from mlx_tutor.dataset.tables.read import find_table, is_empty, read_table
from mlx_tutor.errors import DatasetError, RecipeError
from mlx_tutor.extract.extract import extract_course
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.records import Example
from mlx_tutor.workspace import Course

NOUNS = "river mountain forest desert island harbour meadow glacier canyon lagoon valley swamp".split()


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course without any file of its own."""
    course = Course(tmp_path, "tables")
    course.root.mkdir(parents=True)
    return course


def write_recipe(course: Course, text: str) -> Recipe:
    course.recipe.write_text(f'[course]\nsubject = "nature"\nsystem_prompt = "Tutor."\n{text}')
    return load_recipe(course.recipe)


def write_questions(course: Course, count: int = 2) -> None:
    """Two questions on each of twelve things, whose number is the group."""
    lines = ["topic,asked,told,level"]
    for i, noun in enumerate(NOUNS):
        for part in ("colour", "age")[:count]:
            lines.append(
                f'{i},Which {part} has a {noun}?,"The {noun}, as chapter {i} says, has the {part} {i}.",grade {i}'
            )
    (course.root / "questions.csv").write_text("\n".join(lines))


def read_import(course: Course, text: str) -> list[Example]:
    recipe = write_recipe(course, f"[[dataset.import]]\n{text}")
    return import_rows(course, recipe.dataset.imports[0], 1, recipe, Groups()).examples


MAPPED = 'path = "questions.csv"\ncolumns = { question = "asked", answer = "told" }\n'


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_the_same_rows_in_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    rows = [{"question": "What is a, b; c?", "answer": "Two\nlines"}, {"question": "Größe?", "answer": "“Yes”"}]
    path = tmp_path / f"rows{suffix}"
    delimiter = "\t" if suffix == ".tsv" else ","
    texts = {".json": json.dumps(rows), ".jsonl": "\ufeff" + "".join(json.dumps(row) + "\n" for row in rows)}
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        lines = [delimiter.join(f'"{cell}"' for cell in cells) for cells in (rows[0], *(row.values() for row in rows))]
        path.write_text(texts.get(suffix, "\n".join(lines)), encoding="utf-8")
    assert read_table(path) == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "is no table that can be read. Give a file of these: .csv"),
        ("a.jsonl", b'{"a": 1}\n{"a"', "a.jsonl, line 2 is not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n[2]\n', "a.jsonl, row 2 has no columns"),
        ("a.json", b'{"a": 1}', "holds no list of rows"),
        ("a.json", b"{", "is not valid JSON"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "row 2 has more cells than columns"),
        ("a.csv", b'a,b\n1,"2\n', "line 2 is not valid CSV"),
        ("a.csv", b"a,b\n", "has no rows"),
        ("a.csv", b"a,b\n\xff\xfe\n", "is not UTF-8 text"),
        ("a.csv", b"question,answer,answer\n1,2,3\n", "has more than one column 'answer'"),
        ("a.parquet", b"PAR1", "is not a Parquet file that can be read"),
    ],
)
def test_a_broken_table_is_named_with_what_is_wrong(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_table(tmp_path / name)
    with pytest.raises(DatasetError, match="No file"):
        read_table(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.csv", ",question,answer\n0,Why?,So.\n1,How?,Thus.\n"),
        ("excel.csv", "sep=;\nquestion;answer\nWhy?;So.\nHow?;Thus.\n"),
        ("titled.csv", "Questions of week 3,,\n,,\nquestion,answer,\nWhy?,So.,\nHow?,Thus.,\n"),
        ("columns.json", '{"question": {"0": "Why?", "1": "How?"}, "answer": {"0": "So.", "1": "Thus."}}'),
        (
            "wrapped.json",
            '{"v": 2, "data": [{"question": "Why?", "answer": "So."}, {"question": "How?", "answer": "Thus."}]}',
        ),
        (
            "index.jsonl",
            '{"": 0, "question": "Why?", "answer": "So."}\n{"": 1, "question": "How?", "answer": "Thus."}\n',
        ),
    ],
)
def test_what_programs_write_around_the_rows_is_left_out(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_table(tmp_path / name) == [
        {"question": "Why?", "answer": "So."},
        {"question": "How?", "answer": "Thus."},
    ]


def test_half_characters_become_the_replacement_character(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "Why \\ud83d?", "answer": "A whole \\ud83d\\ude00 and \\udc00."}\n', encoding="utf-8")
    assert read_table(path) == [{"question": "Why \ufffd?", "answer": "A whole \U0001f600 and \ufffd."}]


@pytest.mark.parametrize("cell", ["", "N/A", " na ", "None", "TBA", "TBA at TBA", "tba, tba", "-", "null", "NaN"])
def test_cells_that_say_nothing(cell: str) -> None:
    assert is_empty(cell)
    assert not is_empty(f"{cell} Monday")


def test_a_course_of_tables_alone_is_built_and_goes_stale_with_its_table(course: Course) -> None:
    write_questions(course)
    recipe = write_recipe(course, f'[[dataset.import]]\n{MAPPED}group = "topic"\n')
    report = build_dataset(course, recipe, count_words, "tokenizer")
    assert sum(report.splits.values()) == 24 and report.sources == {"questions.csv": 24}
    places: dict[str, set[str]] = defaultdict(set)
    for split in SPLITS:
        for row in read_rows(course, split):
            origin, table = row["origin"], read_table(course.root / "questions.csv")
            cells = table[origin["row"] - 1]
            assert cells["asked"] == row["messages"][1]["content"] and cells["told"] == origin["evidence"]
            assert [cells["topic"]] == origin["heading"]
            places[cells["topic"]].add(split)
    assert len(places) == 12 and all(len(splits) == 1 for splits in places.values())
    assert explain_stale(course, recipe, "tokenizer") is None
    # Extracting nothing changes nothing.
    assert extract_course(course, may_be_empty=True).documents == 0
    assert explain_stale(course, recipe, "tokenizer") is None
    write_questions(course, count=1)
    assert explain_stale(course, recipe, "tokenizer") == "questions.csv changed since then"
    first = [(course.dataset / f"{split}.jsonl").read_bytes() for split in SPLITS]
    write_questions(course)
    build_dataset(course, recipe, count_words, "tokenizer")
    assert [(course.dataset / f"{split}.jsonl").read_bytes() for split in SPLITS] == first


def test_a_group_may_be_a_regular_expression(course: Course) -> None:
    write_questions(course)
    examples = read_import(course, f"{MAPPED}group = 'chapter (\\d+)'\n")
    assert {example.origin.heading for example in examples} == {(str(i),) for i in range(12)}
    assert len({example.origin.section for example in examples}) == 12


def test_filters_keep_and_drop_whole_words_and_their_plurals(course: Course) -> None:
    rows = [
        ("Write an email to my professor.", "Dear Professor", "de"),
        ("When are Assignments due?", "On Monday.", "en"),
        ("What is a professorship?", "A post.", "en"),
        ("Which deadline is next?", "Friday.", "spam"),
    ]
    lines = [json.dumps({"instruction": q, "response": a, "category": c}) for q, a, c in rows]
    (course.root / "dolly.jsonl").write_text("\n".join(lines))
    keep = 'path = "dolly.jsonl"\nkeep = { instruction = ["professor", "assignment", "deadline"] }\n'
    asked = [example.qa_pair.question for example in read_import(course, keep)]
    assert asked == [rows[0][0], rows[1][0], rows[3][0]]
    asked = [example.qa_pair.question for example in read_import(course, f'{keep}drop = {{ category = ["SPAM"] }}\n')]
    assert asked == [rows[0][0], rows[1][0]]
    assert len(read_import(course, f"{keep}rows = 1\n")) == 1


def test_the_language_filter_leaves_short_texts(course: Course) -> None:
    rows = [
        ("What is the mean of these values?", "It is the sum of them divided by their number."),
        ("Was ist das Mittel?", "Das ist die Summe der Werte, und die wird durch ihre Anzahl geteilt."),
        ("Mean?", "Sum / n"),
    ]
    lines = [json.dumps({"question": q, "answer": a}) for q, a in rows]
    (course.root / "a.jsonl").write_text("\n".join(lines))
    kept = read_import(course, 'path = "a.jsonl"\nlanguage = "en"\n')
    assert [example.qa_pair.question for example in kept] == [rows[0][0], rows[2][0]]


def test_metadata_comes_from_columns_then_the_table_then_the_course(course: Course) -> None:
    write_questions(course, count=1)
    columns = 'columns = { question = "asked", answer = "told", grade_level = "level" }'
    example = read_import(course, f'path = "questions.csv"\n{columns}\nteaching_style = "socratic"\n')[3]
    assert example.metadata == {
        "subject": "nature",
        "grade_level": "grade 3",
        "teaching_style": "socratic",
        "application": "education",
    }


def test_passages_stand_before_the_question_and_system_prompts_are_the_courses(course: Course) -> None:
    row = {"system": "You are Bob.", "context": "The Nile is long.", "question": "What is long?", "answer": "The Nile."}
    (course.root / "a.jsonl").write_text(json.dumps(row))
    example = read_import(course, 'path = "a.jsonl"\n')[0]
    assert example.messages[0]["content"].startswith("Tutor.\n\nAnswer from the passages")
    assert "<passage 1: a.jsonl, row 1>\nThe Nile is long.\n</passage 1>" in example.messages[1]["content"]
    assert example.qa_pair.context == "The Nile is long."
    kept = read_import(course, 'path = "a.jsonl"\nkeep_system = true\n')[0]
    assert kept.messages[0]["content"].startswith("You are Bob.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('path = "questions.csv"\n', "dataset.import[1]: none of the 24 rows of"),
        (
            'path = "questions.csv"\ncolumns = { answer = "tlod" }\n',
            "dataset.import[1].columns.answer: there is no column",
        ),
        (f'{MAPPED}keep = {{ x = ["a"] }}\n', "dataset.import[1].keep.x: there is no column 'x'"),
        (f'{MAPPED}group = "tpoic"\n', "dataset.import[1].group: 'tpoic' is no column (topic, asked, told, level)"),
        (f'{MAPPED}group = "("\n', "and no regular expression"),
        ('path = "other.csv"\n', "No file"),
        ('hub = "owner/name"\n', "Fetch it once with: mlx-tutor pull --data -c tables"),
    ],
)
def test_what_cannot_be_imported_is_said(course: Course, text: str, message: str) -> None:
    write_questions(course)
    with pytest.raises((DatasetError, RecipeError), match=re.escape(message)):
        read_import(course, text)


def test_a_hub_dataset_is_streamed_once_and_filtered(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = course.workspace / "owner" / "name"
    folder.mkdir(parents=True)
    rows = [{"question": f"What is {i}?", "answer": f"The number {i}.", "kind": "ab"[i % 2]} for i in range(40)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # datasets reads a folder of that name as it reads the Hub.
    monkeypatch.chdir(course.workspace)
    monkeypatch.setenv("HF_HOME", str(course.workspace / "cache"))
    recipe = write_recipe(course, '[[dataset.import]]\nhub = "owner/name"\nrows = 5\nkeep = { kind = ["b"] }\n')
    assert fetch_imports(course, recipe) == {"owner/name": 5}
    examples = import_rows(course, recipe.dataset.imports[0], 1, recipe, Groups()).examples
    assert [example.qa_pair.question for example in examples] == [f"What is {i}?" for i in (1, 3, 5, 7, 9)]
    assert {example.origin.source for example in examples} == {"owner/name"}
    # Other settings want other rows.
    other = write_recipe(course, '[[dataset.import]]\nhub = "owner/name"\nrows = 6\n')
    assert not find_table(course, other.dataset.imports[0]).exists()


def test_all_problems_of_tables_are_in_one_message(course: Course) -> None:
    text = """
[[dataset.import]]
path = "a.csv"
hub = "b/c"
gruop = "x"
language = "xx"
columns = { questoin = "q" }
[[dataset.import]]
keep = { a = "word" }
[[dataset.template]]
use = "catalog"
[[dataset.template]]
path = "a.csv"
questions = ["Who?"]
"""
    with pytest.raises(RecipeError) as caught:
        write_recipe(course, text)
    for problem in (
        "unknown key dataset.import[1].gruop (did you mean group?)",
        "dataset.import[1].language must be one of af,",
        "unknown key dataset.import[1].columns.questoin (did you mean question?)",
        "dataset.import[1] needs either path or hub",
        "dataset.import[2].keep must be a table whose values are each a list of texts, not {'a': 'word'}",
        "dataset.import[2] needs either path or hub",
        "dataset.template[1].use must be one of catalogue, not 'catalog'",
        "dataset.template[1] needs path",
        "dataset.template[2] needs either use, or questions and answer",
    ):
        assert problem in str(caught.value)
    with pytest.raises(RecipeError, match=re.escape("dataset.import must be written as [[dataset.import]]")):
        write_recipe(course, '[dataset.import]\npath = "a.csv"\n')
