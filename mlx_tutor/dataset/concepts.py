"""The concepts of a course, and which of them a piece of text speaks of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlx_tutor.dataset.language import clean_heading, could_be_concept, is_topic, lower_first, strip_bold
from mlx_tutor.records import Document

BOLD = re.compile(r"\*\*([^*\n]{3,60}?)[:.]?\*\*")
MOST_RELATED = 4


@dataclass(frozen=True, slots=True)
class Concepts:
    """Names of concepts as they stand inside a sentence, by their lower-case form."""

    names: dict[str, str]
    pattern: re.Pattern[str] | None

    def find(self, text: str) -> list[str]:
        """Concepts named in a text, in order of their first place."""
        if self.pattern is None:
            return []
        found = (match.group(1).lower() for match in self.pattern.finditer(strip_bold(text)))
        return list(dict.fromkeys(self.names[name] for name in found))

    def relate(self, text: str, *asked: str) -> tuple[str, ...]:
        """Concepts that a text names beside the one that was asked about, singular and plural taken as one."""
        known = " ".join(asked).lower()
        related: dict[str, str] = {}
        for name in self.find(text):
            stem = name.lower().rstrip("s")
            if stem not in known:
                related.setdefault(stem, name)
        return tuple(related.values())[:MOST_RELATED]


def collect_concepts(documents: Sequence[Document], defined: Iterable[str]) -> Concepts:
    """Bold terms, headings of a few words and defined terms of a course."""
    terms: dict[str, str] = {}
    for document in documents:
        for section in document.sections:
            heading = clean_heading(section.heading[-1])
            bold = [match[1].strip() for match in BOLD.finditer(section.text)]
            for term in [*([heading] if is_topic(heading) and len(heading.split()) <= 4 else []), *bold]:
                if could_be_concept(term):
                    terms.setdefault(term.lower(), lower_first(term))
    for term in defined:
        terms.setdefault(term.lower(), lower_first(term))
    # Longest first, so that "logistic regression" is not found as "regression".
    ordered = sorted(terms, key=lambda term: (-len(term), term))
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, ordered))})(?=s?\b)", re.IGNORECASE) if ordered else None
    return Concepts(terms, pattern)
