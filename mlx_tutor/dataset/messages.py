"""A question and its worked answer as chat messages, and whether a text has that form."""

import re
from collections.abc import Sequence
from functools import cache

from mlx_tutor.languages.table import list_frames, read_frame
from mlx_tutor.records import Message, QaPair, split_thoughts
from mlx_tutor.settings import CourseSettings

MARK = re.compile(r"<(?=/?passage)", re.IGNORECASE)


def write_passages(passages: Sequence[tuple[str, str]], question: str, language: str) -> str:
    """A user turn that quotes passages, each with its place, and asks a question about them."""
    quoted = [
        f"<passage {number}: {defuse_marks(place)}>\n{defuse_marks(text)}\n</passage {number}>"
        for number, (place, text) in enumerate(passages, 1)
    ]
    return "\n".join([*quoted, "", f"{read_frame(language)['question']}{defuse_marks(question)}"])


def add_grounding(system_prompt: str, language: str) -> str:
    """A system prompt with what is to be said of passages, once."""
    if any(system_prompt.endswith(frame["grounding"]) for frame in list_frames()):
        return system_prompt
    return f"{system_prompt}\n\n{read_frame(language)['grounding']}".strip()


def defuse_marks(text: str) -> str:
    """`text` with the marks of a quoted passage broken up, so that it can neither close nor forge one."""
    return MARK.sub("< ", text)


def write_messages(
    qa: QaPair, course: CourseSettings, place: str = "", language: str | None = None
) -> tuple[Message, ...]:
    """Thoughts as numbered steps, then the answer, then related concepts as a list; empty parts are left out.

    The context of the pair, if it has one, is quoted before the question with its `place`. What stands around passages
    is in the language of the course, as it is when a course is asked; the answer's frame is in `language`, by default
    the same.
    """
    frame = read_frame(course.language if language is None else language)
    parts = []
    if qa.thought_process:
        parts.append("\n".join([frame["steps"], *(f"{i}. {step}" for i, step in enumerate(qa.thought_process, 1))]))
    parts.append(f"{frame['answer']}{qa.answer}" if qa.thought_process or qa.related_concepts else qa.answer)
    if qa.related_concepts:
        parts.append("\n".join([frame["related"], *(f"- {concept}" for concept in qa.related_concepts)]))
    question, system = qa.question, course.system_prompt
    if qa.context:
        question = write_passages([(place, qa.context)], qa.question, course.language)
        system = add_grounding(system, course.language)
    return (
        {"role": "system", "content": system},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "\n\n".join(parts)},
    )


def part_thoughts(turn: Message) -> Message:
    """A turn of a model that thinks: the steps that `write_messages` wrote, or a `<think>`, apart from what is said."""
    if turn["role"] != "assistant":
        return turn
    thoughts, said = split_thoughts(turn["content"])
    frame = next((frame for frame in list_frames() if said.startswith(f"{frame['steps']}\n")), None)
    if frame is not None:
        steps, _, answer = said.removeprefix(f"{frame['steps']}\n").partition(f"\n\n{frame['answer']}")
        has_related = f"\n\n{frame['related']}\n" in answer
        thoughts, said = (steps, f"{frame['answer']}{answer}" if has_related else answer)
    told: Message = {**turn, "content": said}
    return {**told, "reasoning_content": thoughts} if thoughts else told


@cache
def _compile_forms() -> tuple[re.Pattern[str], ...]:
    """In each language, an answer with steps, and one with related concepts alone."""
    forms = []
    for frame in list_frames():
        steps, answer, related = (re.escape(frame[part]) for part in ("steps", "answer", "related"))
        listed = rf"\n\n{related}\n(?:- .+\n?)+"
        forms.append(rf"\A{steps}\n(?:\d+\. .+\n)+\n{answer}\S.*(?:{listed})?\Z")
        forms.append(rf"\A{answer}\S.*{listed}\Z")
    return tuple(re.compile(form, re.DOTALL) for form in forms)


def has_format(text: str) -> bool:
    """Whether an answer has the parts that `write_messages` writes, in their order, in any of the languages."""
    return any(form.match(text.strip()) for form in _compile_forms())
