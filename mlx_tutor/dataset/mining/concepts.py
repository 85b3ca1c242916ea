"""The concepts of a course, and which of them a text names."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from os.path import commonprefix

from mlx_tutor.dataset.mining.defining import Definition
from mlx_tutor.dataset.mining.headings import read_heading
from mlx_tutor.dataset.mining.language import could_be_concept, list_sentences
from mlx_tutor.records import Document
from mlx_tutor.text import strip_bold

BOLD = re.compile(r"\*\*([^*\n]{3,60}?)[:.]?\*\*")
MOST_RELATED = 4


# Words that make a heading a phrase.
NO_NAME = frozenset("the a an is are from into in by with to for on at as between".split())
# Names of concepts whose plural is a verb more often than not.
NO_PLURAL = frozenset({"mean"})
# Simpson's, Bayes'.
GENITIVE = re.compile(r"^[A-Z].+(?:['’]s|s['’])$")
WORD = re.compile(r"[^\W\d_][\w’'-]*")


@dataclass(frozen=True, slots=True)
class Concepts:
    """Names of concepts as they stand inside a sentence, by their lower-case form.

    `capitals` are the words, in lower case, that the course writes with a capital inside sentences, `articles` those
    that it gives the terms that it defines, a space behind each, and `definitions` the best texts that define a term,
    by its folded form.
    """

    names: dict[str, str]
    pattern: re.Pattern[str] | None
    capitals: frozenset[str]
    articles: dict[str, str]
    definitions: Mapping[str, tuple[str, ...]]

    def find(self, text: str) -> list[str]:
        """Concepts named in a text, in order of their first place."""
        if self.pattern is None:
            return []
        found = (match.group(1).lower() for match in self.pattern.finditer(strip_bold(text)))
        return list(dict.fromkeys(self.names[name] for name in found))

    def find_longest(self, text: str) -> list[str]:
        """As `find`, without those that stand inside the name of another."""
        found = self.find(text)
        return [name for name in found if not any(name != other and name in other for other in found)]

    def relate(self, text: str, *asked: str) -> tuple[str, ...]:
        """Concepts that a text names beside the one that was asked about, singular and plural taken as one."""
        known = " ".join(asked).lower()
        related: dict[str, str] = {}
        for name in self.find(text):
            stem = name.lower().rstrip("s")
            if stem not in known:
                related.setdefault(stem, name)
        return tuple(related.values())[:MOST_RELATED]

    def lower(self, term: str) -> str:
        """`term` as it stands inside a sentence."""
        return lower_words(term, self.capitals)

    def refer(self, term: str) -> str:
        """`term` inside a sentence, with its article."""
        return self.articles.get(term.lower(), "") + self.lower(term)


def collect_concepts(documents: Sequence[Document], defined: Mapping[str, Sequence[Definition]]) -> Concepts:
    """Bold terms, headings of a few words and defined terms of a course; `defined` as `collect_definitions` has it."""
    capitals = find_names(documents)
    terms: dict[str, str] = {}
    for document in documents:
        for section in document.sections:
            heading = read_heading(section.heading[-1]).name
            bold = [match[1].strip() for match in BOLD.finditer(section.text)]
            for term in [*([heading] if _names_concept(heading) else []), *bold]:
                if could_be_concept(term):
                    terms.setdefault(term.lower(), lower_words(term, capitals))
    articles: dict[str, str] = {}
    for definition in (definition for found in defined.values() for definition in found):
        articles.setdefault(definition.term.lower(), definition.article)
        if len(definition.term.split()) <= 3:
            terms.setdefault(definition.term.lower(), lower_words(definition.term, capitals))
    for name in NO_PLURAL:
        terms.pop(f"{name}s", None)
    pattern = re.compile(rf"(?<![\w-])({_join_terms(sorted(terms))})", re.IGNORECASE) if terms else None
    texts = {term: tuple(definition.text for definition in found) for term, found in defined.items()}
    return Concepts(terms, pattern, capitals, articles, texts)


def _join_terms(terms: Sequence[str], start: int = 0) -> str:
    """A pattern for the longest of sorted terms, their first `start` characters left out.

    Terms that begin alike share that beginning: a list of thousands one after the other takes minutes for a book.
    """
    branches = []
    ended = ""
    for _, group in groupby(terms, lambda term: term[start : start + 1]):
        alike = list(group)
        if len(alike[0]) == start:
            ended = r"(?![\w-])" if alike[0] in NO_PLURAL else r"(?=s?(?![\w-]))"
            continue
        end = len(commonprefix([alike[0], alike[-1]]))  # noqa: RUF071
        branches.append(re.escape(alike[0][start:end]) + _join_terms(alike, end))
    # What goes on is tried before what ends, so that "logistic regression" is not found as "logistic".
    return f"(?:{'|'.join([*branches, ended] if ended else branches)})"


def find_names(documents: Sequence[Document]) -> frozenset[str]:
    """Words, in lower case, that stand inside sentences with a capital more often than without."""
    capitals: Counter[str] = Counter()
    for document in documents:
        for section in document.sections:
            for block in section.blocks:
                for sentence in list_sentences(block):
                    for word in WORD.findall(strip_bold(sentence))[1:]:
                        capitals[word.lower()] += 1 if word[0].isupper() else -1
    return frozenset(word for word, count in capitals.items() if count > 0)


def lower_words(term: str, names: frozenset[str]) -> str:
    """`term` as it stands inside a sentence: small, but for names and abbreviations."""
    words = term.split(" ")
    keep = [
        word.lower() in names or any(c.isupper() for c in word[1:]) or GENITIVE.search(word) or word in "BCDFGIRXYZ"
        for word in words
    ]
    # The first half of a name that only begins sentences: Monte Carlo.
    if len(words) > 1 and words[0] not in ("A", "An", "The") and words[1][:1].isupper() and keep[1]:
        keep[0] = True
    return " ".join(word if kept else word.lower() for word, kept in zip(words, keep, strict=True))


def _names_concept(heading: str) -> bool:
    """Whether a heading is short enough for a name, and no phrase."""
    words = heading.lower().split()
    return 1 <= len(words) <= 4 and not NO_NAME & set(words)
