"""An exam from its first line to its last, as a command holds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlx_tutor.records import ModelSpec
from mlx_tutor.stages.job import Job, adapt_hints
from mlx_tutor.study.exam.record import make_code

if TYPE_CHECKING:
    from mlx_tutor.study.exam.mode import Exam


@contextmanager
def run_exam(job: Job, model: ModelSpec, *, search: bool = True) -> Iterator["Exam"]:
    """An exam from its first line to its last; everything has to be loaded.

    Raises:
        TutorError: it cannot start.
    """
    from mlx_tutor.display import draw_facts
    from mlx_tutor.study.exam import mode as study

    with job.screen.wait("hashing the model and testing the denial of the network"):
        exam = study.start_exam(job.course, job.recipe, model, search=search)
    job.screen.show(draw_facts(study.describe_start(exam)), "", f"Start code, to be written down: {exam.start_code}")
    try:
        with study.run_exam(exam):
            yield exam
    finally:
        show_end(job, exam)


def show_head(job: Job, exam: "Exam") -> None:
    """The newest code, and what is wrong with the record if anything is."""
    from mlx_tutor.study.exam import mode as study

    if exam.problem:
        job.screen.warn(f"The record of the exam is NOT complete on disk. {exam.problem}")
    job.screen.show(study.describe_head(exam))


def show_end(job: Job, exam: "Exam") -> None:
    """What is shown at the end of an exam."""
    if exam.problem:
        numbers = ", ".join(str(entry["number"]) for entry in exam.waiting)
        job.screen.warn(f"Entries {numbers} of the record are LOST, they could not be written. {exam.problem}")
    job.screen.show("", f"End code, to be written down: {make_code(exam.head)} (entry {exam.count})")
    job.screen.say(adapt_hints(f"Hand in the record with: mlx-tutor exam export {exam.name} -c {job.course.name}"))
