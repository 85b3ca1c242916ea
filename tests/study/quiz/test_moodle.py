"""Questions for Moodle, read back by the rules of its two formats."""

import re
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree

from mlx_tutor.study.quiz.cards import write_cards
from mlx_tutor.study.quiz.moodle import make_item
from mlx_tutor.study.quiz.questions import StudyQuestion, list_questions
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import COUNT, METRIC, make_row, write_rows

CHOICES = "Which of these is a leaf?\nA. {a: 1}\nB. the end = stop\nC. x ~ y # no"
ROWS = (
    make_row("What is a metric tree?", METRIC),
    make_row("Why is $a_{ij} = 1$ here?", "Because `x = {1: 2}` is # of <b>rows</b>:\n\nso\\nu ~ 3.", "reason"),
    make_row("Which value is in the middle?", "The median", "fact"),
    make_row("What follows from sorting?", "Nothing is lost.", "reason"),
    make_row("Which pattern is all files?", "*.csv", "fact"),
    make_row("What becomes of a?", "a -> b", "fact"),
    make_row(COUNT, "It prints:\n\n```text\n3\na, b\n```", "output"),
    make_row("What does this print?\n\n```python\nprint(7)\n```", "It prints:\n\n```text\n7\n```", "output"),
    make_row(CHOICES, "B. the end = stop", "fact"),
    make_row("Which of both?\nA. one\nB. two", "Neither of them is right here, as was said.", "fact"),
)
KINDS = [
    "essay",
    "essay",
    "shortanswer",
    "essay",
    "shortanswer",
    "essay",
    "essay",
    "shortanswer",
    "multichoice",
    "essay",
]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return write_rows(tmp_path, ROWS)


@pytest.fixture
def questions(course: Course) -> list[StudyQuestion]:
    """The questions, in the order of ROWS."""
    order = [" ".join(row["qa_pair"]["question"].split()) for row in ROWS]
    return sorted(list_questions(course), key=lambda question: order.index(" ".join(question.text.split())))


class Gift(NamedTuple):
    """A question as Moodle's importer takes it from GIFT."""

    kind: str
    name: str
    text: str
    right: list[str]
    wrong: list[str]
    feedback: str


def unescape_gift(text: str) -> str:
    """Marks with a backslash before them; what is not escaped cannot be told from a mark any more."""
    return re.sub(r"\\([\\~=#{}:n])", lambda found: "\n" if found[1] == "n" else found[1], text).strip()


def read_gift(path: Path) -> list[Gift]:
    """Questions by GIFT's rules: an empty line between two, a name in ::, answers in braces, feedback behind ####."""
    category, *blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip())
    assert category == "$CATEGORY: $course$/top/c"
    free = r"(?:[^\\~=#{}:]|\\[\\~=#{}:n])"
    found = []
    for block in blocks:
        parts = re.fullmatch(rf"::({free}+)::\[html\]({free}+)\{{(.*)####({free}*)\}}", block, re.DOTALL)
        assert parts, block
        answers = re.findall(rf"([=~])({free}+)", parts[3])
        assert "".join(mark + text for mark, text in answers).split() == parts[3].split()
        marks = {mark for mark, _ in answers}
        kind = "multichoice" if "~" in marks else "shortanswer" if marks else "essay"
        # A match, to Moodle.
        assert "->" not in parts[3]
        right, wrong = ([unescape_gift(text) for mark, text in answers if mark == side] for side in "=~")
        name, text, feedback = (unescape_gift(parts[i]) for i in (1, 2, 4))
        found.append(Gift(kind, name, text, right, wrong, feedback))
    return found


def show(html: str) -> str:
    """What a reader sees of HTML."""
    return unescape(re.sub(r"<[^>]+>", "", html.replace("<br>", "\n")))


def test_gift_reads_back_as_it_was(course: Course, questions: list[StudyQuestion], tmp_path: Path) -> None:
    path = write_cards(course, questions, tmp_path / "q.txt")
    found = read_gift(path)
    assert [question.kind for question in found] == KINDS
    by_hand = [(item.kind, item.text, list(item.right), list(item.wrong)) for item in map(make_item, questions)]
    escaped = [(q.kind, q.text, [text.replace("\\*", "*") for text in q.right], q.wrong) for q in found]
    assert escaped == by_hand
    assert all("page 3" in question.feedback for question in found)
    why = found[1]
    assert why.text == "Why is \\(a_{ij} = 1\\) here?" and "<code>x = {1: 2}</code>" in why.feedback
    assert "so\\nu ~ 3." in why.feedback and "&lt;b&gt;rows&lt;/b&gt;" in why.feedback
    assert "print(3)\nprint('a, b')" in found[6].text


def test_xml_reads_back_as_it_was(course: Course, questions: list[StudyQuestion], tmp_path: Path) -> None:
    path = write_cards(course, questions, tmp_path / "q.xml")
    tree = etree.parse(str(path))
    assert tree.docinfo.encoding == "UTF-8" and tree.getroot().tag == "quiz"
    category, *found = tree.getroot()
    assert category.get("type") == "category" and category.findtext("category/text") == "$course$/top/c"
    assert [node.get("type") for node in found] == KINDS
    for node, question in zip(found, questions, strict=True):
        # What Moodle's importer asks for of each question.
        assert node.findtext("name/text") and node.find("questiontext").get("format") == "html"
        assert node.findtext("idnumber") == question.key and node.findtext("defaultgrade") == "1"
        assert [tag.text for tag in node.findall("tags/tag/text")] == ["mlx-tutor", question.kind, "a.md"]
        graded = [(answer.get("fraction"), answer.findtext("text")) for answer in node.findall("answer")]
        if node.get("type") == "essay":
            assert not graded and "a.md, page 3, Week 1" in node.findtext("graderinfo/text")
            assert node.findtext("responseformat") == "editor"
        else:
            assert (
                graded[0][0] == "100" and node.find("usecase" if "short" in node.get("type") else "single") is not None
            )
    assert show(found[1].findtext("questiontext/text")) == "Why is \\(a_{ij} = 1\\) here?"
    assert [answer.findtext("text") for answer in found[2].findall("answer")] == ["The median", "median"]
    # A star alone would stand for any text.
    assert found[4].findtext("answer/text") == r"\*.csv"
    assert (found[7].findtext("answer/text"), found[7].findtext("usecase")) == ("7", "1")


def test_choices_are_those_of_the_question(questions: list[StudyQuestion]) -> None:
    item = make_item(questions[8])
    assert item.text == "Which of these is a leaf?"
    assert item.right == ("the end = stop",) and item.wrong == ("{a: 1}", "x ~ y # no")
