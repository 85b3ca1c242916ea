"""The passages beside rows that are asked without one, for distillation."""

from dataclasses import replace
from pathlib import Path

from mlx_tutor.dataset.build import build_dataset
from mlx_tutor.dataset.contexts import read_training_rows
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import CourseSettings
from mlx_tutor.text import strip_bold
from mlx_tutor.workspace import Course

TOPICS = ("Kiln", "Glaze", "Slip", "Bisque", "Engobe", "Grog", "Wedging", "Sgraffito")


def make_course(folder: Path) -> Course:
    course = Course(folder, "pottery")
    course.sources.mkdir(parents=True)
    parts = [
        f"# {topic}\n\nA **{topic.lower()}** is a thing that potters of village number {number} "
        f"use on {3 * number + 2} days of each season.\n\nIt was brought there by a family of traders long ago, "
        f"and visitors from the coast still ask for it in the shop beside the old mill number {number}."
        for number, topic in enumerate(TOPICS)
    ]
    (course.sources / "pottery.md").write_text("\n\n".join(parts))
    extract_course(course)
    return course


def test_distilled_rows_have_the_passage_of_their_evidence(tmp_path: Path) -> None:
    course = make_course(tmp_path)
    plain = Recipe(course=CourseSettings(system_prompt="Tutor.", language="en"))
    build_dataset(course, plain, lambda messages: 9, "tokenizer")
    recipe = replace(plain, train=replace(plain.train, distill=0.5))
    train, valid = read_training_rows(course, recipe)
    assert not any("context" in row for row in [*valid, *read_training_rows(course, plain)[0]])
    text = "\n".join(strip_bold(section.text) for d in read_documents(course) for section in d.sections)
    alone = [row for row in train if not row["qa_pair"]["context"]]
    assert alone and all("context" in row for row in alone)
    for row in train:
        if row["qa_pair"]["context"]:
            assert "context" not in row
            continue
        *_, asked = row["context"]
        assert strip_bold(row["origin"]["evidence"]) in asked["content"]
        assert asked["content"].endswith(f"Question: {row['messages'][1]['content']}")
        quoted = asked["content"].split("\n</passage")[0].partition("\n")[2]
        assert all(part in text for part in quoted.split("\n\n"))
