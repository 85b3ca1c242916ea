"""Learning outcomes that a course states, in several languages; and what looks like them and is none."""

from pathlib import Path

import pytest

from mlx_tutor.dataset.mining.outcomes import find_outcomes
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.records import Document
from mlx_tutor.study.web.explore import describe_outcomes, list_open
from mlx_tutor.workspace import Course

FILLER = {
    "en": "The slope of a line says how fast it rises, and the intercept says where it begins on the axis.",
    "de": "Die Steigung einer Geraden sagt, wie schnell sie wächst, und der Abschnitt, wo sie auf der Achse beginnt.",
    "fr": "La pente d’une droite dit à quelle vitesse elle monte, et l’ordonnée dit où elle commence sur l’axe.",
    "es": "La pendiente de una recta dice con qué rapidez sube, y la ordenada dice dónde comienza sobre el eje.",
    "it": "La pendenza di una retta dice quanto velocemente sale, e l’intercetta dice dove comincia sull’asse.",
    "nl": "De helling van een lijn zegt hoe snel zij stijgt, en het snijpunt zegt waar zij op de as begint.",
    "pt": "A inclinação de uma reta diz com que rapidez ela sobe, e a ordenada diz onde ela começa sobre o eixo.",
    "zh": "直线的斜率表示它上升的快慢,截距表示它在坐标轴上开始的位置。斜率和截距一起决定一条直线。",
}
LISTS = {
    "en": "By the end of this week, students will be able to:|Draw a line from its slope|Read a slope off a plot",
    "de": "Nach diesem Kapitel können Sie:|eine Gerade aus zwei Punkten bestimmen|die Steigung ablesen",
    "fr": "À la fin de ce chapitre, vous saurez :|tracer une droite|lire une pente sur un graphique",
    "es": "Al terminar este tema, podrás:|trazar una recta a partir de su pendiente|leer la pendiente",
    "it": "Alla fine di questo capitolo sarai in grado di:|tracciare una retta|leggere la pendenza da un grafico",
    "nl": "Na dit hoofdstuk kun je:|een lijn tekenen uit twee punten|de helling van een grafiek aflezen",
    "pt": "Ao final deste capítulo, você será capaz de:|traçar uma reta|ler a inclinação num gráfico",
    "zh": "学完本章后,你将能够:|根据斜率和截距画出直线|从图上读出斜率",
}
HEADINGS = {
    "en": "Learning goals", "de": "Lernziele", "fr": "Objectifs d'apprentissage", "es": "Objetivos de aprendizaje",
    "it": "Obiettivi di apprendimento", "nl": "Leerdoelen", "pt": "Objetivos de aprendizagem", "zh": "学习目标",
}  # fmt: skip


def read(folder: Path, text: str) -> list[Document]:
    course = Course(folder, "demo")
    course.sources.mkdir(parents=True)
    (course.sources / "notes.md").write_text(text, encoding="utf-8")
    extract_course(course)
    return read_documents(course)


def find(folder: Path, text: str) -> list[str]:
    return [outcome.text.rstrip(".") for outcome in find_outcomes(read(folder, text))]


@pytest.mark.parametrize("language", LISTS)
def test_a_list_after_its_announcement(tmp_path: Path, language: str) -> None:
    lead, *items = LISTS[language].split("|")
    listed = "".join(f"- {item}\n" for item in items)
    text = (
        f"# 1\n\n{FILLER[language]}\n\n{lead}\n\n{listed}\n{FILLER[language]}\n\n- {FILLER[language]}\n- {items[0]} x\n"
    )
    assert [found.lower() for found in find(tmp_path, text)] == [item.lower() for item in items]


@pytest.mark.parametrize("language", HEADINGS)
def test_a_list_below_its_heading(tmp_path: Path, language: str) -> None:
    _, *items = LISTS[language].split("|")
    listed = "".join(f"{number}. {item};\n" for number, item in enumerate(items, 1))
    prose = FILLER[language]
    text = f"# A\n\n{prose}\n\n## {HEADINGS[language]}\n\n{listed}\n## B\n\n- {prose}\n- {prose}\n"
    assert [found.lower() for found in find(tmp_path, text)] == [item.lower() for item in items]


def test_the_rest_of_a_sentence(tmp_path: Path) -> None:
    text = f"# 1\n\n{FILLER['en']} By the end of this lesson, you should be able to fit a line; judge its residuals.\n"
    assert find(tmp_path, text) == ["Fit a line", "Judge its residuals"]


def test_statements_of_what_somebody_can(tmp_path: Path) -> None:
    listed = "- k2: Ich kann eine Gerade zeichnen\n- k1: Ich kenne den Begriff der Steigung\n"
    text = f"# Geraden\n\n{FILLER['de']}\n\n## Zum Mitnehmen\n\n{FILLER['de']}\n\n{listed}"
    assert find(tmp_path, text) == ["Ich kann eine Gerade zeichnen", "Ich kenne den Begriff der Steigung"]


@pytest.mark.parametrize(
    "text",
    [
        "With a key you will be able to start the server. It keeps its disk.\n\n- Stop it first\n- Start it then\n",
        "You should be able to create an environment as follows:\n\n```bash\nmake env\n```\n\n- It takes a minute\n",
        "## Summary of the learning outcomes\n\n- What is a slope?\n- What is a line?\n",
        "The firm states its objectives for the year:\n\n- Sell more boats\n- Hire ten people\n",
        "The learning objectives of an agent are its rewards.\n\n- A reward is a number\n- A state is a vector\n",
    ],
)
def test_what_is_no_outcome(tmp_path: Path, text: str) -> None:
    assert find(tmp_path, f"# 1\n\n{FILLER['en']}\n\n## 2\n\n{FILLER['en']}\n\n## 3\n\n{FILLER['en']}\n\n{text}") == []


def test_each_outcome_has_the_rows_that_ask_about_it(tmp_path: Path) -> None:
    listed = ["Explain why residuals should show no pattern.", "Compute a confidence interval"]
    listed.append("explain why Residuals should show no pattern")
    items = "".join(f"- {item}\n" for item in listed)
    documents = read(tmp_path, f"# 1\n\n{FILLER['en']}\n\n## Learning objectives\n\n{items}")
    pairs = [
        ("Why should there be no pattern?", "A pattern in the residuals shows that the line does not fit."),
        ("What is a slope?", "How fast a line rises."),
    ]
    rows = [{"qa_pair": {"question": question, "answer": answer}} for question, answer in pairs]
    found = find_outcomes(documents, rows)
    assert [(outcome.rows, outcome.questions) for outcome in found] == [(1, (pairs[0][0],)), (0, ())]
    assert found[0].place == "notes.md, 1 > Learning objectives"
    assert "1 of 2 have a row that asks about them (50%)" in describe_outcomes(found)
    assert list_open(found)[0].text == "Compute a confidence interval"
