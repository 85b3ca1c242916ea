"""What a heading says of the text below it, in each language that has a table."""

from dataclasses import replace

import pytest

from mlx_tutor.dataset.mining.headings import (
    has_prose,
    is_exercise,
    is_solution,
    name_context,
    name_question,
    name_topic,
    read_heading,
)
from mlx_tutor.languages.table import list_languages
from mlx_tutor.records import Block, Chunk
from tests.dataset.rows import make_rows

BLOCK = Block("text", "A pulley changes the direction of a force. Two pulleys halve the force that is needed.")
PULLEYS = Chunk("machines.md", 0, ("Simple machines", "Pulleys"), (BLOCK,))
# Headings by language: of tasks, of solutions, of what is about the course, and without a topic.
ROLES = {
    "en": ("Review exercises for week 3|Try it|Problem 12|Check your learning|Exercise 4.1: Levers|Lever quiz|2. to 9.",
           "Solution|Answers to the odd-numbered problems", "Learning objectives|Further reading", "Wrap-up|Key ideas"),
    "de": ("Übungsaufgaben|Aufgabe 2|Wiederholungsfragen|Hausaufgabe", "Musterlösung|Lösungen zu den Aufgaben",
           "Lernziele|Literatur", "Zusammenfassung|Überblick"),
    "es": ("Ejercicios resueltos|Actividades|Ejercicio 3: Palancas", "Soluciones|Respuestas",
           "Objetivos|Bibliografía", "Resumen|Introducción"),
    "fr": ("Exercices|Travaux pratiques|Exercice 2 : Leviers", "Corrigé|Solutions des exercices",
           "Objectifs|Pour aller plus loin", "Résumé|Rappels"),
    "it": ("Esercizi svolti|Compiti per casa", "Soluzioni|Risposte", "Obiettivi|Bibliografia", "Riassunto|Esempio 2"),
    "pt": ("Exercícios propostos|Questões de revisão", "Gabarito|Soluções", "Objetivos|Referências",
           "Resumo|Introdução"),
    "nl": ("Oefeningen|Huiswerk|Opgave 3", "Uitwerkingen|Antwoorden", "Leerdoelen|Literatuur",
           "Samenvatting|Inleiding"),
    "zh": ("课后习题|练习 2|思考题", "参考答案|解答", "学习目标|参考文献", "本章小结|例3"),
}  # fmt: skip


@pytest.mark.parametrize("language", list_languages())
def test_tasks_solutions_and_matter_of_the_course_are_no_topics(language: str) -> None:
    tasks, solutions, outside, generic = (headings.split("|") for headings in ROLES[language])
    assert [heading for heading in tasks if not is_exercise(heading, language)] == []
    assert [heading for heading in solutions if not is_solution(heading, language)] == []
    assert {read_heading(heading, language).role for heading in outside} == {"outside"}
    assert {read_heading(heading, language).role for heading in generic} <= {"generic", "example"}
    # Where the language cannot be told, all are tried.
    assert all(read_heading(heading, "").role != "topic" for heading in (*tasks, *solutions, *outside, *generic))


@pytest.mark.parametrize(
    ("heading", "language"),
    [
        ("📊 Grading Rubric", "en"), ("Exam Preparation", "en"), ("Report structure", "en"), ("Deadlines", "en"),
        ("Prüfungsleistungen", "de"), ("Criterios de evaluación", "es"), ("Barème", "fr"), ("Modalità d'esame", "it"),
        ("Critérios de avaliação", "pt"), ("Beoordeling", "nl"), ("评分标准", "zh"),
    ],
)  # fmt: skip
def test_how_a_course_is_run_is_no_topic(heading: str, language: str) -> None:
    assert read_heading(heading, language).role in ("outside", "exercise")
    # What a task is worth.
    assert read_heading("Own data (2 points)", "en").role == "exercise"
    assert read_heading("Grading of diamonds", "en").role == "topic"


@pytest.mark.parametrize(
    ("heading", "language", "name"),
    [
        ("Exercise physiology", "en", "Exercise physiology"), ("Assignment problem", "en", "Assignment problem"),
        ("Data structures", "en", "Data structures"), ("Aqueous solutions", "en", "Aqueous solutions"),
        ("Week 4: Levers", "en", "Levers"), ("Introduction to the Pulley", "en", "Pulley"),
        ("3.2 Wedges", "en", "Wedges"),
        ("⚙️ **Gears**", "en", "Gears"), ("Review: Torque", "en", "Torque"),
        ("On-the-job training", "en", "On-the-job training"),
        ("A closer look", "en", ""), ("Create your account", "en", ""),
        ("Reading the data", "en", ""),
        ("lever.py", "en", ""),
        ("`np.ones`", "en", ""), ("Levers are everywhere", "en", ""), ("3 May 2021", "en", ""), ("K", "en", ""),
        ("Nuts, bolts and screws", "en", ""), ("What we did", "en", ""), ("$F = ma$", "en", ""),
        ("Aufgaben des Betriebssystems", "de", "Aufgaben des Betriebssystems"), ("Kapitel 2: Hebel", "de", "Hebel"),
        ("Einführung in die Mechanik", "de", "Mechanik"), ("Programme starten", "de", ""), ("Odds and ends", "de", ""),
        ("Introducción a la mecánica", "es", "mecánica"), ("Crear una palanca", "es", ""),
        ("La palanca", "es", "La palanca"),
        ("A alavanca", "pt", "A alavanca"), ("Créer une liste", "fr", ""), ("第3章 杠杆", "zh", "杠杆"),
    ],
)  # fmt: skip
def test_the_topic_that_a_heading_names(heading: str, language: str, name: str) -> None:
    assert read_heading(heading, language).name == name


@pytest.mark.parametrize(
    ("path", "topic", "context"),
    [
        (("Simple machines", "Pulleys"), "Pulleys", "Pulleys"),
        (("Pulleys", "Overview"), "Pulleys", "Pulleys"),
        (("Pulleys", "Example 2"), None, "Pulleys"),
        (("Pulleys", "Pulleys (continued)"), None, "Pulleys"),
        (("Pulleys", "Review questions"), None, None),
        (("Homework 2", "Pulleys"), None, None),
        # The text says nothing of it, or of the headline before the colon.
        (("Simple machines", "Inclined planes"), None, "Inclined planes"),
        (("Simple machines", "Up and away: hoisting"), None, "Simple machines"),
        (("Overview",), None, None),
    ],
)
def test_what_a_chunk_is_asked_about(path: tuple[str, ...], topic: str | None, context: str | None) -> None:
    chunk = replace(PULLEYS, heading=path)
    assert (name_topic(chunk), name_context(chunk)) == (topic, context)


def test_only_the_first_chunk_is_asked_about_as_its_section() -> None:
    assert name_topic(replace(PULLEYS, is_first=False)) is None
    assert name_context(replace(PULLEYS, is_first=False)) == "Pulleys"


@pytest.mark.parametrize(
    ("heading", "asks"),
    [("What is a pulley?", True), ("What do we need now?", False), ("Why gears?", False), ("Pulleys", False)],
)
def test_headings_that_ask_what_can_be_asked_alone(heading: str, asks: bool) -> None:
    assert name_question(replace(PULLEYS, heading=("Simple machines", heading))) == (heading if asks else None)


def test_what_stands_below_exercises_gives_no_row_of_course_text() -> None:
    text = (
        "# Machines\n\n## Pulleys\n\nA **pulley** is a wheel that carries a rope in a groove around its rim. "
        "The wheel turns because the rope"
        " grips it on its way.\nThe load rises when the rope is pulled.\n"
    )
    assert make_rows(text)
    assert make_rows(text.replace("## Pulleys", "## Homework\n\n### Pulleys")) == []
    assert not has_prose(replace(PULLEYS, heading=("Simple machines", "Lösungen"), language="de"))


def test_a_heading_in_capitals_is_read_as_words() -> None:
    assert read_heading("THE LOST GENERATION").name == "The lost generation" and read_heading("SQL").name == "SQL"
