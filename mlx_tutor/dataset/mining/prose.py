"""Which sentences of a paragraph can be quoted: they point at nothing that is not quoted with them."""

import re
from collections.abc import Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import is_whole_sentence, list_sentences
from mlx_tutor.dataset.pointers import is_unfit
from mlx_tutor.languages.table import Language
from mlx_tutor.languages.words import list_stopwords, stem_words
from mlx_tutor.records import Block
from mlx_tutor.text import strip_bold

# What a reader lost on the way: a reference without its number, empty brackets, a blank before a full stop.
LOST = re.compile(
    r"\(\s*[,;]?\s*\)|\[\s*\]|\s[.,;](?:\s|$)|\b(?:in|of|by|see|em|de|por|en|dans|di) ?[.,;)]", re.IGNORECASE
)
# Two sentences in one: a full stop and a small letter, or a heading before its text.
GLUED = re.compile(r"[a-z]{4,}\.\s[a-z]|\w (?:The|This|These|In|It|When|If|Our|Its) [a-z]|\[\d+\]")
WORD = re.compile(r"[^\W\d_]{2,}")
LEAST_WORDS, MOST_WORDS = 5, 50
# Words of the name of what a clause is about, where it is asked about, and where it may be long.
MOST_SUBJECT, LONGEST_SUBJECT = 4, 12


def list_paragraph(block: Block, language: str) -> list[str]:
    """The sentences of a paragraph; none of a list."""
    return [] if "\n" in block.text else list_sentences(block, language)


def is_clear(sentence: str, table: Language) -> bool:
    """Whether a sentence says something on its own page: no question, no rest, nothing that points elsewhere."""
    plain = strip_bold(sentence)
    return (
        LEAST_WORDS <= len(plain.split()) <= MOST_WORDS
        and plain.rstrip('"”’»“)*').endswith((".", "!"))
        and plain.count("(") == plain.count(")")
        and plain.count("“") == plain.count("”")
        and not plain.count('"') % 2
        and not plain.count("$$") % 2
        and not LOST.search(plain)
        and not GLUED.search(plain)
        and not table.patterns["outside"].search(plain)
        and not is_unfit(plain, table)
    )


def stands_alone(sentence: str, table: Language) -> bool:
    """Whether nothing before a clear sentence is needed to understand it."""
    plain = strip_bold(sentence)
    return (
        is_clear(sentence, table)
        and is_whole_sentence(sentence, table.code)
        and not table.patterns["goes_on"].match(plain)
        and not table.patterns["points_back"].search(plain)
    )


def take_run(sentences: Sequence[str], start: int, most: int, table: Language) -> list[str]:
    """Neighbouring clear sentences from `start` on, of at most so many words; none after which the text objects."""
    run: list[str] = []
    words = 0
    for sentence in sentences[start:]:
        words += len(sentence.split())
        if words > most or not is_clear(sentence, table):
            break
        run.append(sentence)
    while run and (rest := sentences[start + len(run) :]) and table.patterns["objects"].match(strip_bold(rest[0])):
        run.pop()
    return run


def cut_run(block: Block, run: Sequence[str]) -> str:
    """Neighbouring sentences as they stand in their block."""
    start = block.text.index(run[0])
    end = start + len(run[0]) if len(run) == 1 else block.text.index(run[-1], start + len(run[0])) + len(run[-1])
    return block.text[start:end]


def lower_first(clause: str, concepts: Concepts) -> str:
    """A clause as it stands inside a sentence: its first word small, unless the course writes it with a capital."""
    first, blank, rest = clause.partition(" ")
    # An article in Italian; what is called X stays.
    return f"{'i' if first == 'I' else concepts.lower(first)}{blank}{rest}"


def find_subject(clause: str, table: Language, most: int = MOST_SUBJECT) -> str:
    """What a clause is about: the words before its verb, where they are few and the verb is a known one."""
    words = clause.split()
    at = next((i for i, word in enumerate(words[: most + 1]) if word.lower() in table.words["verbs"]), 0)
    name = " ".join(words[:at])
    is_plain = re.fullmatch(r"[^\W\d_][\w’'()$`. -]+", name) is not None and not words[at - 1].endswith("ly")
    return name if is_plain and not table.words["no_name"] & {word.lower() for word in words[:at]} else ""


def match_any(names: Sequence[str], text: str, table: Language) -> re.Match[str] | None:
    """The match of the first of these patterns that the language has and that fits."""
    matches = (table.patterns[name].match(text) for name in names if name in table.patterns)
    return next((match for match in matches if match), None)


def stem_content(text: str, language: str) -> list[str]:
    """The stems of the words of a text that mean something, in order."""
    return stem_words([word for word in WORD.findall(text.lower()) if word not in list_stopwords(language)], language)
