"""What a teacher is asked about at once: a chunk, or two neighbouring sections that have words in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlx_tutor.dataset.mining.language import list_stems
from mlx_tutor.dataset.teacher.evidence import number_sentences
from mlx_tutor.records import Chunk, Place
from mlx_tutor.settings import CONNECT, TeacherSettings

# A piece of text with fewer words holds no fact to ask about.
LEAST_WORDS = 12
# Content words that two sections must share before something connects them.
LEAST_SHARED = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """The text of one request, and the chunks that it stands in: one, or two of neighbouring sections."""

    chunk: Chunk
    parts: tuple[Chunk, ...]

    def list_kinds(self, settings: TeacherSettings) -> list[str]:
        """The kinds of questions that it can give; two sections are asked for what connects them."""
        if len(self.parts) > 1:
            return [kind for kind in settings.kinds if kind == CONNECT]
        has_code = any(block.kind == "code" for block in self.chunk.blocks)
        return [kind for kind in settings.kinds if kind != CONNECT and (kind != "code" or has_code)]

    def cites_all(self, numbers: Sequence[int]) -> bool:
        """Whether each part has one of the cited pieces, by their numbers from 1."""
        end = 0
        for part in self.parts:
            start, end = end, end + len(number_sentences(part))
            if not any(start < number <= end for number in numbers):
                return False
        return True

    def find_part(self, evidence: str) -> Chunk:
        """The part that holds a piece of its text word for word."""
        return next(part for part in self.parts if any(evidence in block.text for block in part.blocks))


def list_subjects(chunks: Sequence[Chunk]) -> list[Subject]:
    """The chunks with enough text to ask about, each text once, and then the pairs of neighbouring sections."""
    picked: dict[str, Chunk] = {}
    for chunk in chunks:
        if len(chunk.text.split()) >= LEAST_WORDS:
            picked.setdefault(chunk.text, chunk)
    single = list(picked.values())
    return [*(Subject(chunk, (chunk,)) for chunk in single), *_pair_sections(single)]


def _pair_sections(chunks: Sequence[Chunk]) -> list[Subject]:
    """Sections that follow each other below one heading, each in one pair at most, since a split parts no pair."""
    pairs: list[Subject] = []
    before: Chunk | None = None
    for chunk in (chunk for chunk in chunks if chunk.is_first):
        if before is None or not _may_connect(before, chunk):
            before = chunk
            continue
        title = " / ".join(part.heading[-1] for part in (before, chunk))
        joined = replace(before, heading=(*before.heading[:-1], title), blocks=before.blocks + chunk.blocks)
        pairs.append(Subject(joined, (before, chunk)))
        before = None
    return pairs


def _may_connect(one: Chunk, other: Chunk) -> bool:
    near = one.source == other.source and one.section < other.section and one.language == other.language
    below = len(one.heading) == len(other.heading) > 1 and one.heading[:-1] == other.heading[:-1]
    shared = list_stems(one.text, one.language) & list_stems(other.text, other.language)
    return near and below and len(shared) >= LEAST_SHARED


def join_places(alike: Mapping[Place, Place], pairs: Sequence[tuple[Place, Place]]) -> dict[Place, Place]:
    """`alike` (for each section of a group one of them), with the groups of each pair made one."""
    joined = dict(alike)
    for one, other in pairs:
        first, second = joined.get(one, one), joined.get(other, other)
        joined |= {place: first for place, group in joined.items() if group == second}
        joined |= dict.fromkeys((one, other, second), first)
    return joined
