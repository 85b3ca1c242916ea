"""The questions of a course for Moodle's question bank, as Moodle XML and as GIFT.

After https://docs.moodle.org/en/Moodle_XML_format and https://docs.moodle.org/en/GIFT_format. An answer of a few words
is graded by Moodle, a longer one is an essay with the answer for who grades it. Choices are those that the question
itself had: that another answer of the course is wrong, nobody knows.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lxml import etree

from mlx_tutor.languages.defining import ARTICLE
from mlx_tutor.study.quiz.questions import StudyQuestion, read_output
from mlx_tutor.study.quiz.text import write_answer, write_field
from mlx_tutor.workspace import Course

# What one types without looking it up: no formula, code or list, and nothing that GIFT takes for a match or a weight.
SHORT_WORDS, SHORT_LETTERS = 4, 40
NOT_SHORT = re.compile(r"[\n$`\\]|->|^%|^\[")
CHOICE = re.compile(r"(\w{1,2})\. (\S.*)")
NAME_LETTERS = 100


@dataclass(frozen=True, slots=True)
class Item:
    """A question as Moodle asks it: `multichoice`, `shortanswer` or `essay`.

    `right` are the answers that get all marks, of an essay none; `wrong` the other choices. `text`, `feedback`, and of
    choices `right` and `wrong`, are HTML.
    """

    kind: str
    name: str
    text: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    feedback: str


def make_item(question: StudyQuestion) -> Item:
    """Choose how Moodle asks a question."""
    feedback = f"{write_field(write_answer(question))}<br><br>{escape(question.references[0].place, quote=False)}"
    asked, choices = _split_choices(question)
    # Code is no part of a name.
    name = asked.partition("\n")[0][:NAME_LETTERS]
    answer = question.references[0].answer
    if choices:
        # Moodle numbers and shuffles them itself.
        wrong = tuple(write_field(CHOICE.sub(r"\2", text)) for text in choices if text != answer)
        return Item("multichoice", name, write_field(asked), (write_field(CHOICE.sub(r"\2", answer)),), wrong, feedback)
    short = _list_short(question)
    return Item("shortanswer" if short else "essay", name, write_field(question.text), short, (), feedback)


def _split_choices(question: StudyQuestion) -> tuple[str, list[str]]:
    """The question, and the lines with choices at its end where its answer is one of them."""
    lines = question.text.split("\n")
    start = len(lines)
    while start > 1 and CHOICE.fullmatch(lines[start - 1]):
        start -= 1
    choices, answers = lines[start:], {reference.answer for reference in question.references}
    if len(choices) < 2 or len(answers) != 1 or not answers <= set(choices):
        return question.text, []
    return "\n".join(lines[:start]), choices


def _list_short(question: StudyQuestion) -> tuple[str, ...]:
    """The answers as one types them, with and without article; none where one of them is long, or a sentence."""
    found: dict[str, None] = {}
    for reference in question.references:
        answer = read_output(reference.answer).strip()
        if NOT_SHORT.search(answer) or len(answer.split()) > SHORT_WORDS or len(answer) > SHORT_LETTERS:
            return ()
        if answer.endswith((".", "!", "?")) and not question.is_output:
            return ()
        found |= dict.fromkeys([answer, answer if question.is_output else ARTICLE.sub("", answer)])
    return tuple(found) if all(found) else ()


def make_xml(course: Course, questions: Sequence[StudyQuestion]) -> Callable[[Path], object]:
    """A function that writes the questions as Moodle XML, in a category of the course's name."""
    quiz = etree.Element("quiz")
    category = etree.SubElement(quiz, "question", type="category")
    _add_text(category, "category", _name_category(course))
    for question in questions:
        _add_question(quiz, question)
    tree = etree.ElementTree(quiz)
    return lambda path: tree.write(str(path), encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _add_question(quiz: etree._Element, question: StudyQuestion) -> None:
    item = make_item(question)
    node = etree.SubElement(quiz, "question", type=item.kind)
    _add_text(node, "name", item.name)
    _add_text(node, "questiontext", item.text, format="html")
    _add_text(node, "generalfeedback", item.feedback, format="html")
    values = {"defaultgrade": "1", "penalty": "0", "hidden": "0", "idnumber": question.key}
    if item.kind == "essay":
        values |= {"responseformat": "editor", "responserequired": "1", "responsefieldlines": "10", "attachments": "0"}
    elif item.kind == "shortanswer":
        values["usecase"] = str(int(question.is_output))
    else:
        values |= {"single": "true", "shuffleanswers": "true", "answernumbering": "abc"}
    for name, value in values.items():
        etree.SubElement(node, name).text = value
    if item.kind == "essay":
        _add_text(node, "graderinfo", item.feedback, format="html")
    form = "html" if item.kind == "multichoice" else "plain_text"
    for fraction, answers in (("100", item.right), ("0", item.wrong)):
        for answer in answers:
            found = etree.SubElement(node, "answer", fraction=fraction, format=form)
            etree.SubElement(found, "text").text = answer if form == "html" else _escape_wildcard(answer)
    tags = etree.SubElement(node, "tags")
    for tag in ("mlx-tutor", question.kind, question.references[0].source):
        _add_text(tags, "tag", tag)


def _add_text(parent: etree._Element, name: str, text: str, **attributes: str) -> None:
    etree.SubElement(etree.SubElement(parent, name, **attributes), "text").text = text


def make_gift(course: Course, questions: Sequence[StudyQuestion]) -> Callable[[Path], object]:
    """A function that writes the questions as GIFT, in a category of the course's name; answers are the feedback."""
    blocks = [f"$CATEGORY: {_name_category(course)}", *(_write_gift(make_item(question)) for question in questions)]
    return lambda path: path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _write_gift(item: Item) -> str:
    right = [text if item.kind == "multichoice" else _escape_wildcard(text) for text in item.right]
    answers = [f"={_escape_gift(text)}" for text in right] + [f"~{_escape_gift(text)}" for text in item.wrong]
    body = "".join(f"\n\t{answer}" for answer in answers)
    feedback = f"####{_escape_gift(item.feedback)}"
    inside = f"{body}\n\t{feedback}\n" if body else feedback
    return f"::{_escape_gift(item.name)}::[html]{_escape_gift(item.text)}{{{inside}}}"


def _escape_gift(text: str) -> str:
    """Text in which nothing is a mark of GIFT; its line breaks are written out, since an empty line ends a question."""
    return re.sub(r"[\\~=#{}:]", r"\\\g<0>", text.replace("\r", "")).replace("\n", r"\n")


def _escape_wildcard(text: str) -> str:
    """A short answer in which `*` is a star and not any text."""
    return text.replace("*", r"\*")


def _name_category(course: Course) -> str:
    return f"$course$/top/{course.name}"
