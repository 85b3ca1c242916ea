"""How commands show an answer and what supports it, and what they say where nothing does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlx_tutor.stages.job import Job, adapt_hints

if TYPE_CHECKING:
    from mlx_tutor.study.chat.ask import CitedAnswer
    from mlx_tutor.study.chat.conversation import Turn
    from mlx_tutor.study.chat.kept import KeptConversation
    from mlx_tutor.study.search.passages import Passage


def warn_changes(job: Job, missing: str = "Not in the answer yet") -> None:
    """Warn when the sources changed since they were extracted; `missing` says where the changes are not."""
    from mlx_tutor.extract.extract import find_changes

    if changed := find_changes(job.course):
        files = f"{changed[0]}{f' and {len(changed) - 1} more' if len(changed) > 1 else ''}"
        job.screen.warn(adapt_hints(f"{missing}: {files} changed. Run: mlx-tutor extract -c {job.course.name}"))


def warn_passages(job: Job, context: int, found: "Sequence[Passage]", given: "Sequence[Passage]") -> None:
    """Warn when the model gets nothing of the course to answer from."""
    if not found:
        job.screen.warn("Nothing in your course is about this question; the model answers from its own knowledge.")
    elif not given:
        job.screen.warn(
            f"No passage of your course fits beside this question into the model's context "
            f"({context} tokens, {job.recipe.generate.max_tokens} of them kept for the "
            "answer); the model answers from its own knowledge. Lower generate.max_tokens, or take a larger model."
        )


def show_answer(job: Job, label: str, answered: "CitedAnswer") -> None:
    """The question, its answer, and under it what supports it."""
    job.screen.show(f"Question: {answered.question}")
    show_reply(job, label, answered)


def show_reply(job: Job, label: str, answered: "CitedAnswer") -> None:
    """The answer, and under it what supports it."""
    from mlx_tutor.display import draw_answers, draw_sources
    from mlx_tutor.study.chat.ask import clean_text, describe_place
    from mlx_tutor.study.chat.citations import LEGEND, list_references, write_numbered

    def show_places(places: "Sequence[Any]", quotes: Sequence[str]) -> None:
        job.screen.show(draw_sources([(clean_text(describe_place(p)), q) for p, q in zip(places, quotes, strict=True)]))

    answer = answered.answer
    if answer.thoughts:
        job.screen.explain(f"thoughts  {answer.thoughts}")
    job.screen.show(draw_answers(job.screen.results, {label: write_numbered(answered)}))
    if answer.problem:
        job.screen.warn(answer.problem)
        return
    if answered.supported is None:
        job.screen.show("The course was not searched: nothing supports this answer.")
    elif answered.supported:
        sources = list(list_references(answered).values())
        job.screen.show(
            f"Nearly word for word in your course: {len(answered.sources)} of {answered.checked} sentences."
        )
        if len(answered.sources) < answered.checked:
            job.screen.show(LEGEND)
        show_places(sources, [clean_text(source.quote).replace("**", "") for source in sources])
    else:
        job.screen.show("not found in your course")
        if answered.passages:
            job.screen.show("No sentence supports this answer. Read on the question:")
            show_places(answered.passages, [""] * len(answered.passages))


def show_last(job: Job, turns: "Sequence[Turn]", title: str, label: str) -> None:
    """Where a conversation stands that is gone on with; `label` names the model of turns that name none."""
    count = f"{len(turns)} question{'s' if len(turns) > 1 else ''}"
    job.screen.say(f"Going on with “{title}”, {count} so far; the last one:")
    show_answer(job, turns[-1].model or label, turns[-1].cited)


def keep_conversation(job: Job, kept: "KeptConversation | None", question: str = "") -> None:
    """Write a conversation into the journal, where it is kept, with a question that is being answered.

    A problem is told once.
    """
    if kept is not None:
        before = kept.problem
        kept.save(question)
        if kept.problem and kept.problem != before:
            job.screen.warn(kept.problem)
