"""Searching, and looking for support, in courses of other languages."""

from pathlib import Path

import pytest

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.files import write_text
from mlx_tutor.study.chat.support import find_support
from mlx_tutor.study.quiz.grade import grade_answer
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion
from mlx_tutor.study.search.index import open_index
from mlx_tutor.study.search.words import list_stems, read_question
from mlx_tutor.workspace import Course

# A course of two sections, a question in other forms of its words, a sentence that the text supports in another order
# of clauses or form, and one that says the opposite.
COURSES = {
    "de": (
        "Das Netz besteht aus Schichten von Neuronen. Jedes Neuron gewichtet seine Eingaben nicht zufällig.",
        "Eine Verteilung beschreibt die Wahrscheinlichkeiten aller Werte. Sie hat eine Varianz.",
        "Was versteht man unter den Verteilungen?",
        "Die Verteilung beschreibt die Wahrscheinlichkeit aller Werte.",
        "Jedes Neuron gewichtet seine Eingaben zufällig.",
    ),
    "es": (
        "La red consta de capas de neuronas. Cada neurona no pondera sus entradas al azar.",
        "Una distribución describe las probabilidades de todos los valores. También tiene una varianza.",
        "¿Qué son las distribuciones?",
        "Las distribuciones describen la probabilidad de todos los valores.",
        "Cada neurona pondera sus entradas al azar.",
    ),
    "fr": (
        "Le réseau est formé de couches de neurones. Chaque neurone ne pondère pas ses entrées au hasard.",
        "Une distribution décrit les probabilités de toutes les valeurs. Elle a une variance.",
        "Que sont les distributions ?",
        "La distribution décrit la probabilité de toutes les valeurs.",
        "Chaque neurone pondère ses entrées au hasard.",
    ),
    "ru": (
        "Сеть состоит из слоёв нейронов. Каждый нейрон взвешивает свои входы.",
        "Распределение описывает вероятности всех значений. У него есть дисперсия.",
        "Что такое распределения?",
        "Распределения описывают вероятность всех значений.",
        "Каждый нейрон удаляет свои входы.",
    ),
    "zh": (
        "神经网络由多层神经元组成。每个神经元对输入加权，权重不是随机的。",
        "概率分布描述随机变量取各个值的概率。它有方差。",
        "什么是概率分布？",
        "概率分布描述随机变量取各个值的概率。",
        "每个神经元对输入加权，权重是随机的。",
    ),
    "ar": (
        "تتكون الشبكة من طبقات من العصبونات. كل عصبون يزن مدخلاته.",
        "يصف التوزيع احتمالات كل القيم الممكنة. وله تباين.",
        "ما هي التوزيعات؟",
        "يصف التوزيع احتمالات كل قيم ممكنة.",
        "كل عصبون يحذف مدخلاته.",
    ),
}


@pytest.mark.parametrize(("language", "texts"), COURSES.items())
def test_other_forms_of_the_words_are_found_and_support(
    tmp_path: Path, language: str, texts: tuple[str, str, str, str, str]
) -> None:
    course = Course(tmp_path, "kurs")
    write_text(course.sources / "a.md", f"# A\n\n## N\n\n{texts[0]}\n\n## V\n\n{texts[1]}\n")
    extract_course(course)
    with open_index(course) as index:
        assert index.language == language
        found = index.search(texts[2])
        assert found[0].text == texts[1]
        passages = index.search(f"{texts[3]} {texts[4]}")
        assert {passage.text for passage in passages} == set(texts[:2])
    sources, checked = find_support(" ".join(texts[3:]), texts[2], passages, language)
    assert len(checked) == 2
    assert [texts[1].startswith(source.quote) for source in sources] == [True]


@pytest.mark.parametrize(
    ("language", "question", "terms"),
    [
        ("de", "Was bedeutet der Begriff „Standardabweichung“?", ["standardabweich"]),
        ("de", "Erkläre mir bitte die Gesetze der großen Zahlen!", ["gesetz", "gross", "zahl"]),
        ("es", "¿Qué es la regresión lineal?", ["regresion", "lineal"]),
        ("fr", "Qu'est-ce que la régression linéaire ?", ["regress", "lineair"]),
        ("it", "Che cosa significa varianza?", ["varianz"]),
        ("nl", "Wat is het verschil?", ["verschil"]),
        ("pt", "O que é?", ["o", "que", "e"]),
    ],
)
def test_words_of_asking_are_left_out(language: str, question: str, terms: list[str]) -> None:
    assert read_question(question, language)[0] == terms


def test_stems_of_a_language_without_a_stemmer() -> None:
    assert list_stems(["数据"], "zh") == list_stems(["数据"]) != [set()]


def test_a_typed_answer_in_german() -> None:
    said = "Der Median ist der Wert in der Mitte der sortierten Werte einer Stichprobe."
    reference = Reference(said, "a.md", None, None, None, (), said)
    question = StudyQuestion("k", "concept", "Was ist der Median?", (reference,), (), "de")
    grade = grade_answer(question, "Er ist, nach dem Sortieren, der Wert in der Mitte von Stichproben.")
    assert grade.verdict == "right" and not {"der", "ist", "einer"} & {*grade.named, *grade.missing}
    assert grade_answer(question, "Er ist nicht der Wert in der Mitte einer sortierten Stichprobe.").verdict == "partly"
