"""The same questions to base and tuned model, with search and without: what is right, supported and refused.

Facts of the course in words that no row has, half of them of sections held out of training, and questions that the
course does not answer. An answer is right when it names most of the words that the fact adds to its question, and its
nearest sentence contradicts none of its numbers and does not say the opposite.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlx_tutor.evaluation.answers import Question, Reply
from mlx_tutor.evaluation.bootstrap import Sample, compare_pair, draw_weights, score_percent
from mlx_tutor.evaluation.guards import Guard, is_refused, list_guards
from mlx_tutor.evaluation.kinds import CHANCE, correct_chance, find_chance
from mlx_tutor.evaluation.learned import Fact, Knowledge, split_words
from mlx_tutor.evaluation.metrics import UnicodeTokenizer
from mlx_tutor.evaluation.teaching import CourseText
from mlx_tutor.languages.table import read_language
from mlx_tutor.models import LoadedModel, render_prompt
from mlx_tutor.records import Message
from mlx_tutor.text import split_lines
from mlx_tutor.training.batches import TokenRow

# Facts that are answered in words, and questions of each kind that should be refused.
ANSWERED, REFUSED = 24, 6
# Share of the words that a fact adds to its question that a right answer names.
NAMED = 0.6
UNANSWERABLE = ("out of domain", "unanswerable")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: facts, and questions that the course does not answer; `system` stands before the latter."""

    facts: tuple[Fact, ...]
    guards: tuple[Guard, ...]
    system: tuple[Message, ...]

    def list_turns(self) -> list[tuple[tuple[Message, ...], str]]:
        """System prompt and question of each, facts first."""
        asked = [(fact.system, fact.wordings[0]) for fact in self.facts]
        return asked + [(self.system, guard.question) for guard in self.guards]


def choose_asked(facts: Sequence[Fact], system: Sequence[Message], sources: Sequence[str], seed: int) -> Asked:
    """At most ANSWERED facts, half of them held out where there are so many, and REFUSED questions of each kind."""
    order = np.random.default_rng(seed).permutation(len(facts)).tolist()
    held = [i for i in order if not facts[i].trained]
    trained = [i for i in order if facts[i].trained]
    share = max(ANSWERED // 2, ANSWERED - len(trained))
    chosen = sorted([*held[:share], *trained[: ANSWERED - len(held[:share])]])
    guards = [
        guard for guard in list_guards(facts, sources, min(REFUSED, len(facts)), seed) if guard.kind in UNANSWERABLE
    ]
    return Asked(tuple(facts[i] for i in chosen), tuple(guards), tuple(system))


def write_asked(loaded: LoadedModel, asked: Asked, text: CourseText) -> list[Question]:
    """Each question closed-book, then each with the passages that search brings, where there is a search."""
    prompts: list[list[Message]] = [
        [*system, {"role": "user", "content": question}] for system, question in asked.list_turns()
    ]
    if text.write_prompt is not None:
        prompts += [text.write_prompt(loaded, question) for _, question in asked.list_turns()]
    questions = []
    for line, messages in enumerate(prompts, 1):
        tokens = render_prompt(loaded.tokenizer, messages)
        questions.append(Question(line, tuple(messages), "", TokenRow(tuple(tokens), len(tokens))))
    return questions


def list_taught(refusals: Sequence[str], language: str) -> list[str]:
    """How a refusal reads in the rows, and in the wordings of the course's language."""
    table = read_language(language) or read_language("en")
    keys = ("passages_lack", "passages_lack_term", "refusal", "refusal_passage")
    wordings = [text for key in keys for text in (table.questions.get(key, ()) if table else ())]
    return [*refusals, *(split_lines(text.format(term="", course="", offer=""))[0] for text in wordings)]


def is_right(text: str, fact: Fact, agrees: Callable[[str, str], bool]) -> bool:
    """Whether an answer names most of what a fact adds to its question, and its nearest sentence does not deny it."""
    wanted = split_words(fact.answer) - split_words(" ".join([fact.question, *fact.wordings]))
    if not wanted or len(wanted & split_words(text)) < NAMED * len(wanted):
        return False
    return agrees(max(split_lines(text), key=lambda sentence: len(wanted & split_words(sentence))), fact.answer)


def summarize_conditions(
    asked: Asked,
    replies: Mapping[str, Sequence[Reply]],
    knowledge: Mapping[str, Sequence[Knowledge]],
    text: CourseText,
    taught: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Rows of the table, one for each model and whether it searched, and what the tuned model gained with search.

    `replies` are of `write_asked`, by label; `knowledge` is of all facts that were asked by likelihood.
    """
    turns, count = asked.list_turns(), len(asked.facts)
    rows, right = [], {}
    for label, given in replies.items():
        for start in range(0, len(given), len(turns)):
            said = [reply.text for reply in given[start : start + len(turns)]]
            is_searched = start > 0
            found = [is_right(answer, fact, text.agrees) for fact, answer in zip(asked.facts, said, strict=False)]
            right[label, is_searched] = Sample(np.column_stack([np.array(found, float), np.ones(count)]), score_percent)
            support = [text.find_support(answer, turn[1]) for answer, turn in zip(said, turns, strict=True)]
            kinds = ["course"] * count + [guard.kind for guard in asked.guards]
            refused = [is_refused(answer, kind, taught) for answer, kind in zip(said, kinds, strict=True)]
            held = [ok for ok, fact in zip(found, asked.facts, strict=True) if not fact.trained]
            rows.append(
                {
                    "model": label,
                    "search": is_searched,
                    "facts": count,
                    "right": sum(found),
                    "held_out": len(held),
                    "held_out_right": sum(held),
                    "supported": sum(one[0] for one in support),
                    "checked": sum(one[1] for one in support),
                    "unanswerable": len(asked.guards),
                    "refused": sum(refused[count:]),
                    "refused_by_mistake": sum(refused[:count]),
                    "words": float(np.mean([len(UnicodeTokenizer().tokenize(answer)) for answer in said])),
                    "answers": [
                        {"question": turn[1], "answer": answer, "refused": no, "right": ok}
                        for turn, answer, no, ok in zip(
                            turns, said, refused, [*found, *[None] * len(asked.guards)], strict=True
                        )
                    ],
                    **({} if is_searched else summarize_knowledge(knowledge[label])),
                }
            )
    return {"rows": rows, **_compare_search(list(replies), right, count, seed)}


def _compare_search(labels: Sequence[str], right: Mapping[tuple[str, bool], Sample], count: int, seed: int) -> Any:
    base, tuned = labels[0], labels[-1]
    if (base, True) not in right or not count:
        return {}
    return {"with_search": compare_pair(right[base, True], right[tuned, True], draw_weights(count, seed), 1)}


def summarize_knowledge(knowledge: Sequence[Knowledge]) -> dict[str, Any]:
    """How many facts are recited and known, with chance taken away, and how many are right in each kind."""
    by_kind = {}
    for kind, chance in CHANCE.items():
        margins = [found.kinds[kind] for found in knowledge if kind in found.kinds]
        right = sum(margin > 0 for margin in margins)
        by_kind[kind] = {"asked": len(margins), "right": right, "share": correct_chance(right, len(margins), chance)}
    known, recited = (sum(getattr(found, name) for found in knowledge) for name in ("is_known", "is_recited"))
    chance = float(np.mean([find_chance(tuple(found.kinds)) for found in knowledge]))
    return {
        "asked": len(knowledge),
        "recited": recited,
        "known": known,
        "recited_share": correct_chance(recited, len(knowledge), find_chance(())),
        "known_share": correct_chance(known, len(knowledge), chance),
        "kinds": by_kind,
    }
