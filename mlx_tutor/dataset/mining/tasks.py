"""Finding exercises and worked examples with the solution that the text itself gives them.

A solution belongs to an exercise when the file marks both, when it follows directly under a label ("Solution:"), or
when both have the same number and no other exercise has it. What is not certain is left out.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import Literal

from mlx_tutor.dataset.mining.headings import read_heading
from mlx_tutor.dataset.mining.labels import (
    ANSWERS,
    ASKS,
    NUMBERED,
    find_inner_solution,
    is_question,
    is_shared,
    match_solution,
    match_task,
    names_solutions,
)
from mlx_tutor.records import ENTRY, Block, Document

Kind = Literal["exercise", "example", "solution"]
# Pieces that go on with the paragraph before them.
GOES_ON = re.compile(r"^(?:\$\$|\\begin|[a-z]|- |\d+[.)] )")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of a block, or one of its lines, and the section that it stands in."""

    section: int
    block: Block
    text: str


@dataclass(slots=True)
class Task:
    """An exercise, in pieces of the document, and its solution; `place` is the path of headings above it."""

    kind: Kind
    number: str
    place: tuple[str, ...]
    depth: int
    question: list[Piece] = field(default_factory=list)
    solution: list[Piece] = field(default_factory=list)
    # What stands above several exercises and is a part of each.
    shared: str = ""
    # Whether the end of the solution is marked, so that no other text is taken for a part of it.
    is_bounded: bool = False
    is_solved: bool = False


def find_tasks(document: Document, language: str, kind: Literal["course", "exercise"] = "course") -> Iterator[Task]:
    """The exercises of a document that have their solution in it; of a sheet of exercises all that is numbered."""
    yield from _find_marked(document, language)
    reader = _Reader(language, kind)
    reader.read(document)
    solved = [task for task in reader.tasks if task.is_solved]
    if names_solutions(document.source, language):
        solved += [task for task in reader.tasks if not task.is_solved and _solve_by_code(task)]
    yield from (trimmed for task in solved if (trimmed := _trim(task)).question and trimmed.solution)
    yield from _pair_numbers([task for task in reader.tasks if not task.is_solved], reader.solutions)


def list_tasks(document: Document, language: str, solutions: Document | None = None) -> list[Task]:
    """All exercises of a sheet or a past exam in their order, with the solutions that it or another document has."""
    found = list(find_tasks(document, language, "exercise"))
    found += pair_documents(document, solutions, language) if solutions is not None else []
    reader = _Reader(language, "exercise")
    reader.read(document)
    # Solved ones come first, so that of two readings of one exercise theirs is kept.
    tasks = {_place_task(task, document): task for task in reversed([*found, *reader.tasks]) if task.question}
    return [tasks[place] for place in sorted(tasks)]


def _place_task(task: Task, document: Document) -> tuple[int, int, int]:
    """Section, block and character where an exercise begins."""
    first = task.question[0]
    blocks = document.sections[first.section].blocks
    number = blocks.index(first.block) if first.block in blocks else -1
    return first.section, number, first.block.text.find(first.text)


def _solve_by_code(task: Task) -> bool:
    """In a file of solutions, the code below the heading of an exercise is its solution."""
    kinds = [piece.block.kind for piece in task.question]
    first = kinds.index("code") if "code" in kinds else 0
    if not first or not task.depth or "text" in kinds[first:]:
        return False
    task.question, task.solution = task.question[:1], task.question[first:]
    task.is_solved = task.is_bounded = True
    return True


def pair_documents(asked: Document, solved: Document, language: str) -> Iterator[Task]:
    """The exercises of a document with the solutions, under the same numbers, of another one."""
    one, other = _Reader(language, "exercise"), _Reader(language, "solution")
    one.read(asked)
    other.read(solved)
    yield from _pair_numbers([task for task in one.tasks if not task.is_solved], other.solutions)


def _find_marked(document: Document, language: str) -> Iterator[Task]:
    """Exercises that the file marks, each followed by nothing but its solution, or with it inside."""
    for index, section in enumerate(document.sections):
        shared, is_lost = "", False
        for role, group in groupby(section.blocks, lambda block: (block.role or "").partition(" ")[2]):
            run = [Piece(index, block, block.text) for block in group]
            if not role:
                found = next((piece.text for piece in reversed(run) if is_shared(piece.text, language)), "")
                # Where other text stands between, it is not certain what exercises below share.
                shared, is_lost = found, not found and (bool(shared) or is_lost)
                continue
            if is_lost:
                continue
            kinds = [(piece.block.role or "").partition(" ")[0] for piece in run]
            order = [kind for kind, _ in groupby(kinds)]
            split = kinds.index("solution") if "solution" in kinds else len(kinds)
            task = Task("exercise", "", section.heading, 0, run[:split], run[split:], shared, True, True)
            if order == ["exercise"]:
                task = _split_inside(task)
            if order in (["exercise", "solution"], ["exercise"]) and task.solution:
                yield task


def _split_inside(task: Task) -> Task:
    """A marked exercise whose solution only has a label of its own inside."""
    for i, piece in enumerate(task.question):
        if i and (match := match_solution(piece.text, "")) is not None:
            rest = [replace(piece, text=match["text"])] if match["text"] else []
            return replace(task, question=task.question[:i], solution=[*rest, *task.question[i + 1 :]])
    return task


def _pair_numbers(tasks: Sequence[Task], solutions: Sequence[Task]) -> Iterator[Task]:
    """Exercises and solutions with the same number, where it names one of each, if need be under one heading."""
    for solution in solutions:
        same = [task for task in tasks if task.number == solution.number and not task.is_solved]
        rivals = [other for other in solutions if other.number == solution.number]
        if len(same) > 1 or len(rivals) > 1:
            same = [task for task in same if task.place[:-1] == solution.place[:-1]]
            rivals = [other for other in rivals if other.place[:-1] == solution.place[:-1]]
        if len(same) == 1 and len(rivals) == 1 and solution.solution:
            same[0].solution, same[0].is_solved, same[0].is_bounded = solution.solution, True, solution.is_bounded
            yield _trim(same[0])


def _trim(task: Task) -> Task:
    """A solution without a marked end is its first paragraph, with the formulas and lists that go on with it."""
    if task.is_bounded or not task.solution:
        return task
    kept = task.solution[:1]
    for piece in task.solution[1:]:
        if piece.block.kind == "text" and not GOES_ON.match(piece.text) and not kept[-1].text.endswith(":"):
            break
        kept.append(piece)
    return replace(task, solution=kept)


class _Reader:
    """Goes through a document once and collects exercises, solved or not, and solutions that stand elsewhere."""

    def __init__(self, language: str, kind: Literal["course", "exercise", "solution"] = "course") -> None:
        self.language = language
        self.kind = kind
        self.tasks: list[Task] = []
        self.solutions: list[Task] = []
        self.open: Task | None = None
        self.in_solution = False
        self.in_mark = False
        self.shared = ""
        # The piece before this one, outside of exercises.
        self.last: Piece | None = None

    def read(self, document: Document) -> None:
        groups = {"exercise", "solution"}
        for index, section in enumerate(document.sections):
            roles: set[str] = {read_heading(heading, self.language).role for heading in section.heading}
            roles |= {self.kind}
            self._read_heading(index, section.heading, roles)
            self.shared = ""
            for block in section.blocks:
                if block.role in (None, ENTRY):
                    if self.in_mark:
                        self._close()
                    for text in _cut_lines(block, self.language, in_group=bool(groups & roles)):
                        self._read_piece(Piece(index, block, text), section.heading, roles)
                else:
                    self._read_marked(Piece(index, block, block.text))
            if self.open is not None and (roles & {"exercise", "solution", "example"} or self.open.depth):
                self.open.is_bounded = True

    def _read_marked(self, piece: Piece) -> None:
        """What the file marks as a solution, below an exercise that only has a label."""
        is_solution = (piece.block.role or "").startswith("solution")
        if is_solution and self.open is not None and self.open.question and not self.in_solution:
            self._solve()
            self.in_mark = self.open.is_bounded = True
        if is_solution and self.in_mark:
            self._add(piece)
        else:
            self._close(piece.section)

    def _solve(self) -> None:
        if self.open is not None:
            self.in_solution = self.open.is_solved = True

    def _read_heading(self, index: int, path: tuple[str, ...], roles: Set[str]) -> None:
        heading, depth = path[-1].strip("*# "), len(path)
        block = Block("text", heading)
        if match := match_solution(heading, self.language):
            # Below a list of exercises, "Solutions" are not those of the last one.
            if self.open is not None and not match["number"] and depth < (self.open.depth or len(self.open.place) + 1):
                self._close()
            self._begin_solution(match["number"] or "", path, Piece(index, block, ""))
        elif (match := match_task(heading, self.language)) or (
            (match := NUMBERED.match(heading))
            and "exercise" in {read_heading(h, self.language).role for h in path[:-1]}
        ):
            self._begin_task(match, path, Piece(index, block, match["text"]), depth)
        elif self.open is not None and depth > self.open.depth > 0:
            self._add(Piece(index, block, heading))
        else:
            self._close()
            self.last = Piece(index, block, heading)

    def _read_piece(self, piece: Piece, path: tuple[str, ...], roles: Set[str]) -> None:
        if piece.block.kind == "text":
            asked = self.open is not None and not self.in_solution and self.open.question
            if asked and (match := ANSWERS.match(piece.text)):
                self._solve()
                self._add(replace(piece, text=match["text"]))
                return
            if match := match_solution(piece.text, self.language):
                self._begin_solution(match["number"] or "", path, replace(piece, text=match["text"]))
                return
            if match := match_task(piece.text, self.language) or ASKS.match(piece.text):
                self._begin_task(match, path, replace(piece, text=match["text"]), 0)
                return
            numbered = NUMBERED.match(piece.text)
            inside_heading = self.open is not None and self.open.depth > 0
            if numbered and not inside_heading and "solution" in roles:
                self._wait(Task("solution", numbered["number"], path, 0), replace(piece, text=numbered["text"]))
                return
            if numbered and not inside_heading and "exercise" in roles:
                self._begin_task(numbered, path, replace(piece, text=numbered["text"]), 0)
                return
        self._add(piece)

    def _begin_task(self, match: re.Match[str], path: tuple[str, ...], piece: Piece, depth: int) -> None:
        self._close(piece.section)
        groups = match.groupdict()
        number = groups.get("number") or ""
        kind: Kind = "example" if groups.get("example") else "exercise"
        if self.kind == "solution" or any(read_heading(h, self.language).role == "solution" for h in path):
            self._wait(Task("solution", number, path, depth), piece)
            return
        self.open, self.in_solution = Task(kind, number, path, depth, shared=self.shared), False
        self.tasks.append(self.open)
        inner = find_inner_solution(piece.text, self.language)
        if inner is None:
            self._add(piece)
            return
        self._add(replace(piece, text=piece.text[: inner.start()].strip()))
        self._begin_solution("", path, replace(piece, text=piece.text[inner.end() :].strip()))

    def _begin_solution(self, number: str, path: tuple[str, ...], piece: Piece) -> None:
        """The solution of the exercise that is open, where the number is its own or not said; else one that waits."""
        task = self.open
        if task is not None and task.kind == "solution" and number in ("", task.number) and task.solution:
            # A solution that begins with its exercise.
            self._close(piece.section)
            self.solutions = [other for other in self.solutions if other is not task]
            self.open = Task("exercise", task.number, task.place, task.depth, question=task.solution)
            self.tasks.append(self.open)
        if self.open is None and number == "" and self.last is not None and is_question(self.last.text):
            asked = NUMBERED.match(self.last.text)
            question = replace(self.last, text=asked["text"]) if asked else self.last
            self.open = Task("exercise", asked["number"] if asked else "", path, 0, question=[question])
            self.tasks.append(self.open)
        if self.open is not None and self.open.question and not self.in_solution and number in ("", self.open.number):
            self._solve()
            self._add(piece)
        elif number:
            self._wait(Task("solution", number, path, len(path)), piece)
        else:
            self._close(piece.section)

    def _wait(self, solution: Task, piece: Piece) -> None:
        """A solution that stands apart from its exercise, which its number will find."""
        self._close(piece.section)
        if solution.number:
            self.open, self.in_solution = solution, True
            self.solutions.append(solution)
            self._add(piece)

    def _add(self, piece: Piece) -> None:
        self.last = piece if self.open is None else None
        if is_shared(piece.text, self.language) and piece.block.kind == "text":
            self._close(piece.section)
            self.shared = piece.text
        if self.open is not None and piece.text:
            (self.open.solution if self.in_solution else self.open.question).append(piece)

    def _close(self, section: int = -1) -> None:
        """End what is open; where another label of its section ends it, all up to there is a part of it."""
        if self.open is not None:
            last = next(reversed(self.open.solution or self.open.question), None)
            self.open.is_bounded |= last is not None and last.section == section
        self.open, self.in_solution, self.in_mark = None, False, False


def _cut_lines(block: Block, language: str, *, in_group: bool) -> list[str]:
    """The text of a block, in parts where its lines have labels or numbers of their own."""
    lines = block.text.split("\n")
    if block.kind != "text" or len(lines) == 1:
        return [block.text]
    begins = [
        i
        for i, line in enumerate(lines)
        if match_task(line, language)
        or match_solution(line, language)
        or ASKS.match(line)
        or ANSWERS.match(line)
        or (in_group and NUMBERED.match(line))
    ]
    bounds = sorted({0, *begins, len(lines)})
    return ["\n".join(lines[a:b]) for a, b in pairwise(bounds)]
