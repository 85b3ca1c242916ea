"""Command: ask questions of the course, grade the answers, and ask again when they are due."""

import io
import select
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Job, Options, open_job

if TYPE_CHECKING:
    from mlx_tutor.study.quiz.grade import Grade, Verdict
    from mlx_tutor.study.quiz.questions import StudyQuestion

# A line that comes later than this (seconds) was typed, not pasted with the line before.
PASTE_SECONDS = 0.02
KEYS = "Enter agree · r right · p partly right · w wrong · x never ask again · q leave"
VERDICTS: "dict[str, Verdict]" = {"r": "right", "p": "partly", "w": "wrong"}
NAMES = {"right": "right", "partly": "partly right", "wrong": "wrong"}


@click.command()
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="Number of questions.")
@click.option("--due", is_flag=True, help="Only say how many questions are due.")
@click.option("--restore", is_flag=True, help="Ask again what was put aside with x.")
@common_options("course", "json")
def command(options: Options, count: int, due: bool, restore: bool) -> None:
    """Answer questions of the course, and come back to what was wrong.

    Your answer is graded by the key concepts that it names; one key overrules the grade. What was wrong comes back in
    minutes, what was right in days, later each time. Ctrl-D or q leaves; the next quiz goes on from there. In a pipe,
    each line is an answer; what a program prints ends with an empty line.

    Reads corpora/COURSE/dataset, writes your answers into corpora/COURSE/journal.sqlite.

    Example: mlx-tutor quiz --count 5
    """
    from mlx_tutor.study.quiz.questions import list_questions
    from mlx_tutor.study.quiz.session import check_scheduler, measure_progress, restore_questions

    check_scheduler()
    job = open_job(options)
    questions = list_questions(job.course, job.recipe.dataset.holdout)
    if restore:
        job.screen.say(f"Questions that are asked again: {restore_questions(job.course)}")
    answers = [] if due else run_quiz(job, questions, count)
    progress = measure_progress(job.course, questions)
    if options.json:
        times = {"next_due": progress.next_due.isoformat() if progress.next_due else None}
        job.screen.give_json({"answers": answers, "standing": asdict(progress) | times})
        return
    if answers:
        counts = Counter(answer["verdict"] for answer in answers)
        parts = [f"{counts[verdict]} {name}" for verdict, name in NAMES.items() if counts[verdict]]
        job.screen.show(f"\n{len(answers)} answered: {', '.join(parts)}.")
    job.screen.show(describe_progress(job, questions))


def describe_progress(job: Job, questions: "Sequence[StudyQuestion]") -> str:
    """How many questions are due, new and waiting, and when the next one comes back."""
    from mlx_tutor.study.quiz.session import describe_wait, measure_progress

    progress = measure_progress(job.course, questions)
    aside = f", {progress.aside} put aside" if progress.aside else ""
    text = (
        f"{job.course.name}: {progress.due} of {progress.questions} questions due, {progress.new} new, "
        f"{progress.waiting} waiting{aside}; {progress.wrong} not right last time."
    )
    return f"{text} The next comes back {describe_wait(progress.next_due)}." if progress.next_due else text


def run_quiz(job: Job, questions: "Sequence[StudyQuestion]", count: int) -> list[dict[str, Any]]:
    """Ask up to `count` questions; returns the answers as JSON. Each is kept as soon as it is judged."""
    from mlx_tutor.study.quiz.adapt import find_prerequisite, pick_harder
    from mlx_tutor.study.quiz.grade import grade_answer
    from mlx_tutor.study.quiz.session import (
        describe_answer,
        describe_wait,
        pick_question,
        store_answer,
        suspend_question,
    )

    interactive = sys.stdin.isatty()
    if interactive:
        # Lets `input` edit what is typed.
        with suppress(ImportError):
            import readline  # noqa: F401
        job.screen.say(f"{describe_progress(job, questions)}\nAn empty answer: I do not know. Ctrl-D leaves.", "dim")
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    answers: list[dict[str, Any]] = []
    last = None
    before: StudyQuestion | None = None
    while len(answers) < count:
        harder = pick_harder(job.course, questions, before) if before is not None else None
        picked = (harder, True) if harder else pick_question(job.course, questions, last)
        if picked is None:
            break
        question, new = picked
        last, before = question.key, question
        show_question(job, question, f"{len(answers) + 1} of {count}{', new' if new else ', again'}")
        answer = read_answer(question, interactive, job.options.json)
        if answer is None:
            return answers
        grade = grade_answer(question, answer)
        show_grade(job, question, answer, grade)
        verdict, leaving = ask_verdict(job, grade) if interactive else (grade.verdict, False)
        if verdict is None:
            suspend_question(job.course, question)
            job.screen.show("Put aside.")
            continue
        due = store_answer(job.course, question, answer, grade, verdict)
        said = f"Kept as {NAMES[verdict]}. " if verdict != grade.verdict else ""
        read = f" Read first: {find_prerequisite(questions, question)}." if verdict == "wrong" else ""
        job.screen.show(f"{said}It comes back {describe_wait(due)}.{read}")
        answers.append(describe_answer(question, answer, grade, verdict))
        if leaving:
            return answers
    return answers


def show_question(job: Job, question: "StudyQuestion", note: str) -> None:
    """The question, without its place: a heading may give the answer away."""
    from mlx_tutor.display import draw_study

    job.screen.show(draw_study(note, question.text, end="End with an empty line." if question.is_output else ""))


def read_answer(question: "StudyQuestion", interactive: bool, json: bool) -> str | None:
    """What is typed, or the next line of a pipe; several lines up to an empty one for output. None: leave."""
    lines: list[str] = []
    try:
        while True:
            line = _read_line(interactive, json)
            # Pasted lines are one answer.
            while interactive and not question.is_output and select.select([sys.stdin], [], [], PASTE_SECONDS)[0]:
                line += "\n" + input()
            if not question.is_output:
                return line
            if not line.strip():
                return "\n".join(lines)
            lines.append(line)
    except (EOFError, KeyboardInterrupt) as err:
        if isinstance(err, KeyboardInterrupt) and not interactive:
            raise
        click.echo(err=json)
        return "\n".join(lines) if lines else None


def _read_line(interactive: bool, json: bool) -> str:
    if interactive and json:
        # `input` would write its prompt to stdout.
        click.echo("> ", nl=False, err=True)
    return input("> " if interactive and not json else "")


def show_grade(job: Job, question: "StudyQuestion", answer: str, grade: "Grade") -> None:
    """The verdict with its reason, and what the course says where."""
    from mlx_tutor.display import draw_facts, draw_study

    if not answer.strip():
        verdict, style = "No answer", "bold yellow"
    elif grade.verdict == "wrong":
        verdict, style = "Not recognized as right", "bold red"
    else:
        verdict, style = NAMES[grade.verdict].capitalize(), "bold green" if grade.verdict == "right" else "bold yellow"
    facts = [("named", ", ".join(grade.named)), ("missing", ", ".join(grade.missing)), ("but", grade.remark)]
    if question.is_output:
        facts = [("output", grade.remark)]
    if not answer.strip():
        facts = []
    elif not question.is_output:
        facts.append(("words", f"ROUGE-1 {100 * grade.rouge1:.0f}, ROUGE-L {100 * grade.rougeL:.0f} of 100"))
    reference = grade.reference
    job.screen.show(
        draw_study(verdict, reference.answer, style=style, end=reference.place),
        draw_facts([(name, value) for name, value in facts if value]),
    )


def ask_verdict(job: Job, grade: "Grade") -> "tuple[Verdict | None, bool]":
    """The verdict that the student agrees with, by one key, or None for a question that is not worth asking.

    The second value says whether to leave.
    """
    job.screen.show(KEYS)
    while True:
        try:
            key = click.getchar()
        except (EOFError, KeyboardInterrupt):
            return grade.verdict, True
        match key.lower():
            case "q":
                return grade.verdict, True
            case "x":
                return None, False
            case "\r" | "\n" | " ":
                return grade.verdict, False
            case "r" | "p" | "w" as letter:
                return VERDICTS[letter], False
