"""What `evaluate` measures beside the losses: answers and checks as they are kept or made now, and the limits."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlx_tutor.stages.job import Job
from mlx_tutor.workspace import Run

if TYPE_CHECKING:
    from mlx_tutor.evaluation.teaching import CourseText
    from mlx_tutor.models import LoadedModel
    from mlx_tutor.records import Message


# A grounded statement must not repeat itself: a weak model's few words occur in many sentences.
MOST_REPEATED = 0.4


@contextmanager
def open_course_text(job: Job) -> "Iterator[CourseText]":
    """What the measures need of the data half and of the search index.

    Rows that came without a course have the answers of the training rows for a text, and nothing to search.
    """
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.dataset.chunk import split_document
    from mlx_tutor.dataset.mining.concepts import collect_concepts
    from mlx_tutor.dataset.mining.defining import collect_definitions
    from mlx_tutor.evaluation.style import measure_repetition
    from mlx_tutor.evaluation.teaching import CourseText
    from mlx_tutor.extract.extract import read_documents
    from mlx_tutor.records import split_question
    from mlx_tutor.study.chat.ask import SEARCHED, fit_passages
    from mlx_tutor.study.chat.support import find_support, is_compatible
    from mlx_tutor.study.search.index import open_index

    level = job.recipe.course.grade_level
    if not (job.course.dataset / "documents.jsonl").is_file():
        sources = [row["messages"][-1]["content"] for row in read_rows(job.course, "train")]
        yield CourseText(sources, level, lambda text: (), lambda answer, question: (0, 0))
        return
    documents = read_documents(job.course)
    chunks = [chunk for document in documents for chunk in split_document(document, job.recipe.dataset.chunk_tokens)]
    concepts = collect_concepts(documents, collect_definitions(chunks))
    with open_index(job.course, job.recipe) as index:

        def support(answer: str, question: str) -> tuple[int, int]:
            asked = split_question(question)[1]
            passages = [*index.search(asked, SEARCHED), *index.search(answer, SEARCHED)] if answer else []
            sources, checked = find_support(answer, asked, list(dict.fromkeys(passages)), index.language)
            firm = [s for s in sources if measure_repetition(s.sentence, 1) <= MOST_REPEATED]
            return len(firm), len(checked)

        def write_prompt(loaded: "LoadedModel", question: str) -> "list[Message]":
            return fit_passages(loaded, question, index.search(question, SEARCHED), job.recipe)[0]

        def agrees(sentence: str, reference: str) -> bool:
            return is_compatible(sentence, reference, index.language)

        text = [section.text for document in documents for section in document.sections]
        yield CourseText(text, level, concepts.find, support, write_prompt, agrees)


def run_answers(job: Job, run: Run, text: "CourseText", limit: int | None, seed: int) -> dict[str, Any]:
    """The measures of the generated answers, from the file or made now."""
    from mlx_tutor.dataset.build import read_measured_rows
    from mlx_tutor.dataset.messages import has_format
    from mlx_tutor.evaluation.evaluate import read_part
    from mlx_tutor.evaluation.measure import hash_answers, measure_answers
    from mlx_tutor.stages.model import find_base

    rows, _ = read_measured_rows(job.course, thinking=job.recipe.model.thinking)
    base = find_base(job, run)
    answers = read_part(run, "answers", hash_answers(run, base, job.recipe, rows, limit, seed, text))
    if answers is not None:
        job.screen.say(f"answers   up to date: {answers['questions']} questions")
        return answers
    with job.screen.count_files("answers") as on_progress:
        return measure_answers(run, base, job.recipe, rows, has_format, on_progress, limit, seed, text)


def run_checks(
    job: Job, run: Run, text: "CourseText", names: Sequence[str], limit: int | None, seed: int
) -> dict[str, dict[str, Any]]:
    """The named checks, learned or guards, from the file or made now."""
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.evaluation.checks import hash_checks, measure_guards, measure_learned
    from mlx_tutor.evaluation.evaluate import read_part
    from mlx_tutor.stages.model import find_base

    found: dict[str, dict[str, Any]] = {}
    thinking = job.recipe.model.thinking
    rows = {split: read_rows(job.course, split, thinking=thinking) for split in ("train", "valid", "test")}
    base = find_base(job, run)
    for name in names:
        inputs = hash_checks(run, base, job.recipe, rows, text.sources, limit, seed)
        kept = read_part(run, name, inputs)
        if kept is not None:
            job.screen.say(f"{name:<9} up to date")
            found[name] = kept
            continue
        with job.screen.count_files(name) as on_progress:
            if name == "learned":
                found[name] = measure_learned(run, base, job.recipe, rows, text, inputs, on_progress, limit, seed)
            else:
                found[name] = measure_guards(
                    run, base, job.recipe, rows, text.sources, inputs, on_progress, limit, seed
                )
    return found


def check_limits(job: Job, evaluation: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Whether all limits of [gate] hold, and the result as JSON; says which are broken, a line each."""
    from mlx_tutor.evaluation.gate import check_gate

    held, broken = check_gate(evaluation, job.recipe.gate)
    for line in broken:
        job.screen.warn(f"limit broken: {line}")
    if not broken:
        job.screen.say(f"gate      {len(held)} {'limit holds' if len(held) == 1 else 'limits hold'}")
    for line in held:
        job.screen.explain(line)
    return not broken, {"gate": {"held": held, "broken": broken}}
