"""The Progress tab of the web page: each topic as it is learned, and what the tuned model itself knows."""

from itertools import groupby

import gradio as gr

from mlx_tutor.dataset.firewall import find_held
from mlx_tutor.errors import CorpusError, DatasetError, TutorError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.study.quiz.progress import (
    KNOWN,
    RECITED,
    UNKNOWN,
    FactKnowledge,
    Learned,
    TopicProgress,
    measure_topics,
    read_learned,
)
from mlx_tutor.study.quiz.questions import Reference
from mlx_tutor.study.quiz.session import measure_progress
from mlx_tutor.study.web.compare_tab import EVENT
from mlx_tutor.study.web.owners import name_owner
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.study_parts import draw_part, draw_place, draw_problem, load_questions

LEVELS = {
    KNOWN: "It prefers the right answer to near ones of the course, in words that no row has.",
    RECITED: "Asked for it, it says the words, but does not tell them from near ones.",
    UNKNOWN: "Read these pages yourself: the model helps with them only when it searches the course.",
}
HEADINGS = ("topic", "questions", "asked", "right", "due")


def add_progress(site: Site, tab: gr.Tab) -> None:
    """One table for each file, and the facts of the model."""
    shown = gr.HTML(elem_id="progress", apply_default_css=False)

    def show(request: gr.Request) -> str:
        return draw_progress(site, name_owner(site, request))

    tab.select(show, None, shown, **EVENT)


def draw_progress(site: Site, owner: str = "") -> str:
    """The tab as it is now for one of those who reach the page; what is missing is said."""
    course = site.course
    try:
        documents = read_documents(course)
        held = find_held(documents, site.recipe.dataset.holdout)
        documents = [document for document in documents if document.source not in held]
        learned = read_learned(course)
        try:
            questions = load_questions(site)
        except DatasetError as err:
            return draw_problem(err)
        topics = measure_topics(course, documents, questions, learned, owner=owner)
        total = measure_progress(course, questions, owner=owner)
    except (CorpusError, TutorError) as err:
        return draw_problem(err)
    asked = total.questions - total.new - total.aside
    parts = [
        f"{asked} of {total.questions} questions asked, {asked - total.wrong} of them right last time, {total.due} due."
    ]
    columns = (*HEADINGS, "model") if learned else HEADINGS
    files = [(source, columns, [_write_row(entry, learned) for entry in group]) for source, group in _group(topics)]
    facts = [(level, told, _list_facts(learned, level)) for level, told in LEVELS.items()] if learned else []
    return draw_part("progress", parts, files, learned, facts)


def _group(topics: list[TopicProgress]) -> list[tuple[str, list[TopicProgress]]]:
    return [(source, list(group)) for source, group in groupby(topics, lambda entry: entry.topic.source)]


def _write_row(entry: TopicProgress, learned: Learned | None) -> tuple[str, ...]:
    count = entry.count
    row = (entry.topic.name, *(str(n) if n else "" for n in (count.questions, count.asked, count.right, count.due)))
    if learned is None:
        return row
    return (*row, f"{entry.known[0]} of {entry.known[1]}" if entry.known else "")


def _list_facts(learned: Learned, level: str) -> list[tuple[str, str, object]]:
    """Question, answer and place of the facts of a level."""
    return [(fact.question, fact.answer, _draw_place(fact)) for fact in learned.facts if fact.level == level]


def _draw_place(fact: FactKnowledge) -> object:
    if not fact.source:
        return fact.place
    reference = Reference(fact.answer, fact.source, fact.page, fact.cell, None, (), "")
    return draw_place(reference)
