"""Rows from code: what it is for, what a function does, its steps, what it prints, and how a cell goes on."""

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from textwrap import dedent

from mlx_tutor.dataset.mining.comments import Comment, Described, describe_function, list_comments
from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.dataset.mining.programs import LONGEST_CODE, find_needed, is_predictable, parse_python
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.languages.words import list_stopwords
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import split_sentences, strip_bold

# Words of a purpose, and of what a comment says.
LEAST_GOAL, MOST_GOAL = 4, 35
LEAST_STEP, MOST_STEP = 3, 40
MOST_STEPS = 6
# Lines between one comment and the next.
MOST_UNTOLD = 7
# Transcripts of a shell, data and printed text stand in the same fences as code.
NO_CODE = frozenset(
    {"text", "console", "output", "bash", "sh", "shell", "json", "yaml", "markdown", "html", "xml", "eval_rst"}
)

Row = tuple[QaPair, str, str]


def make_code_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[Row]:
    """For each piece of code what the text or its comments say that it does, and what it printed; nothing is run."""
    table = read_language(chunk.language)
    if table is None or "code_output" not in table.questions:
        return
    blocks = [_straighten(block) for block in chunk.blocks]
    for i, block in enumerate(blocks):
        if block.kind != "code" or block.language in NO_CODE or not 0 < len(block.text.split("\n")) <= LONGEST_CODE:
            continue
        if block.language == "python" and parse_python(block.text) is None:
            continue
        before = blocks[i - 1] if i and blocks[i - 1].kind == "text" else None
        if "code_purpose" in table.questions:
            yield from _explain(block, chunk.blocks[i].text, before, table, concepts, seed)
        for qa, method, evidence in _predict(blocks, i, before, table, seed):
            yield qa, method, evidence or chunk.blocks[i].text


def _straighten(block: Block) -> Block:
    """Code without the margin and the directives that only its page needs."""
    if block.kind != "code":
        return block
    lines = [line for line in dedent(block.text).split("\n") if not re.match(r"#+\s*(?:%%|\||@|\w+\s*=\s*\[)", line)]
    return Block("code", "\n".join(lines).strip("\n"), block.page, block.cell, block.language)


def _explain(
    block: Block, source: str, before: Block | None, table: Language, concepts: Concepts, seed: int
) -> Iterator[Row]:
    """One row of what code does: as its function says, as the text before it says, or as its comments say."""
    comments = list_comments(block.text, block.language)
    texts = {comment.text for comment in comments}
    told = len(texts) == len(comments) and _covers(block.text, comments) and all(_is_step(t, table) for t in texts)
    bare = _leave_out(block.text, comments) if told else block.text
    described = describe_function(block.text, block.language)
    said = _describe(described, table) if described is not None and described.evidence in source else ""
    purpose = find_purpose(before.text, block.text, table) if before is not None else None
    if described is not None and said:
        question = pick(table.questions["code_function"], seed, block.text).format(name=described.name)
        qa = QaPair(_ask(question, described.bare, block.language), (), said, "code", ())
        yield qa, "code function", described.evidence
    elif purpose is not None:
        kind, answer, sentence = purpose
        steps = tuple(comment.text for comment in comments) if told else ()
        question = _ask(pick(table.questions[kind], seed, block.text), bare, block.language)
        yield QaPair(question, steps, answer, "code", concepts.relate(sentence)), "code purpose", sentence
    elif told and comments[0].evidence in source:
        question = _ask(pick(table.questions["code_steps"], seed, block.text), bare, block.language)
        answer = "\n".join(["", *(f"{n}. {comment.text}" for n, comment in enumerate(comments, 1))]).rstrip()
        yield QaPair(question, (), answer, "code", ()), "code steps", comments[0].evidence


def _describe(described: Described, table: Language) -> str:
    """What a function does in the words of its description; "" where those say another thing."""
    text = split_sentences(described.text, table.code)[0]
    about = table.patterns["code_about"].match(text)
    text = about["does"] if about is not None else text
    if not _is_step(text, table) or (described.in_body and text.split()[0].lower() in table.words["code_verbs"]):
        return ""
    return f"{text[0].upper()}{text[1:].rstrip(' .')}."


def find_purpose(text: str, code: str, table: Language) -> tuple[str, str, str] | None:
    """The kind of question, the answer and the sentence, where the last sentence before code says what it does."""
    sentences = split_sentences(text, table.code) if "\n" not in text else []
    last = strip_bold(sentences[-1]).rstrip(" .:") if sentences else ""
    for name in ("code_goal", "code_goal_clause"):
        match = table.patterns[name].search(last) if name in table.patterns else None
        if match is not None and _is_goal(match["goal"], table) and _is_about(match["goal"], code, table):
            return "code_purpose", table.questions["code_purpose_answer"][0].format(goal=match["goal"]), sentences[-1]
    match = table.patterns["code_does"].match(last)
    if match is not None and _is_about(match["does"], code, table):
        return "code_does", f"{match['subject']} {match['does']}.", sentences[-1]
    return None


def _is_goal(goal: str, table: Language) -> bool:
    words = goal.lower().split()
    begins = words[0] in table.words["code_verbs"]
    ends = words[-1] in table.words.get("code_last_verbs", ())
    return LEAST_GOAL <= len(words) <= MOST_GOAL and (begins or ends)


def _is_about(said: str, code: str, table: Language) -> bool:
    """Whether a text stands alone and is about this code: a word of it stands in a name or a comment there."""
    names = {word.lower()[:5] for word in re.findall(r"[^\W\d_]{3,}", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code))}
    shares = any(word[:5] in names for word in re.findall(r"[^\W\d_]{4,}", said.lower()))
    return shares and table.patterns["code_refers"].search(said) is None


def _covers(code: str, comments: Sequence[Comment]) -> bool:
    """Whether comments tell all of a piece of code: a list with a step left out would say another thing."""
    lines = code.split("\n")
    begin = next((n for n, line in enumerate(lines, 1) if line and not line.startswith(("import ", "from ", "#"))), 1)
    marks = [begin, *(comment.lines[0] for comment in comments), len(lines)]
    near = all(after - before <= MOST_UNTOLD for before, after in pairwise(marks))
    return near and 2 <= len(comments) <= MOST_STEPS


def _is_step(text: str, table: Language) -> bool:
    """Whether a comment says what is done: prose that stands alone, of the course's language if that can be told."""
    first, verbs = text.split(maxsplit=1)[0].lower(), table.words["code_verbs"]
    prose = LEAST_STEP <= len(text.split()) <= MOST_STEP and not re.search(r"[={}\[\]]|\w\(\w*[,)]", text)
    forms = {first, first.removesuffix("s"), first.removesuffix("es")}
    if not prose or not forms & verbs or table.patterns["code_refers"].search(text):
        return False
    words = set(re.findall(r"\w+", text.lower()))
    return table.code == "en" or len(words & list_stopwords(table.code)) > len(words & list_stopwords("en"))


def _leave_out(code: str, comments: Sequence[Comment]) -> str:
    """Code without the lines that hold these comments."""
    gone = {line for comment in comments for line in comment.lines}
    kept = "\n".join(line for number, line in enumerate(code.split("\n"), 1) if number not in gone)
    return re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", kept).strip("\n")


def _predict(blocks: Sequence[Block], index: int, before: Block | None, table: Language, seed: int) -> Iterator[Row]:
    block = blocks[index]
    outputs = [other.text for other in _take_outputs(blocks[index + 1 :])]
    above = find_needed(blocks, index) if outputs and block.language else None
    if above is None:
        return
    program = f"{above}\n{block.text}".strip("\n")
    if not is_predictable(program, block.language or "", outputs):
        return
    question = _ask(pick(table.questions["code_output"], seed, block.text), program, block.language)
    yield QaPair(question, (), fence_code("\n".join(outputs), "text"), "output", ()), "code output", outputs[0]
    if block.language == "python":
        yield from _complete(block, above, before, outputs, table, seed)


def _complete(
    block: Block, above: str, before: Block | None, outputs: Sequence[str], table: Language, seed: int
) -> Iterator[Row]:
    """The cell cut between two statements, its purpose and output as the goal, and the rest as the answer."""
    purpose = find_purpose(before.text, block.text, table) if before is not None else None
    task = strip_bold(purpose[2]).rstrip(":. ") + "." if purpose is not None and before is not None else ""
    lines = block.text.split("\n")
    cut = _find_cut(block.text)
    begin, rest = f"{above}\n" + "\n".join(lines[:cut]).rstrip(), re.sub(r"\A(?:[ \t]*\n)+", "", "\n".join(lines[cut:]))
    given = f"{task}\n{begin}\n{' '.join(outputs)}"
    # Nobody can guess from numbers alone what they are of.
    told = bool(task) or (not _only_imports(begin) and len(re.findall(r"[^\W\d_]{3,}", " ".join(outputs))) > 1)
    if not cut or not told or not _can_be_known(rest, given):
        return
    asked = f"{task}\n\n{pick(table.questions['code_completion'], seed, block.text)}".strip()
    question = f"{_ask(asked, begin.strip(chr(10)), block.language)}\n\n{fence_code(chr(10).join(outputs), 'text')}"
    yield QaPair(question, (), fence_code(rest, block.language), "code completion", ()), "cell completion", ""


def _find_cut(code: str) -> int:
    """The line nearest to the middle of a cell before which a statement ends; 0 where there is none."""
    tree = parse_python(code)
    lines = code.split("\n")
    nodes = tree.body[1:] if tree is not None else []
    starts = [min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) - 1 for node in nodes]
    cut = min(starts, key=lambda line: abs(line - len(lines) / 2), default=0)
    # Comments above a statement belong to it.
    while cut and (lines[cut - 1].lstrip().startswith("#") or not lines[cut - 1].strip()):
        cut -= 1
    return cut


def _only_imports(code: str) -> bool:
    return all(line.startswith(("import ", "from ", "#")) or not line.strip() for line in code.split("\n"))


def _can_be_known(rest: str, given: str) -> bool:
    """Whether the rest of a cell does something, with no word or number that is nowhere in what is given."""
    tree = parse_python(rest)
    nodes = list(ast.walk(tree)) if tree is not None else []
    names = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    does = names - {"print"} or any(
        isinstance(n, ast.BinOp | ast.Attribute | ast.For | ast.While | ast.Subscript | ast.comprehension)
        for n in nodes
    )
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    words = {word for value in values if isinstance(value, str) for word in re.findall(r"[^\W\d_]{3,}", value)}
    numbers = {str(value) for value in values if type(value) in (int, float) and value not in (0, 1, 2, 100)}
    return bool(does) and all(word in given for word in words | numbers)


def _ask(question: str, code: str, language: str | None) -> str:
    return f"{question}\n\n{fence_code(code, language)}"


def fence_code(text: str, language: str | None) -> str:
    """Code between fences that are longer than any in it."""
    longest = max((len(ticks) for ticks in re.findall("`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{language or ''}\n{text}\n{ticks}"


def _take_outputs(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.kind != "output":
            return
        yield block
