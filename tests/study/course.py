"""A small course on disk, for tests of search, answers and pages."""

from pathlib import Path

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.workspace import Course

NOTES = """
# Regression

## Assumptions

**Homoscedasticity** means that the residuals have the same variance everywhere. Its opposite is called
**heteroscedasticity**.

## Overfitting

A model overfits when it learns the noise of its training data. The law of large numbers does not help it.

## Größen und Maße

Die Stichprobengröße bestimmt den Standardfehler.

## 过拟合

过拟合是指模型在训练数据上表现很好,而在新数据上表现很差。正则化可以减少过拟合。

## 회귀

회귀는 두 변수의 관계를 설명한다.
"""


def write_course(folder: Path, text: str = NOTES, name: str = "demo") -> Course:
    course = Course(folder, name)
    course.sources.mkdir(parents=True, exist_ok=True)
    (course.sources / "notes.md").write_text(text, encoding="utf-8")
    extract_course(course)
    return course
