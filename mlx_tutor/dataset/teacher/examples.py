"""Rows that a larger model, or the base itself, writes about each chunk, kept only where the chunk supports them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.mining.code import fence_code
from mlx_tutor.dataset.teacher.evidence import assemble_evidence, number_sentences
from mlx_tutor.dataset.teacher.parsing import Item, Rejected, read_items, read_scores
from mlx_tutor.dataset.teacher.prompts import write_judge_request, write_requests
from mlx_tutor.dataset.teacher.replies import (
    OnProgress,
    Reply,
    Request,
    Teacher,
    Usage,
    ask_all,
    count_request,
    read_reply,
)
from mlx_tutor.dataset.teacher.subjects import Subject, list_subjects
from mlx_tutor.dataset.teacher.support import find_unsupported, pick_supporting
from mlx_tutor.records import Chunk, Place, QaPair
from mlx_tutor.settings import TeacherSettings
from mlx_tutor.workspace import Course

# Estimated tokens of an item without its questions, of a question, and of a rating.
ITEM_TOKENS, QUESTION_TOKENS, SCORE_TOKENS = 110, 20, 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """What asking will take: `known` of `requests` were answered before; tokens and cost are of the others.

    `missing` are some of these others, on which a model of this machine can be timed; `seconds` is what that gave.
    """

    requests: int
    known: int
    tokens_in: int
    tokens_out: int
    cost: float
    most_cost: float
    missing: tuple[Request, ...] = field(default=(), repr=False)
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TeacherRows:
    """What a teacher gave: for each chunk the rows and the rejected ones, and what it took.

    `pairs` are rows as makers give them: pair, method and evidence. `rejected` are those that cannot be used.
    `together` are places of sections that rows join, which must not be parted by a split.
    """

    pairs: Mapping[Chunk, Sequence[tuple[QaPair, str, str]]] = field(default_factory=dict)
    rejected: Sequence[tuple[Chunk, Rejected]] = ()
    usage: Usage = field(default_factory=Usage)
    together: Sequence[tuple[Place, Place]] = ()

    def make(self, chunk: Chunk) -> Iterator[tuple[QaPair, str, str]]:
        """The rows of a chunk."""
        yield from self.pairs.get(chunk, ())

    def to_json(self, settings: TeacherSettings) -> dict[str, Any]:
        """What the manifest says of it."""
        unanswered = Counter(reason for _, reason in self.usage.unanswered)
        return asdict(self.usage) | {
            "cost": round(self.usage.cost(settings), 4),
            "unanswered": dict(sorted(unanswered.items())),
        }


def estimate_teaching(course: Course, chunks: Sequence[Chunk], settings: TeacherSettings) -> Estimate:
    """About what `ask_teacher` will take now."""
    folder, known = find_folder(course), 0
    # Estimated tokens of each request still to be sent, and of its reply.
    asked: list[tuple[int, int]] = []
    unanswered: list[Request] = []
    for subject in list_subjects(chunks):
        requests, kinds = write_requests(subject, settings), len(subject.list_kinds(settings))
        share = kinds / max(1, len(requests))
        replies = [(request, read_reply(folder, settings, request)) for request in requests]
        missing = [request for request, reply in replies if reply is None]
        written = min(settings.max_tokens, round(share * (ITEM_TOKENS + QUESTION_TOKENS * settings.wordings)))
        asked += [(count_request(request), written) for request in missing]
        unanswered += missing
        known += len(requests) - len(missing)
        if not settings.judge:
            continue
        items = [item for _, reply in replies if reply for item in check_reply(reply, subject, settings)[0]]
        count = len(items) + round(share * len(missing))
        judging = write_judge_request(subject.chunk, items)
        if not missing and items and read_reply(folder, settings, judging):
            known += 1
        elif count:
            asked.append((count_request(judging) + written * len(missing), SCORE_TOKENS * count))
    tokens_in, tokens_out = sum(first for first, _ in asked), sum(second for _, second in asked)
    most = settings.max_tokens * len(asked)
    cost, most_cost = (Usage(tokens_in, out).cost(settings) for out in (tokens_out, most))
    sample = tuple(unanswered[: settings.concurrency])
    return Estimate(known + len(asked), known, tokens_in, tokens_out, cost, most_cost, sample)


def find_folder(course: Course) -> Path:
    """Where the replies of a course's teachers are kept."""
    return course.root / "teacher"


def ask_teacher(
    course: Course, chunks: Sequence[Chunk], teacher: Teacher, settings: TeacherSettings, on_progress: OnProgress
) -> TeacherRows:
    """Ask about each chunk, check what comes back, and have it rated where the recipe says so.

    Raises:
        DatasetError: the teacher does not answer; what it said so far is kept.
    """
    folder, usage = find_folder(course), Usage()

    def ask(requests: Sequence[Request], is_usable: Callable[[str], bool]) -> list[Reply | None]:
        return ask_all(requests, teacher, folder, settings, usage, is_usable, on_progress)

    asked = [(subject, request) for subject in list_subjects(chunks) for request in write_requests(subject, settings)]
    replies = ask([request for _, request in asked], lambda text: _has_items(text, settings))
    rejected: list[tuple[Chunk, Rejected]] = []
    found: dict[Subject, list[Item]] = {}
    for (subject, _), reply in zip(asked, replies, strict=True):
        if reply is None:
            continue
        items, refused = check_reply(reply, subject, settings)
        rejected += [(subject.chunk, item) for item in refused]
        if items:
            found.setdefault(subject, []).extend(items)
    if settings.judge:
        verdicts = ask(
            [write_judge_request(subject.chunk, items) for subject, items in found.items()],
            lambda text: bool(read_scores(text)),
        )
        for (subject, items), reply in zip(list(found.items()), verdicts, strict=True):
            found[subject], refused = judge_items(items, reply, settings.judge)
            rejected += [(subject.chunk, item) for item in refused]
    pairs: dict[Chunk, list[tuple[QaPair, str, str]]] = {}
    for subject, items in found.items():
        for item in items:
            pairs.setdefault(subject.find_part(item.evidence), []).extend(write_pairs(item))
    places = [tuple((part.source, part.section) for part in subject.parts) for subject, items in found.items() if items]
    return TeacherRows(pairs, rejected, usage, [(place[0], place[1]) for place in places if len(place) > 1])


def _has_items(text: str, settings: TeacherSettings) -> bool:
    return bool(read_items(text, settings.kinds, settings.wordings)[0])


def check_reply(reply: Reply, subject: Subject, settings: TeacherSettings) -> tuple[list[Item], list[Rejected]]:
    """The items of a reply that rest on what they cite, with that word for word; the others with the reason."""
    chunk = subject.chunk
    kinds, pieces = subject.list_kinds(settings), number_sentences(chunk)
    items, rejected = read_items(reply.text, kinds, settings.wordings, cut=reply.cut, looped=reply.looped)
    kept: list[Item] = []
    for item in items:
        if not all(1 <= number <= len(pieces) for number in item.cited):
            rejected.append(item.reject("it cites a number that is not there"))
            continue
        if not subject.cites_all(item.cited):
            rejected.append(item.reject("it cites one of the two sections only"))
            continue
        supporting = pick_supporting(item, pieces, chunk)
        evidence = assemble_evidence(supporting, pieces, code=item.type == "code")
        if evidence is None:
            rejected.append(item.reject("it cites no code" if item.type == "code" else "it cites too few words"))
            continue
        block = evidence.block
        whole = item.ground(evidence.text, fence_code(block.text, block.language) if item.type == "code" else "")
        if problem := find_unsupported(item, [pieces[number - 1] for number in item.cited], chunk):
            rejected.append(whole.reject(problem))
        else:
            kept.append(whole)
    return kept, rejected


def judge_items(items: Sequence[Item], reply: Reply | None, threshold: int) -> tuple[list[Item], list[Rejected]]:
    """The items rated at least `threshold`, and the others."""
    scores = read_scores(reply.text) if reply is not None else {}
    kept: list[Item] = []
    rejected: list[Rejected] = []
    for number, item in enumerate(items, 1):
        if number not in scores:
            rejected.append(item.reject("not rated by the judge"))
        elif scores[number] < threshold:
            rejected.append(item.reject(f"rated below {threshold} of 10"))
        else:
            kept.append(item)
    return kept, rejected


def write_pairs(item: Item) -> Iterator[tuple[QaPair, str, str]]:
    """A row for each wording of an item; code stands below its question."""
    for question in item.questions:
        asked = f"{question}\n\n{item.code}" if item.code else question
        qa = QaPair(asked, item.thought_process, item.answer, item.type, item.related_concepts)
        yield qa, f"teacher {item.type}", item.evidence
