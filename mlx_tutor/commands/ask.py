"""Command: answer one question from the course, with its sources."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlx_tutor.commands.options import common_options, model_options
from mlx_tutor.stages.ask import show_answer, warn_changes, warn_passages
from mlx_tutor.stages.choose import choose_model
from mlx_tutor.stages.job import Options, open_job

if TYPE_CHECKING:
    from mlx_tutor.study.search.passages import Passage


@click.command()
@click.argument("question")
@model_options("Ask")
@common_options("course", "run", "overrides", "json")
def command(options: Options, question: str, no_search: bool, base: bool, adapter: str | None) -> None:
    """Answer a question from the course, with its sources.

    Reads the newest fused model and corpora/NAME/dataset/documents.jsonl; writes corpora/NAME/index.sqlite, the search
    index. Sentences that support the answer are quoted word for word; an answer without any is marked.

    Example: mlx-tutor ask "What is heteroscedasticity?"
    """
    job = open_job(options)

    from mlx_tutor.models import context_length, load_spec
    from mlx_tutor.study.chat.ask import answer_question, clean_question
    from mlx_tutor.study.chat.citations import write_numbered
    from mlx_tutor.study.search.index import open_index

    question = clean_question(question)
    with ExitStack() as stack:
        index = None if no_search else stack.enter_context(open_index(job.course, job.recipe))
        if index is not None:
            warn_changes(job)
        model = choose_model(job, base, adapter)
        label = model.label
        with job.screen.wait(f"loading {label}"):
            loaded = load_spec(model)

        writers: list[Callable[[str, str], None]] = []

        def begin_answer(found: "Sequence[Passage]", given: "Sequence[Passage]") -> None:
            if index is not None:
                warn_passages(job, context_length(loaded.config), found, given)
            # Not earlier: a warning would break the live display.
            writers.append(stack.enter_context(job.screen.watch_answers([label])))

        answered = answer_question(
            loaded, index, question, job.recipe, begin_answer, lambda piece: writers[0](label, piece)
        )
    if options.json:
        numbered = {"numbered": write_numbered(answered)}
        job.screen.give_json({"course": job.course.name, "model": label} | asdict(answered) | numbered)
        return
    show_answer(job, label, answered)
