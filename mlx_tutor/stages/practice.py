"""Which facts `build --from-learned` makes rows for: those that the newest measured run does not know."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlx_tutor.stages.job import Job

if TYPE_CHECKING:
    from mlx_tutor.dataset.practice import Weak


def find_weak(job: Job, before: "Sequence[Weak] | None") -> "list[Weak]":
    """Facts that are not known or only recited, and those of `before`: what was learned from rows still needs them.

    Raises:
        TutorError: no run was asked what it knows, or not by this version.
    """
    from mlx_tutor.dataset.balance import normalize
    from mlx_tutor.dataset.practice import Weak
    from mlx_tutor.errors import TutorError
    from mlx_tutor.study.quiz.progress import KNOWN, check_learned, read_learned

    learned = check_learned(read_learned(job.course), job.course)
    if any(fact.left_out is None for fact in learned.facts):
        raise TutorError(
            f"Run {learned.run!r} was asked by an older version, in kinds of questions that rows may not have. Ask it "
            f"again: mlx-tutor evaluate -c {job.course.name} --run {learned.run} --learned"
        )
    unknown = [fact for fact in learned.facts if fact.level != KNOWN]
    asked = f"{len(learned.facts)} of {learned.available} facts"
    job.screen.say(f"learned   run {learned.run}, asked {asked} on {learned.finished}: {len(unknown)} not known")
    found = {normalize(fact.answer): fact.left_out or "" for fact in unknown}
    kept = {fact.answer: fact.kind for fact in before or ()}
    return sorted(Weak(answer, kind) for answer, kind in (kept | found).items())
