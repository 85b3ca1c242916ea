"""Whether an answer engages the student, by its form alone; what it does to a student, nobody here measures.

- It **asks back** when one of its sentences outside code ends with a question mark and is not the student's question
  again (it shares less than nine of ten of that one's content words, or has others).
- It **invites a next step** when one of its last two sentences has words of an invitation ("try", "can you", "next";
  pattern `invite` of the language's table), or is a question that asks back.
- It **addresses the question** when it uses at least half of the question's content words, in any form, or a number of
  it where the question has no such word. An answer may be right without: this finds those that talk of something else.

In a language without a table, the second is a question alone.
"""

import re
from collections.abc import Sequence

from mlx_tutor.evaluation.style import FENCED
from mlx_tutor.languages.table import read_language
from mlx_tutor.languages.words import list_stopwords, stem_words
from mlx_tutor.text import NO_BLANKS, split_lines

WORD = re.compile(r"[^\W\d_]{2,}")
ASKS = re.compile(r"[?？]\W*$")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
LEAST_USED, SAME = 0.5, 0.9
# Sentences at the end in which an invitation counts.
LAST = 2


def measure_engagement(question: str, answer: str, language: str) -> dict[str, bool]:
    """Whether an answer asks back, invites and addresses the question, by the definitions of the module."""
    sentences = [part for part in split_lines(FENCED.sub("\n", answer)) if part.strip()]
    asked = list_content(question, language)
    back = [bool(ASKS.search(part)) and not _repeats(part, asked, language) for part in sentences]
    table = read_language(language)
    invite = table.patterns.get("invite") if table is not None else None
    invited = [invite is not None and invite.search(part) is not None for part in sentences]
    return {
        "asks": any(back),
        "invites": any(back[-LAST:]) or any(invited[-LAST:]),
        "addresses": _addresses(question, answer, asked, language),
    }


def list_content(text: str, language: str) -> frozenset[str]:
    """The stems of the content words of a text; pairs of neighbouring characters where words have no blanks."""
    if NO_BLANKS.search(text):
        # A stop word parts what stands before it from what follows.
        stops = sorted(list_stopwords(language), key=len, reverse=True)
        text = re.sub("|".join(map(re.escape, stops)) or "(?!)", " ", text)
        return frozenset(run[i : i + 2] for run in WORD.findall(text) for i in range(len(run) - 1))
    return frozenset(stem_words(set(WORD.findall(text.lower())) - list_stopwords(language), language))


def _repeats(part: str, asked: frozenset[str], language: str) -> bool:
    words = list_content(part, language)
    return bool(words) and len(words & asked) >= SAME * max(len(words), len(asked))


def _addresses(question: str, answer: str, asked: frozenset[str], language: str) -> bool:
    if asked:
        return len(asked & list_content(answer, language)) >= LEAST_USED * len(asked)
    numbers: Sequence[str] = NUMBER.findall(question)
    return any(number in NUMBER.findall(answer) for number in numbers)
