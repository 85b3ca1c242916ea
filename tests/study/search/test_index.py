"""The search index: passages, questions, renewal, damage."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.records import Block, Section
from mlx_tutor.study.search import index as index_module
from mlx_tutor.study.search.index import Index, build_index, find_index, open_index
from mlx_tutor.study.search.passages import MAX_WORDS, Passage, count_words, cut_section, list_passages
from mlx_tutor.study.search.words import fold, list_stems, read_question
from mlx_tutor.workspace import Course
from tests.study.course import NOTES, write_course

ROOT = Path(__file__).parents[3]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return write_course(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course that no test changes."""
    course = write_course(tmp_path_factory.mktemp("course"))
    build_index(course)
    return course


def find(course: Course, question: str, **options: bool) -> list[Passage]:
    with open_index(course) as index:
        return index.search(question, **options)


def find_heading(course: Course, question: str) -> str | None:
    passages = find(course, question)
    return passages[0].heading[-1] if passages else None


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("What is heteroscedasticity?", "Assumptions"),
        ("Explain HETEROSCEDASTICITY, please!", "Assumptions"),
        ("what does overfitting mean?", "Overfitting"),
        ("When are models overfitted?", "Overfitting"),
        ("Tell me about the law of large numbers", "Overfitting"),
        ("Was ist die Stichprobengrosse?", "Größen und Maße"),
        ("standardfehler", "Größen und Maße"),
        ("MASSE", "Größen und Maße"),
        ("什么是过拟合？", "过拟合"),
        ("正则", "过拟合"),
        ("회귀란 무엇인가요?", "회귀"),
        # Misspelled, and only a part of a compound word.
        ("What is heteroscedastisity?", "Assumptions"),
        ("What is a Stichprobe?", "Größen und Maße"),
    ],
)
def test_the_right_section_comes_first(shared: Course, question: str, heading: str) -> None:
    assert find_heading(shared, question) == heading


@pytest.mark.parametrize("question", ["", "?", "What is photosynthesis?", "qqqqqqq", "\x00", "光合成", "🙂"])
def test_nothing_is_found_where_nothing_is(shared: Course, question: str) -> None:
    assert find(shared, question) == []


@pytest.mark.parametrize(
    ("question", "terms", "subject"),
    [
        ("What is the mean?", ["mean"], ""),
        ("What is the geometric mean?", ["geometric", "mean"], "geometric mean"),
        ("What does GDP mean?", ["gdp"], ""),
        ("What do you mean by variance?", ["variance"], ""),
        ("Can you please explain the law of demand?", ["law", "demand"], "law of demand"),
        ("Give me the definition of a p-value", ["p", "value"], "p value"),
        ("What is an if statement?", ["statement"], "if statement"),
        ("What is IT?", ["it"], ""),
        ("what is it?", ["it"], ""),
        ("What is?", ["what", "is"], "what is"),
        ("Porter's five forces", ["porter", "five", "forces"], "porter s five forces"),
    ],
)
def test_words_of_asking_are_left_out(question: str, terms: list[str], subject: str) -> None:
    assert read_question(question) == (terms, subject)


@given(st.text(max_size=200) | st.from_regex(r'[\w"*^():+\-{} ]{0,40}(AND|OR|NOT|NEAR)?[\w"*^():+\-{} ]{0,40}'))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_question_is_searched(shared: Course, question: str) -> None:
    with Index(shared) as index:
        for passage in index.search(question):
            assert passage.score > 0


def test_a_very_long_question_is_searched_quickly(shared: Course) -> None:
    pasted = "overfitting " + " ".join(f"word{i}" for i in range(12_000))
    begun = time.perf_counter()
    find(shared, pasted)
    find(shared, '"' * 100_000)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("name", ["demo", "sample"])
def test_every_passage_stands_in_its_section(tmp_path: Path, shared: Course, name: str) -> None:
    course = shared
    if name == "sample":
        course = Course(tmp_path, "sample")
        course.root.mkdir(parents=True)
        course.sources.symlink_to(ROOT / "corpora" / "sample" / "sources")
        extract_course(course)
    documents = {document.source: document for document in read_documents(course)}
    passages = list(list_passages(documents.values()))
    assert {(p.source, p.section) for p in passages} == {
        (source, i) for source, document in documents.items() for i in range(len(document.sections))
    }
    for passage in passages:
        section = documents[passage.source].sections[passage.section]
        assert passage.text in section.text and passage.heading == section.heading
        assert count_words(passage.text) <= MAX_WORDS


words = st.lists(st.sampled_from(["alpha", "beta", "gamma.", "Delta", "过拟合", "x" * 150]), min_size=1, max_size=400)
blocks = st.lists(
    st.builds(Block, st.sampled_from(["text", "code"]), words.map(" ".join), st.integers(1, 3)), min_size=1, max_size=6
)


@given(blocks)
@settings(max_examples=100, deadline=None)
def test_passages_hold_all_of_a_section_and_know_their_pages(section_blocks: list[Block]) -> None:
    section = Section(("A",), tuple(section_blocks))
    passages = list(cut_section("a.pdf", 0, section))
    assert "".join("".join(p.text for p in passages).split()) == "".join(section.text.split())
    position = 0
    ends = []
    for block in section_blocks:
        position += len(block.text) + 2
        ends.append((position, block.page))
    at = 0
    for passage in passages:
        assert count_words(passage.text) <= MAX_WORDS
        at = section.text.index(passage.text, at)
        for offset in (0, len(passage.text) - 1):
            assert passage.find_place(offset)[0] == next(page for end, page in ends if at + offset < end)
        at += len(passage.text)
    assert all(count_words(passage.text) >= 80 for passage in passages[:-1])


def test_a_list_of_questions_comes_behind_what_answers_them(tmp_path: Path) -> None:
    asks = "1. What is a public good? 2. Why is a public good not sold? 3. Which public good do you know?"
    tells = "A public good is one that nobody can be kept from using. " + "Its costs are shared by all. " * 4
    text = f"# Goods\n\n## Review of the public good\n\n{asks}\n\n## Definition\n\n{tells}\n"
    assert find_heading(write_course(tmp_path, text), "What is a public good?") == "Definition"


def test_distinct_gives_one_passage_a_section(tmp_path: Path) -> None:
    long = "\n\n".join(f"Paragraph {i} about overfitting: {'and so on ' * 30}." for i in range(8))
    course = write_course(tmp_path, f"# Long\n\n{long}\n\n# Short\n\nOverfitting again.\n")
    assert {p.heading for p in find(course, "overfitting in a paragraph")} == {("Long",)}
    assert [p.heading[-1] for p in find(course, "overfitting in a paragraph", distinct=True)] == ["Long", "Short"]


def test_changed_documents_renew_the_index(course: Course) -> None:
    assert find(course, "What is bagging?") == []
    before = find_index(course).stat().st_mtime_ns
    find(course, "overfitting")
    assert find_index(course).stat().st_mtime_ns == before
    write_course(course.workspace, NOTES + "\n## Bagging\n\nBagging averages many models.\n")
    assert find_heading(course, "What is bagging?") == "Bagging"


def test_another_version_renews_the_index(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    find(course, "overfitting")
    before = find_index(course).stat().st_ino
    monkeypatch.setattr(index_module, "INDEX_VERSION", -1)
    find(course, "overfitting")
    assert find_index(course).stat().st_ino != before


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "overwritten", "other"])
def test_a_damaged_index_is_made_again(course: Course, damage: str) -> None:
    find(course, "overfitting")
    path = find_index(course)
    whole = path.read_bytes()
    if damage == "other":
        path.unlink()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE meta (key TEXT)")
        connection.close()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "text": b"this is no database",
                "cut": whole[: 3 * 4096],
                "overwritten": whole[:8192] + b"\xaa" * (len(whole) - 8192),
            }[damage]
        )
    assert find_heading(course, "What is overfitting?") == "Overfitting"
    assert find_heading(course, "What is overfitting?") == "Overfitting"


def test_damage_behind_an_open_index(course: Course) -> None:
    with open_index(course) as index:
        path = find_index(course)
        path.write_bytes(path.read_bytes()[:8192] + b"\xaa" * 40_000)
        assert index.search("What is overfitting?")[0].heading[-1] == "Overfitting"


def test_a_kill_leaves_no_half_index(course: Course) -> None:
    build_index(course)
    before = find_index(course).read_bytes()
    script = f"""
import os, signal
from pathlib import Path
from mlx_tutor.study.search import index
from mlx_tutor.workspace import Course
fill = index._fill
def fill_and_die(*args):
    fill(*args)
    os.kill(os.getpid(), signal.SIGKILL)
index._fill = fill_and_die
index.build_index(Course(Path({str(course.workspace)!r}), "demo"))
"""
    result = subprocess.run([sys.executable, "-c", script], check=False, env=dict(os.environ))
    assert result.returncode == -signal.SIGKILL
    assert find_index(course).read_bytes() == before
    find_index(course).unlink()
    assert find_heading(course, "What is overfitting?") == "Overfitting"


def test_a_course_without_documents(tmp_path: Path) -> None:
    course = Course(tmp_path, "demo")
    course.sources.mkdir(parents=True)
    with pytest.raises(CorpusError, match="mlx-tutor extract -c demo"):
        open_index(course)
    assert not find_index(course).exists()


def test_a_full_disk(course: Course) -> None:
    script = f"""
import resource
from pathlib import Path
from mlx_tutor.errors import CorpusError
from mlx_tutor.study.search.index import open_index
from mlx_tutor.workspace import Course
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    open_index(Course(Path({str(course.workspace)!r}), "demo"))
except CorpusError as err:
    print(err)
"""
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert f"{find_index(course)} cannot be written" in result.stdout
    assert [path.name for path in course.root.glob("*index*")] == []


def test_stems_are_those_of_the_index() -> None:
    assert list_stems(["The models are overfitting", "An overfitted model?", "", "数据"]) == [
        {"model", "overfit"},
        {"model", "overfit"},
        set(),
        {"数据"},
    ]
    assert fold("Ｍaße ÉTUDE 가나다") == "masse etude  가나 나다 "


def test_a_page_that_stands_in_two_files_is_found_once(tmp_path: Path) -> None:
    course = Course(tmp_path, "twice")
    course.sources.mkdir(parents=True)
    page = "A hash table finds a key in constant time, as long as few keys share one slot of its array."
    (course.sources / "slides.md").write_text(f"# Tables\n\n{page}\n")
    more = "When the table is nearly full, it is made twice as large and all keys are put in anew."
    (course.sources / "handout.md").write_text(f"# Hash tables\n\n{page}\n\n## Growth\n\n{more}\n")
    (course.sources / "other.md").write_text("# Trees\n\nA search tree finds a key in logarithmic time.\n")
    extract_course(course)
    with open_index(course) as index:
        found = [passage.text for passage in index.search("In which time does a hash table find a key?")]
    assert found.count(page) == 1
    assert len(found) == 3


def test_passages_are_ranked_as_sqlite_ranks_them_by_all_words_at_once(shared: Course) -> None:
    question = "Does a law of the residuals or the noise of data have the same variance as a model?"
    with open_index(shared, semantic=False) as index:
        found = index.search(question, 50)
    terms, subject = read_question(question)
    query = " OR ".join(f'"{term}"' for term in [*terms, subject] if term)
    with sqlite3.connect(find_index(shared)) as connection:
        ranked = connection.execute("SELECT rowid, -bm25(words, 2, 8, 1) FROM words WHERE words MATCH ?", (query,))
        scores = dict(ranked.fetchall())
        numbers = dict(connection.execute("SELECT text, id FROM passages").fetchall())
    assert len(found) == 2
    for passage in found:
        assert passage.score == pytest.approx(scores[numbers[passage.text]])


def test_a_word_is_looked_up_once_however_many_questions_have_it(shared: Course) -> None:
    asked: list[str] = []
    with open_index(shared, semantic=False) as index:
        index._connection.set_trace_callback(asked.append)
        first = index.search("What is the variance of residuals?")
        cold = len(asked)
        assert cold and index.search("Explain the variance of residuals") == first
        assert len(asked) == cold
