"""A course in another language: its prompt, its frame and its passages, the same in training and in asking."""

import json
from pathlib import Path

import pytest

from mlx_tutor.extract.extract import read_documents
from mlx_tutor.languages.table import list_languages, read_frame
from mlx_tutor.settings import SYSTEM_PROMPT
from mlx_tutor.stages.job import Options, open_job
from mlx_tutor.study.chat.ask import write_prompt
from mlx_tutor.study.search.index import open_index
from tests.commands.conftest import Invoke

GERMAN = {
    "Mittelwert": "Der Mittelwert ist die Summe aller Werte, geteilt durch ihre Anzahl.",
    "Median": "Der Median ist der Wert in der Mitte der sortierten Werte einer Stichprobe.",
    "Spannweite": "Die Spannweite ist der Abstand zwischen dem größten und dem kleinsten Wert.",
    "Ausreißer": "Ein Ausreißer ist ein Wert, der weit von allen anderen Werten entfernt liegt.",
}


def write_course(workspace: Path, recipe: str = "") -> None:
    root = workspace / "corpora" / "kurs"
    (root / "sources").mkdir(parents=True)
    (root / "recipe.toml").write_text(recipe)
    parts = [f"## {term}\n\n{text} Wir brauchen sie in jeder Vorlesung." for term, text in GERMAN.items()]
    (root / "sources" / "woche1.md").write_text("# Maße\n\n" + "\n\n".join(parts) + "\n")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_default_prompt_is_in_the_language_of_the_course(course: Path, invoke: Invoke) -> None:
    write_course(course)
    assert open_job(Options(course="kurs")).recipe.course.system_prompt == SYSTEM_PROMPT
    assert invoke("extract").exit_code == 0
    job = open_job(Options(course="kurs"))
    assert (job.recipe.course.language, job.recipe.course.system_prompt) == ("de", read_frame("de")["prompt"])
    with open_index(job.course) as index:
        system, user = write_prompt("Was ist der Median?", index.search("Median"), job.recipe)
    assert system["content"].endswith(read_frame("de")["grounding"])
    assert user["content"].endswith("\n\nFrage: Was ist der Median?")


@pytest.mark.parametrize(
    ("recipe", "language", "prompt"),
    [
        ('[course]\nsystem_prompt = "Tutor."\n', "de", "Tutor."),
        ('[course]\nsystem_prompt = ""\n', "de", ""),
        ('[course]\nlanguage = "en"\n', "en", SYSTEM_PROMPT),
        ('[course]\nlanguage = "ar"\n', "ar", SYSTEM_PROMPT),
    ],
)
def test_what_the_recipe_says_holds(course: Path, invoke: Invoke, recipe: str, language: str, prompt: str) -> None:
    write_course(course, recipe)
    assert invoke("extract").exit_code == 0
    settings = open_job(Options(course="kurs")).recipe.course
    assert (settings.language, settings.system_prompt) == (language, prompt)


def test_most_words_decide(course: Path, invoke: Invoke) -> None:
    write_course(course)
    (course / "corpora" / "kurs" / "sources" / "notes.md").write_text("# Notes\n\nThis file is in English.\n")
    assert invoke("extract").exit_code == 0
    assert open_job(Options(course="kurs")).recipe.course.language == "de"


def test_rows_are_asked_as_they_are_trained(course: Path, invoke: Invoke) -> None:
    write_course(course, '[model]\nbase = "starter"\n[[dataset.import]]\npath = "fragen.csv"\n')
    lines = [f'Was ist {term}?,"{text}","Aus der Vorlesung: {text}"' for term, text in GERMAN.items()]
    table = course / "corpora" / "kurs" / "fragen.csv"
    table.write_text("\n".join(["question,answer,context", *lines]) + "\n", encoding="utf-8")
    assert invoke("extract").exit_code == 0
    result = invoke("build")
    assert result.exit_code == 0, result.output
    frame = read_frame("de")
    paths = (course / "corpora" / "kurs" / "dataset").glob("*.jsonl")
    rows = [
        json.loads(line)
        for path in paths
        if path.stem in ("train", "valid", "test")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len(rows) >= len(GERMAN)
    for system, user, _ in (row["messages"] for row in rows):
        assert system["content"].startswith(frame["prompt"])
        grounded = "<passage 1: " in user["content"]
        assert (frame["grounding"] in system["content"]) == (f"\n\n{frame['question']}" in user["content"]) == grounded


ARABIC = {
    "المتوسط": "المتوسط هو مجموع القيم مقسوما على عددها.",
    "الوسيط": "الوسيط هو القيمة التي تقع في الوسط بعد ترتيب القيم كلها.",
}


def test_a_language_without_a_table_is_named_and_no_one_is_sent_for_headings(course: Path, invoke: Invoke) -> None:
    root = course / "corpora" / "kurs"
    (root / "sources").mkdir(parents=True)
    (root / "recipe.toml").write_text('[model]\nbase = "starter"\n')
    text = "\n\n".join(f"## {term}\n\n{sentence}" for term, sentence in ARABIC.items())
    (root / "sources" / "notes.md").write_text(f"# الإحصاء\n\n{text}\n", encoding="utf-8")
    extracted = invoke("extract")
    assert "words in Arabic" in extracted.stderr
    warning = "No table for Arabic (notes.md): only completions are made of it, no questions."
    assert warning in " ".join(extracted.stderr.split())
    built = invoke("build")
    said = " ".join(built.stderr.split())
    assert built.exit_code == 1 and warning in said
    assert "From text in Arabic mlx-tutor makes no questions by itself. Name a teacher" in said
    assert "headings" not in said
    dataset = root / "dataset"
    message = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "."}]
    for split in ("train", "valid", "test"):
        (dataset / f"{split}.jsonl").write_text(json.dumps({"messages": message}) + "\n")
    for later in ("train", "quiz"):
        assert "From text in Arabic mlx-tutor makes no questions by itself" in " ".join(invoke(later).stderr.split())
    explored = json.loads(invoke("explore", "--json").stdout)
    assert [source["language"] for source in explored["sources"]] == ["Arabic"]


def test_languages_are_named_and_a_file_that_tells_none_is_in_that_of_the_course(course: Path, invoke: Invoke) -> None:
    write_course(course)
    sources = course / "corpora" / "kurs" / "sources"
    (sources / "code.md").write_text("# Code\n\n```python\nprint(x)\n```\n")
    (sources / "notes.md").write_text("# Notes\n\nThis file is in English.\n")
    result = invoke("extract")
    assert "words in German and English" in result.stderr and "No table" not in result.stderr
    documents = read_documents(open_job(Options(course="kurs")).course)
    assert [document.language for document in documents] == ["de", "en", "de"]
    assert "up to date" in invoke("extract").stderr


@pytest.mark.parametrize("code", list_languages())
def test_a_course_without_code_says_so_in_its_language_after_any_prompt(course: Path, code: str) -> None:
    write_course(course, f'[course]\nallow_code = false\nlanguage = "{code}"\nsystem_prompt = "Tutor."\n')
    assert open_job(Options(course="kurs")).recipe.course.system_prompt == f"Tutor. {read_frame(code)['no_code']}"
    other = "de" if code == "en" else "en"
    assert read_frame(code)["no_code"] != read_frame(other)["no_code"]
    allowed = open_job(Options(course="kurs", overrides=("course.allow_code=true",)))
    assert allowed.recipe.course.system_prompt == "Tutor."


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("course.allow_code=never", "course.allow_code must be true or false"),
        ("dataset.code_share=1.2", "dataset.code_share must be between 0 and 1"),
        ("dataset.code_share=some", "dataset.code_share must be a number"),
    ],
)
def test_settings_of_code_that_cannot_be(course: Path, invoke: Invoke, setting: str, said: str) -> None:
    write_course(course)
    result = invoke("build", "--set", setting)
    assert result.exit_code == 1 and said in result.stderr and result.stderr.count("\n") == 1
