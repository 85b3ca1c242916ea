"""Two sections asked about together: which, what their rows must cite, and that no split parts them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.dataset.split import split_examples
from mlx_tutor.dataset.teacher.examples import ask_teacher, check_reply
from mlx_tutor.dataset.teacher.prompts import write_requests
from mlx_tutor.dataset.teacher.replies import Reply, Request, Teacher
from mlx_tutor.dataset.teacher.subjects import join_places, list_subjects
from mlx_tutor.records import Block, Chunk, Example, Origin, QaPair
from mlx_tutor.settings import TEACHER_KINDS, TeacherSettings
from mlx_tutor.workspace import Course

SETTINGS = TeacherSettings(model="mlx:any", kinds=TEACHER_KINDS, wordings=1)
TIDES = Block(
    "text",
    "The moon pulls the water of the sea towards it. A spring tide is a high tide when sun and moon pull together, so "
    "the harbour is deepest then.",
)
HARBOUR = Block(
    "text",
    "A deep ship enters the harbour on a spring tide only. The pilot reads the depth of the harbour from a table of "
    "the tides and the moon.",
)
ROPES = Block("text", "A rope of hemp shrinks when it gets wet. A rope of nylon stretches, and it does so for years.")
COURSE = [
    Chunk("sea.md", number, ("Sea", name), (block,))
    for number, (name, block) in enumerate((("Tides", TIDES), ("Harbours", HARBOUR), ("Ropes", ROPES)))
]
GOOD = """KIND: connect
Q: Why does a deep ship wait for sun and moon to pull together?
A: They raise a spring tide, on which alone a deep ship enters the harbour.
FROM: 2, 3"""


def test_neighbours_with_words_in_common_are_asked_about_together() -> None:
    pairs = [subject for subject in list_subjects(COURSE) if len(subject.parts) > 1]
    assert [pair.parts for pair in pairs] == [(COURSE[0], COURSE[1])]
    (request,) = write_requests(pairs[0], SETTINGS)
    asked = request.messages[-1]["content"]
    assert "Sea > Tides / Harbours" in asked and "- connect: " in asked and asked.count("- ") == 1
    assert "[1] The moon pulls" in asked and "[3] A deep ship" in asked
    alone = [
        text.messages[-1]["content"] for chunk in list_subjects(COURSE[:1]) for text in write_requests(chunk, SETTINGS)
    ]
    assert alone and not any("- connect: " in text for text in alone)
    # Of another chapter, another file, or too little in common.
    for other in (
        replace(COURSE[1], heading=("Land", "Harbours")),
        replace(COURSE[1], source="land.md"),
        replace(COURSE[2], section=1),
    ):
        assert all(len(subject.parts) == 1 for subject in list_subjects([COURSE[0], other]))
    assert all(len(s.parts) == 1 for s in list_subjects([COURSE[0], replace(COURSE[1], section=0)]))


@pytest.mark.parametrize(("cited", "reason"), [("2, 3", ""), ("2", "one of the two"), ("3-4", "one of the two")])
def test_a_connection_cites_both_sections(cited: str, reason: str) -> None:
    subject = list_subjects(COURSE)[-1]
    items, refused = check_reply(Reply(GOOD.replace("2, 3", cited)), subject, SETTINGS)
    assert (len(items), len(refused)) == ((0, 1) if reason else (1, 0))
    assert all(reason in item.reason for item in refused)


def test_its_row_stands_where_its_evidence_does_and_both_sections_go_to_one_split(tmp_path: Path) -> None:
    def ask(requests: Sequence[Request], on_reply: Callable[[int, Reply], None]) -> None:
        for index, request in enumerate(requests):
            on_reply(index, Reply(GOOD if "- connect: " in request.messages[-1]["content"] else "KIND: none"))

    taught = ask_teacher(
        Course(tmp_path, "demo"), COURSE, Teacher("any", ask_batch=ask), SETTINGS, lambda name, done, total: None
    )
    ((chunk, rows),) = taught.pairs.items()
    assert chunk in COURSE[:2] and rows[0][1] == "teacher connect" and rows[0][2] in chunk.blocks[0].text
    assert taught.together == [(("sea.md", 0), ("sea.md", 1))]
    alike = join_places({}, taught.together)
    examples = [
        Example((), Origin("sea.md", section, None, None, (), "m", "e"), QaPair(f"{section} {i}", (), "a", "t", ()), {})
        for section in range(8)
        for i in range(3)
    ]
    for seed in range(20):
        splits = split_examples(examples, 0.2, 0.2, seed, alike)
        assert sum({0, 1} & {row.origin.section for row in rows} != set() for rows in splits.values()) == 1


def test_groups_of_like_sections_are_joined_as_a_whole() -> None:
    a, b, c, d, e = (("x.md", i) for i in range(5))
    joined = join_places({a: a, b: a, c: c, d: c}, [(b, d), (d, e)])
    assert {joined[place] for place in (a, b, c, d, e)} == {a}
    assert join_places({a: a, b: a}, [(a, b)]) == {a: a, b: a}
