"""Answers without code: what is left out, what stays, and that nothing is shown first and taken back later."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_tutor.generate import PromptCache
from mlx_tutor.hide import NOTE, CodeHider, has_code, hide_code
from mlx_tutor.models import load_model
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import CourseSettings, ExamSettings
from mlx_tutor.study.chat import ask
from mlx_tutor.study.chat.conversation import Conversation, answer_turn
from tests.programs import MIXED, write_program


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See:\n\n```python\nx = 1\n\nprint(x)\n```\n\nRead on.", f"See:\n\n{NOTE}\n\nRead on."),
        ("```\nnever ended\nimport x", NOTE),
        ("~~~r\nx <- 1\n~~~\nafter", f"{NOTE}\nafter"),
        ("````\n```\ninner\n```\n````\nafter", f"{NOTE}\nafter"),
        ("So: ```print(1)``` and on", f"So: {NOTE} and on"),
        ("As ```python\nprint(1)\n``` and on", f"As {NOTE}\n and on"),
        ("<pre>\nx = 1\n</pre>\nafter", f"{NOTE}\nafter"),
        ("The <CODE>mean(x)</code> of x", f"The {NOTE} of x"),
        ("Take `df.mean()` of `df`", "Take [code left out] of `df`"),
        ("import numpy as np\nx = np.array([1])\nx += 1\n\nSo.", f"{NOTE}\n\nSo."),
        ("def mean(x):\n    return sum(x) / len(x)\n\nThat is it.", f"{NOTE}\n\nThat is it."),
        (">>> 1 + 1\n2 is shown", f"{NOTE}\n2 is shown"),
        ("1. df.describe()\n2. Look", f"{NOTE}\n2. Look"),
        ("> import math\n> x = math.pi\n\nSo.", f"{NOTE}\n\nSo."),
        ("> See:\n>\n> - df.describe()\n\nSo.", f"> See:\n>\n{NOTE}\n\nSo."),
        (
            "| how | what |\n|---|---|\n| mean | df.mean(axis=0) |\n| mode | the top |",
            f"| how | what |\n|---|---|\n{NOTE}\n| mode | the top |",
        ),
        ("Type <samp>x = mean(y)</samp> there", f"Type {NOTE} there"),
        ("> The mean is the sum over the count (of all).", "> The mean is the sum over the count (of all)."),
        ("| a | b |\n|---|---|\n| f(x) | x for all x |", "| a | b |\n|---|---|\n| f(x) | x for all x |"),
        ("SELECT a FROM b", NOTE),
        ("int main() {\n  return 0;\n}", NOTE),
        ("fit <- lm(y ~ x)\nsummary(fit)", f"{NOTE}\nsummary(fit)"),
        ("So:\n\n    x = 1\n\n    y = 2\n\nEnd.", f"So:\n\n{NOTE}\n\nEnd."),
        ("```\na\n```\n```\nb\n```\nc", f"{NOTE}\nc"),
    ],
)
def test_code_is_left_out(text: str, shown: str) -> None:
    assert hide_code(text) == shown
    assert has_code(text) == (text != shown)


@pytest.mark.parametrize(
    "text",
    [
        "The mean is 3.\n\nIts root, too.",
        "y = a + b*x\n\n$\\bar{x} = f(x)$\n\n$$\n\\frac{1}{n} \\sum_i x_i\n$$",
        "- First\n\n    More of it.\n\n    - Below\n- Second",
        "- for each value in the sample:\n- if it is small: drop it\n- with replacement:",
        "1. Sort the values;\n2. take the middle one (see above);",
        "From the sample, import nothing. While it lasts: wait.",
        "P(A) = 0.5, and p < 0.05 (two-sided).",
        "a `mode`, and ` alone",
        "",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert hide_code(text) == text
    assert not has_code(text)
    # A note in an answer of before is no code.
    assert not has_code(f"{text}\n\n{NOTE}")


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.just(MIXED), st.text("ab `~\n\t<>/precod=().:-1import ", max_size=80)), st.data())
def test_pieces_show_what_the_whole_does(text: str, data: st.DataObject) -> None:
    hider, shown, rest = CodeHider(), "", text
    while rest:
        size = data.draw(st.integers(1, 12))
        shown += hider.feed(rest[:size])
        rest = rest[size:]
    assert (shown + hider.finish()).strip() == hide_code(text)


def test_no_code_is_ever_shown() -> None:
    hider, shown = CodeHider(), ""
    for character in MIXED:
        shown += hider.feed(character)
        assert not [word for word in ("import", "print", "median(", "x = 3", "``", "remove") if word in shown]
    shown += hider.finish()
    assert shown == hide_code(MIXED)
    assert shown.count(NOTE) == 2 and shown.endswith("Done, so y = a + b*x.") and "`mode`" in shown


@pytest.mark.parametrize("without_code", [True, False])
@pytest.mark.parametrize("exam", [True, False])
def test_a_conversation_without_code(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, without_code: bool, exam: bool
) -> None:
    monkeypatch.setattr(ask, "generate_answer", write_program)
    hidden = Recipe(exam=ExamSettings(allow_code=False)) if exam else Recipe(CourseSettings(allow_code=False))
    recipe = hidden if without_code else Recipe()
    shown: list[str] = []
    turn = answer_turn(
        *(load_model(tiny_model), None, Conversation(), "How is the mean computed?", recipe, PromptCache()),
        on_text=shown.append,
        exam=exam,
    )
    assert "".join(shown).strip() == turn.cited.answer.text == (hide_code(MIXED) if without_code else MIXED)


def test_an_exam_setting_does_not_count_outside_exams() -> None:
    assert not Recipe(exam=ExamSettings(allow_code=False)).hides_code()
    assert Recipe(CourseSettings(allow_code=False)).hides_code(exam=True)


def test_a_question_to_a_course_without_code(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "generate_answer", write_program)
    shown: list[str] = []
    recipe = Recipe(CourseSettings(allow_code=False))
    cited = ask.answer_question(load_model(tiny_model), None, "Write a program.", recipe, on_text=shown.append)
    assert "".join(shown).strip() == cited.answer.text == hide_code(MIXED)
