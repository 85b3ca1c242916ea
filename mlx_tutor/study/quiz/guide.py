"""The study guide of a course: key terms, formulas, common mistakes and questions, all from its rows."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from mlx_tutor.dataset.build import read_rows
from mlx_tutor.dataset.mining.formulas import DISPLAYED
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.languages.defining import find_term
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.chat.markdown import escape_html
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion, make_reference
from mlx_tutor.study.quiz.topics import Topic, find_topics
from mlx_tutor.workspace import Course

MISTAKE = "correction"
FORMULA = "formula"


@dataclass(frozen=True, slots=True)
class GuideEntry:
    """A term with its definitions, a formula with its name, or a mistake with what is right."""

    name: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """What a course gives for studying; `questions` by topic, in the order of the course."""

    terms: tuple[GuideEntry, ...]
    formulas: tuple[GuideEntry, ...]
    mistakes: tuple[GuideEntry, ...]
    questions: tuple[tuple[Topic, tuple[str, ...]], ...]


def make_guide(
    course: Course, questions: Collection[StudyQuestion], without: Collection[str] = (), source: str = ""
) -> Guide:
    """The guide of a course, or of one of its files.

    Args:
        without: Files that are left out: past exams.
        source: The file; "" is for all.

    Raises:
        DatasetError: not built yet.
    """

    def keep(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        return tuple(r for r in references if r.source not in without and source in ("", r.source))

    kept = [(question, found) for question in questions if (found := keep(question.references))]
    terms = [
        GuideEntry(term, found)
        for question, found in kept
        if question.kind == "concept" and (term := find_term(question.text))
    ]
    by_topic: dict[Topic, list[str]] = {}
    for question, found in kept:
        for topic in find_topics(question):
            if topic.source in {reference.source for reference in found}:
                by_topic.setdefault(topic, []).append(question.text)
    return Guide(
        tuple(sorted(terms, key=lambda entry: entry.name.casefold())),
        tuple(
            GuideEntry(question.text, found)
            for question, found in kept
            # Of what the symbols of a formula mean, the answer is in the formula's own entry.
            if question.kind == FORMULA and not DISPLAYED.search(question.text)
        ),
        tuple(entry for entry in _list_mistakes(course) if keep(entry.references)),
        tuple((topic, tuple(texts)) for topic, texts in by_topic.items()),
    )


def _list_mistakes(course: Course) -> Iterator[GuideEntry]:
    """What the course itself calls a mistake, each once; those rows quote a passage, so no quiz asks them."""
    seen = set()
    for split in SPLITS:
        for row in read_rows(course, split):
            qa, origin = row.get("qa_pair") or {}, row.get("origin") or {}
            if qa.get("type") == MISTAKE and origin.get("source") and qa["answer"] not in seen:
                seen.add(qa["answer"])
                yield GuideEntry(clean_text(qa["question"]).strip(), (make_reference(qa["answer"], origin),))


def write_guide(
    guide: Guide,
    title: str,
    clean: Callable[[str], str] = escape_html,
    link: Callable[[Reference], str] = lambda reference: escape_html(reference.place),
) -> str:
    """A guide as Markdown; parts that a course has nothing for are left out.

    Args:
        clean: What makes the course's text safe to show.
        link: How a place is written.
    """
    parts = [f"# {clean(title)}"]
    for name, entries in (
        ("Key terms", guide.terms),
        ("Formulas", guide.formulas),
        ("Common mistakes", guide.mistakes),
    ):
        if entries:
            parts += [f"## {name}", "\n".join(_write_entry(entry, clean, link) for entry in entries)]
    if guide.questions:
        parts.append("## Questions")
    source = ""
    for topic, texts in guide.questions:
        if topic.source != source:
            parts.append(f"### {clean(topic.source)}")
            source = topic.source
        parts += [f"#### {clean(topic.name)}", "\n".join(f"- {_indent(clean(text))}" for text in texts)]
    if len(parts) == 1:
        parts.append("The rows of this course hold no definition, formula or question that stands alone.")
    return "\n\n".join(parts) + "\n"


def _write_entry(entry: GuideEntry, clean: Callable[[str], str], link: Callable[[Reference], str]) -> str:
    said = [f"{clean(reference.answer)} ({link(reference)})" for reference in entry.references]
    return f"- **{_indent(clean(entry.name))}** " + _indent("\n\n".join(said))


def _indent(text: str) -> str:
    """Further lines of an item of a list."""
    return text.replace("\n", "\n  ")
