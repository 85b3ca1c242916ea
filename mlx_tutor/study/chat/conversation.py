"""A conversation about a course: turns that the model remembers while they fit, style, level, retry and undo.

Passages stay in the turn they came with, so that the beginning of the prompt, and with it the prompt cache, holds from
turn to turn; a passage that the model still has before it is not given again.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from mlx_tutor.dataset import styles
from mlx_tutor.errors import TutorError
from mlx_tutor.generate import PromptCache
from mlx_tutor.models import LoadedModel, context_length, render_prompt
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Message
from mlx_tutor.study.chat.ask import (
    SEARCHED,
    CitedAnswer,
    Generate,
    Request,
    cite_answer,
    clean_question,
    clean_text,
    describe_place,
    generate_shown,
    pick_passages,
    write_question,
    write_system,
)
from mlx_tutor.study.chat.citations import LEGEND, list_references, write_numbered
from mlx_tutor.study.chat.markdown import escape_html
from mlx_tutor.study.search.index import Index
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.study.search.words import list_stems

# What each style adds to the recipe's system prompt; the same as in training.
STYLES = styles.STYLES
# Levels that are offered; others can be typed, a few words each.
LEVELS = ("beginner", "primary school", "high school", "undergraduate", "graduate", "expert")
LONGEST_LEVEL = 60
# Share of the free context that the passages of one turn may take: later turns need some too. The
# best passage may take more, since a short context would otherwise hold none.
PASSAGE_SHARE = 0.5
# Passages that a follow-up question adds to those of its topic that are still in the conversation.
FRESH = 1
# Turns are dropped until the rest, with the question, takes this share of the context. Dropping one shifts the start
# of the prompt, which must then be computed again: the next turns should fit without that.
KEPT_SHARE = 0.5
# Temperature of a retry, unless the recipe's is higher; at 0 the answer would be the same.
RETRY_TEMP = 0.7
# A question with one of these words and few of its own, or with none ("Why?"), is about the question before it.
OWN_WORDS = 3
BACKWARD = re.compile(
    r"\b(?:it|its|this|that|these|those|they|them|their|examples?|more|again|shorter|simpler)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer.

    `given` are the passages that stand in this turn, while `cited.passages` also has those of earlier turns that were
    found again. `topic` is what the next question is searched with when it refers back; `first` is the index of the
    first turn that the model still knew; `tries` counts the answers before this one; `model` names who answered.
    """

    cited: CitedAnswer
    given: tuple[Passage, ...]
    topic: str
    first: int
    tries: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes to the model for a question.

    `found` is what the search found, `given` the part of it that stands in the new turn, `recalled` the part that
    stands in turns before it. `dropped` are the turns that the model knew one question ago, and no longer does.
    """

    messages: list[Message]
    found: tuple[Passage, ...]
    given: tuple[Passage, ...]
    recalled: tuple[Passage, ...]
    topic: str
    first: int
    dropped: int


@dataclass(slots=True)
class Conversation:
    """All turns so far, the style of those to come, the level of the student (None: the recipe's), and who answers."""

    style: str | None = None
    level: str | None = None
    turns: list[Turn] = field(default_factory=list)
    model: str = ""

    def set_style(self, name: str) -> None:
        """Take a style of STYLES, or "off"; raises TutorError when there is no such style."""
        if name not in (*STYLES, "off"):
            raise TutorError(f"No style {name!r}. Styles: {', '.join(STYLES)}, off.")
        self.style = None if name == "off" else name

    def set_level(self, name: str) -> None:
        """Take a student's level in a few words, or "off"; raises TutorError when it is none."""
        level = " ".join(clean_text(name).split())
        if len(level) > LONGEST_LEVEL or not any(character.isalpha() for character in level):
            raise TutorError(f"A level is a few words, as {', '.join(LEVELS)}; at most {LONGEST_LEVEL} characters.")
        self.level = None if level.lower() == "off" else level

    def find_last(self) -> Turn:
        """The newest turn; raises TutorError when there is none."""
        if not self.turns:
            raise TutorError("Nothing has been asked yet.")
        return self.turns[-1]

    def undo(self) -> Turn:
        """Remove the newest turn; turns dropped for it return."""
        turn = self.find_last()
        del self.turns[-1]
        return turn

    def clear(self) -> None:
        """Forget all turns; style and level stay."""
        self.turns.clear()


def find_style(teaching_style: str) -> str | None:
    """The style that the recipe's `course.teaching_style` names, if it names one."""
    words = re.findall(r"\w+", teaching_style.lower())
    return next((style for style in STYLES if style in words), None)


def answer_turn(
    loaded: LoadedModel,
    index: Index | None,
    conversation: Conversation,
    question: str,
    recipe: Recipe,
    cache: PromptCache,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_text: Callable[[str], None] = lambda piece: None,
    is_stopped: Callable[[], bool] = lambda: False,
    replaces: Turn | None = None,
    exam: bool = False,
    generate: Generate = generate_shown,
) -> Turn:
    """Answer the next question of a conversation and add the turn; on an error the conversation stays as it was.

    Args:
        index: The course's index; None: the model answers alone, and nothing is checked.
        recipe: System prompt and limits.
        is_stopped: Asked after each piece; an answer that is stopped is kept as far as it came.
        replaces: The newest turn, when it is to be answered again.
        exam: Whether the settings of exams count too, for code in the answer.

    Raises:
        TutorError: an empty question.
        ModelError: the question fills the model's context.
    """
    question = clean_question(question)
    begun = time.perf_counter()
    turns = conversation.turns if replaces is None else conversation.turns[:-1]
    plan = plan_turn(loaded, index, turns, question, recipe, conversation.style, conversation.level)
    on_plan(plan)
    tries = 0 if replaces is None else replaces.tries + 1
    settings = recipe.generate
    if tries:
        settings = replace(settings, temp=max(settings.temp, RETRY_TEMP), seed=settings.seed + tries)
    known = [*plan.found, *(passage for turn in turns[plan.first :] for passage in turn.given)]
    searched = time.perf_counter() - begun
    request = Request(loaded, plan.messages, settings, on_text, cache, is_stopped, recipe.hides_code(exam))
    cited = cite_answer(request, index, question, plan.given, known, searched, generate)
    cited = replace(cited, passages=tuple(p for p in plan.found if p in plan.given + plan.recalled))
    turn = Turn(cited, plan.given, plan.topic, plan.first, tries, conversation.model)
    conversation.turns[:] = [*turns, turn]
    return turn


def plan_turn(
    loaded: LoadedModel,
    index: Index | None,
    turns: Sequence[Turn],
    question: str,
    recipe: Recipe,
    style: str | None = None,
    level: str | None = None,
) -> Plan:
    """Search the course, and fit question, passages and as many of the newest turns as may stay into the context."""
    topic = find_topic(question, turns, index.language if index else "en")
    query = question if topic == question else f"{topic} {question}"
    found = index.search(query, SEARCHED) if index is not None else []
    room = context_length(loaded.config) - recipe.generate.max_tokens
    system, language = recipe.course.system_prompt, recipe.course.language
    system = styles.write_system(system, style or "", level or "", language)

    def write(first: int, given: Sequence[Passage]) -> list[Message]:
        grounded = bool(given) or any(turn.given for turn in turns[first:])
        user: Message = {"role": "user", "content": write_question(question, given, language)}
        return [*write_system(system, grounded, language), *write_turns(turns[first:], language), user]

    def count(first: int) -> int:
        return len(render_prompt(loaded.tokenizer, write(first, ())))

    share = PASSAGE_SHARE * (room - count(len(turns)))
    before = turns[-1].first if turns else 0
    for first in range(before, len(turns) + 1):
        bare = count(first)
        if first < len(turns) and bare > (room if first == before else KEPT_SHARE * room):
            continue
        seen = {_name(passage) for turn in turns[first:] for passage in turn.given}
        recalled = tuple(passage for passage in found if _name(passage) in seen)
        follows = topic != question and bool(recalled)
        fresh = [passage for passage in found if _name(passage) not in seen][: FRESH if follows else None]
        best = len(render_prompt(loaded.tokenizer, write(first, fresh[:1])))
        limit = min(room, max(bare + int(share), best))
        messages, given = pick_passages(loaded, fresh, partial(write, first), limit, recipe.dataset.passages)
        # Passages of the course matter more than old turns.
        if given or recalled or not found:
            break
    return Plan(messages, tuple(found), given, recalled, topic, first, first - before)


def _name(passage: Passage) -> tuple[str, int, str]:
    return passage.source, passage.section, passage.text


def find_topic(question: str, turns: Sequence[Turn], language: str = "en") -> str:
    """The last question that is complete by itself, which may be this one."""
    return turns[-1].topic if turns and refers_back(question, language) else question


def refers_back(question: str, language: str = "en") -> bool:
    """Whether a question is about the one before it."""
    own = len(list_stems([BACKWARD.sub(" ", question)], language)[0])
    return not own or (own <= OWN_WORDS and BACKWARD.search(question) is not None)


def write_turns(turns: Sequence[Turn], language: str) -> list[Message]:
    """Turns as messages for the model."""
    messages: list[Message] = []
    for turn in turns:
        user = write_question(turn.cited.question, turn.given, language)
        messages.append({"role": "user", "content": user})
        messages.append({"role": "assistant", "content": turn.cited.answer.text})
    return messages


def write_markdown(turns: Sequence[Turn], title: str) -> str:
    """A conversation as Markdown, each answer with its sources; HTML in it is shown as text."""
    parts = [f"# {escape_html(title)}"]
    for turn in turns:
        question = "\n".join(f"> {line}" for line in escape_html(turn.cited.question).splitlines())
        parts += [question, escape_html(write_numbered(turn.cited))]
        if references := list_references(turn.cited):
            lines = [
                f"{number}. {describe_place(source)}: “{source.quote.replace('**', '')}”"
                for number, source in references.items()
            ]
            parts.append(f"Sources: {LEGEND}\n\n" + escape_html(clean_text("\n".join(lines))))
        elif turn.cited.supported is False:
            parts.append("*not found in your course*")
    return "\n\n".join(parts) + "\n"
