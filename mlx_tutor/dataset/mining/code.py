"""Rows from notebooks: what code does, what it prints, and how it goes on."""

import ast
import builtins
import re
from collections.abc import Iterator, Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import split_sentences, strip_bold

DOES = ("What does this code do?", "Explain this code.", "What is the purpose of this code?")
PRINTS = ("What does this code print?", "Predict the output of this code.")
COMPLETE = (
    "Complete this cell so that it prints what stands below it.",
    "Finish this cell. It should print the output below.",
)
LONGEST_CODE, LONGEST_OUTPUT = 30, 12
# Output that changes from run to run, or that nobody can work out.
UNSTABLE = re.compile(
    r"0x[0-9a-f]{6,}|\b(?:random|time|datetime|uuid|perf_counter|getpid|environ|open|urllib|requests|default_rng|hashlib"
    r"|sha\d+|md5|crc32)\b"
)


# In languages other than Python: what is no name, what is one, and what gives it a value or calls it.
STRINGS_AND_COMMENTS = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(?:#|//|--).*")
WORD = re.compile(r"(?<![\w.$@:])[A-Za-z_][\w.]*(?!\w)(?!\s*\()")
DEFINED = re.compile(r"(?<![\w.])([A-Za-z_][\w.]*)(?=\s*(?:<-|:?=(?!=))|\s+in\b)")
CONSTANTS = frozenset(
    "TRUE FALSE NULL NA NaN Inf true false null nothing pi in for if else end while function do".split()
)


def make_code_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """For each piece of code: the text before it as its explanation, its output as its prediction, its end."""
    blocks = chunk.blocks
    for i, block in enumerate(blocks):
        if block.kind != "code" or not block.text.strip() or block.text.count("\n") >= LONGEST_CODE:
            continue
        before = blocks[i - 1] if i else None
        if before is not None and before.kind == "text" and _tells_of_code(before):
            answer = strip_bold(before.text).rstrip(":") + ("." if before.text.rstrip().endswith(":") else "")
            question = f"{pick(DOES, seed, block.text)}\n\n{_fence(block.text, block.language)}"
            yield (
                QaPair(question, _read_comments(block.text), answer, "code", concepts.relate(before.text)),
                "code purpose",
                before.text,
            )
        outputs = [other.text for other in _take_outputs(blocks[i + 1 :])]
        program = _find_program(blocks, i)
        if outputs and program is not None and _is_predictable(program, outputs):
            question = f"{pick(PRINTS, seed, block.text)}\n\n{_fence(program, block.language)}"
            answer = _fence("\n".join(outputs), "text")
            yield (
                QaPair(question, _read_comments(block.text), f"It prints:\n\n{answer}", "output", ()),
                "code output",
                outputs[0],
            )
            task = strip_bold(before.text) if before is not None and _tells_of_code(before) else ""
            yield from _make_completion(block, program, task, outputs, seed)


def _make_completion(
    block: Block, program: str, task: str, outputs: Sequence[str], seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    """The cell cut between two statements, its text and output as the goal, and the rest as the answer."""
    if block.language not in ("python", None):
        return
    statements = ast.parse(block.text).body
    lines = block.text.split("\n")
    starts = [min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) for node in statements[1:]]
    cuts = [start - 1 for start in starts if 2 <= start - 1 <= len(lines) - 1]
    if not cuts:
        return
    cut = min(cuts, key=lambda line: abs(line - len(lines) / 2))
    # Comments above a statement belong to it.
    while lines[cut - 1].lstrip().startswith("#") or not lines[cut - 1].strip():
        cut -= 1
    rest = "\n".join(lines[cut:]).strip("\n")
    begin = program.removesuffix("\n".join(lines[cut:])).rstrip()
    if cut < 1 or not begin or begin == program:
        return
    if not task and all(line.startswith(("import ", "from ")) or not line for line in begin.split("\n")):
        return
    asked = f"{task}\n\n{pick(COMPLETE, seed, block.text)}".strip()
    question = f"{asked}\n\n{_fence(begin, block.language)}\n\n{_fence(chr(10).join(outputs), 'text')}"
    yield QaPair(question, (), _fence(rest, block.language), "code completion", ()), "cell completion", block.text


def _fence(text: str, language: str | None) -> str:
    """Code between fences that are longer than any in it."""
    longest = max((len(ticks) for ticks in re.findall("`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{language or ''}\n{text}\n{ticks}"


def _tells_of_code(block: Block) -> bool:
    sentences = split_sentences(block.text)
    words = len(block.text.split())
    return "\n" not in block.text and 8 <= words <= 120 and bool(sentences) and sentences[-1].endswith((".", ":"))


def _read_comments(code: str) -> tuple[str, ...]:
    """Comments that say what the next lines do."""
    comments = (match[1].strip() for match in re.finditer(r"^\s*#\s*(.+)$", code, re.MULTILINE))
    return tuple(c[0].upper() + c[1:].rstrip(".") + "." for c in comments if len(c.split()) >= 3)[:4]


def _take_outputs(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.kind != "output":
            return
        yield block


def _find_program(blocks: Sequence[Block], index: int) -> str | None:
    """The code with as much of the code before it as defines its names; None when some stay undefined."""
    language = blocks[index].language
    parts = [blocks[index].text]
    for block in reversed(blocks[:index]):
        if not _find_undefined("\n".join(parts), language):
            break
        if block.kind == "code" and block.language == language:
            parts.insert(0, block.text)
    program = "\n".join(parts)
    return None if _find_undefined(program, language) or program.count("\n") >= LONGEST_CODE else program


def _find_undefined(program: str, language: str | None) -> set[str]:
    """Names that are read and never set; {"?"} for Python that is none.

    Of other languages only what looks like an assignment, a loop or a call is known to be defined.
    """
    if language not in ("python", None):
        bare = STRINGS_AND_COMMENTS.sub(" ", program)
        return set(WORD.findall(bare)) - set(DEFINED.findall(bare)) - CONSTANTS
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError):
        return {"?"}
    read: set[str] = set()
    bound = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound


def _is_predictable(program: str, outputs: Sequence[str]) -> bool:
    text = "\n".join(outputs)
    return (
        text.count("\n") < LONGEST_OUTPUT
        and len(text) < 600
        and "more lines]" not in text
        and not UNSTABLE.search(program)
        and not UNSTABLE.search(text)
        and not re.match(r"^\w*(?:Error|Exception|Interrupt)\b", text)
    )
