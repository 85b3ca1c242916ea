"""Rows from exercises with their solutions: what a solution says, in order, as steps, and its conclusion the answer."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

from mlx_tutor.dataset.chunk import find_language
from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import is_exercise
from mlx_tutor.dataset.mining.labels import match_solution
from mlx_tutor.dataset.mining.tasks import Piece, Task, find_tasks, pair_documents
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Chunk, Document, QaPair
from mlx_tutor.text import split_sentences, strip_bold

FEWEST_WORDS, LONGEST_QUESTION, LONGEST_SOLUTION = 4, 180, 260
MOST_STEPS = 12
# A solution of fewer words that has a number, which the question must give reason for.
FEW_WORDS = 20
SHORT = 6
POINTS = re.compile(
    r"\s*[\[(]\s*(?P<points>\d+)\s*(?:points?|marks?|pts?|Punkte?|puntos?|pontos?|punti|%)\s*[\])]\s*", re.IGNORECASE
)
ITEM = re.compile(r"^\s*(?:- |\d{1,2}[.)] |\(?[a-z]\) )")
NUMBER = re.compile(r"^\s*\d{1,2}[.)] ")
# A part of an exercise, a choice by its letter, and fractions that lost their line.
PART = re.compile(r"^\W*(?:[a-z]|[ivx]+)[.)]\s|^[a-z]")
OPTION = re.compile(r"\W*(?:\w|\d+|true|false)\W*", re.IGNORECASE)
# The key of a whole set of questions: "(1:D, 2:A)".
KEY = re.compile(r"(?:\d+\s*[.:)]?\s*[A-Ea-e]\b[\s,;]*){2,}")
LOST = re.compile(r"(?<![\d,.])(?!\d{1,3}(?: \d{3})+(?![\d]))\d[\d.,]* \d|\) \d |\* \* \*|\d \. \S|\$[×·]\$\s*(?:\n|$)")
# Letters that stand for something, as an event or a variable.
NAMELESS = re.compile(r"(?<![\w.'’])[B-HJ-Z](?![\w'’.+#-])")
# Parts of a question, and the answers to them.
BLANK = re.compile(r"```\w*\s*\W{0,9}\n?```")
COUNTED = re.compile(r"(?:^|\s)(?:\d{1,2}[.)]\s|\([a-h]\))")
COMPUTES = re.compile(r"=|≈|\\approx")
STARS = re.compile(r"\s*\([★☆]+\)|^Q\d+[:.]\s*")


def make_worked_rows(documents: Sequence[Document], concepts: Concepts) -> Iterator[tuple[Chunk, QaPair, str, str]]:
    """Rows of all exercises of a course that have a solution, each with the part of the document that it is from."""
    for document in documents:
        code = find_language(document)
        tasks = list(find_tasks(document, code))
        other = find_solutions(document, documents, code)
        tasks += pair_documents(document, other, code) if other is not None else []
        for task in tasks:
            qa = make_worked_row(task, code, concepts)
            if qa is not None:
                holder = other if other is not None and not _stands_in(task.solution[0], document) else document
                place = task.solution[0].section
                blocks = tuple(dict.fromkeys(piece.block for piece in task.solution if piece.section == place))
                chunk = Chunk(holder.source, place, holder.sections[place].heading, blocks, False, code)
                yield chunk, qa, "exercise", _find_evidence(task.solution[0])


def make_worked_row(task: Task, code: str, concepts: Concepts) -> QaPair | None:
    """The row of an exercise; None where it is not understood alone, or its solution is none."""
    language = read_language(code)
    if language is None or "worked_solution" not in language.patterns:
        return None
    task = _strip_titles(task, code)
    question, solution = write_pieces(task.question), write_pieces(task.solution)
    question = STARS.sub("", POINTS.sub(" ", question)).strip()
    shared = _strip_lead(strip_bold(task.shared), language)
    said = f"{shared}\n{question}\n{solution}"
    outside = language.patterns["worked_points"].search(said) or language.patterns["worked_empty"].search(solution)
    if (
        outside
        or not FEWEST_WORDS <= _count(question, code) <= LONGEST_QUESTION
        or not 1 <= _count(solution, code) <= LONGEST_SOLUTION
        or not language.patterns["worked_asks"].search(question)
        or PART.match(question)
        or BLANK.search(said)
        or OPTION.fullmatch(solution)
        or LOST.search(solution)
        or KEY.search(solution)
        or 0 < len(COUNTED.findall(solution)) < len(COUNTED.findall(question))
        or question.endswith(":")
        or solution.endswith((":", ","))
        or not (shared or _says_enough(task, question, solution, language))
        or not _stands_alone(task)
    ):
        return None
    parts = COUNTED.search(question) is not None
    steps, answer = ((), "") if parts else _part_steps(task.solution, language)
    related = concepts.relate(said)
    return QaPair(question, steps, answer or solution, "exercise", related, shared)


def _strip_titles(task: Task, code: str) -> Task:
    """An exercise without the lines that only say that it is one: "Check your understanding", "Answer"."""
    question, solution = list(task.question), list(task.solution)
    while len(question) > 1 and is_exercise(question[0].text, code):
        del question[0]
    while len(solution) > 1 and (label := match_solution(solution[0].text, code)) and not label["text"]:
        del solution[0]
    return replace(task, question=question, solution=solution)


def _says_enough(task: Task, question: str, solution: str, language: Language) -> bool:
    """Whether a question holds all that its answer is made from: no names, numbers or data of a text before it."""
    is_short = len(_list_sentences(question, language.code)) == 1 and len(task.question) == 1
    is_short = is_short and not COUNTED.search(question)
    refers = language.patterns["worked_refers"].search(question) or language.patterns["worked_follows"].search(question)
    letters = NAMELESS.search(question) and not re.search(r"[=$`]", question)
    # What only repeats the question solves nothing.
    told, asked = ({*re.findall(r"\d+", text)} for text in (solution, question))
    is_brief = _count(solution, language.code) < SHORT and "`" not in solution
    repeats = write_pieces(task.solution[-1:]) in question or (is_brief and bool(told) and told <= asked)
    counted = (
        re.search(r"\d", solution) and not re.search(r"[\d`]", question) and _count(solution, language.code) < FEW_WORDS
    )
    return not (is_short and (refers or letters)) and not counted and not repeats


def _list_sentences(text: str, code: str) -> list[str]:
    return [sentence for line in text.split("\n") if line.strip() for sentence in split_sentences(line, code)]


def _strip_lead(shared: str, language: Language) -> str:
    """What exercises share, without the words that say so."""
    lead, colon, rest = shared.partition(":")
    return rest.strip(" *") if colon and language.patterns["worked_shared"].search(lead) else shared


def _count(text: str, code: str) -> int:
    return len(text) // 2 if code == "zh" else len(text.split())


def write_pieces(pieces: Sequence[Piece]) -> str:
    """Pieces as they are shown: code between fences, what code printed too."""
    parts = []
    for piece in pieces:
        if piece.block.kind in ("code", "output"):
            language = piece.block.language or "" if piece.block.kind == "code" else ""
            parts.append(f"```{language}\n{piece.text}\n```")
        else:
            parts.append(strip_bold(piece.text))
    return "\n\n".join(parts).strip()


def _stands_alone(task: Task) -> bool:
    """Whether code in the solution uses nothing that it does not make: what earlier cells made is not known."""
    codes = [p for p in (*task.question, *task.solution) if p.block.kind == "code"]
    python = [piece.text for piece in codes if piece.block.language == "python"]
    return not python or not find_undefined("\n".join(python))


def find_undefined(code: str) -> set[str]:
    """Names that Python code uses and nowhere defines, beside those that everybody imports; `?` where it is no code."""
    import ast
    import builtins

    try:
        tree = ast.parse(re.sub(r"^[%!].*$", "", code, flags=re.MULTILINE))
    except (SyntaxError, ValueError):
        return {"?"}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return used - made - set(dir(builtins)) - {"np", "pd", "plt", "math"}


def _part_steps(solution: Sequence[Piece], language: Language) -> tuple[tuple[str, ...], str]:
    """The lines of a solution before its conclusion, and the conclusion; nothing where it does not end with one."""
    if any(piece.block.kind != "text" for piece in solution):
        return (), ""
    lines = [line for piece in solution for line in _cut_steps(strip_bold(piece.text), language)]
    if not 1 <= len(lines) - 1 <= MOST_STEPS:
        return (), ""
    # Numbered lines are parts of the answer, unless the last of them is what the others lead to.
    last = NUMBER.sub("", lines[-1])
    if ITEM.match(lines[-1]) and (last == lines[-1] or not language.patterns["worked_conclusion"].match(last)):
        return (), ""
    lines = [NUMBER.sub("", line) for line in lines]
    # Of an argument in words, the last sentence alone seldom answers what was asked.
    computes = COMPUTES.search(last) and sum(COMPUTES.search(line) is not None for line in lines) > 1
    # The last point of several is no conclusion.
    is_point = "worked_point" in language.patterns and language.patterns["worked_point"].match(last)
    return (tuple(lines[:-1]), last) if computes and not is_point else ((), "")


def _cut_steps(text: str, language: Language) -> list[str]:
    """Sentences and items of a piece, each with the displayed formula that it ends in."""
    lines: list[str] = []
    for part in text.split("\n"):
        for sentence in [part.strip()] if ITEM.match(part) else split_sentences(part, language.code):
            goes_on = lines and (
                sentence.startswith(("$$", "\\begin")) or not lines[-1].endswith((".", "!", "?", "$$"))
            )
            if goes_on and not ITEM.match(part):
                lines[-1] = f"{lines[-1]} {sentence}"
            else:
                lines.append(sentence)
    return lines


def _find_evidence(piece: Piece) -> str:
    """An exact piece of the block."""
    return piece.text if piece.text and piece.text in piece.block.text else piece.block.text


def _stands_in(piece: Piece, document: Document) -> bool:
    return piece.section < len(document.sections) and piece.block in document.sections[piece.section].blocks


def find_solutions(document: Document, documents: Sequence[Document], code: str) -> Document | None:
    """The one document whose file name is that of this one and a word for solutions."""
    pattern = (table.patterns.get("worked_solution") if (table := read_language(code)) else None) or None
    if pattern is None:
        return None

    def split(source: str) -> tuple[str, bool]:
        path = PurePath(source)
        words = [word for word in re.split(r"[\W_]+", path.stem.lower()) if word]
        kept = [word for word in words if not pattern.fullmatch(word) and word not in ("sol", "solution", "solutions")]
        return str(path.parent / " ".join(kept)), len(kept) < len(words)

    stem, is_solution = split(document.source)
    found = [d for d in documents if d.source != document.source and split(d.source) == (stem, True)]
    return found[0] if len(found) == 1 and not is_solution else None
