"""Programs of a notebook: a cell with what it needs of the cells above, and whether its output can be worked out."""

import ast
import builtins
import re
from collections.abc import Iterator, Sequence
from textwrap import dedent

from mlx_tutor.records import Block

LONGEST_CODE, LONGEST_OUTPUT = 30, 12
# Output that changes from run to run, or that nobody can work out.
UNSTABLE = re.compile(
    r"0x[0-9a-f]{6,}|__version__|\b(?:platform|random|time|datetime|uuid|perf_counter|getpid|environ|open|input|urllib"
    r"|requests|default_rng|hashlib|sha\d+|md5|crc32|hash|id|dir|help|globals|locals|__file__)\b"
)
# What a reader can do in the head or by hand; NumPy only where it gives few and short numbers.
MODULES = frozenset(
    "math statistics collections itertools functools operator string re json fractions decimal textwrap heapq bisect "
    "copy dataclasses typing enum abc numbers numpy pprint __future__".split()
)
BEYOND = re.compile(
    r"\d\.\d{6,}|<[\w.]+[ (]|\b(?:WARNING|Warning|Traceback)\b|^\w*(?:Error|Exception|Interrupt)\b", re.MULTILINE
)
MOST_NUMBERS = 30
ORDERS = re.compile(r"\b(?:sorted|sort|reversed|reverse|most_common|OrderedDict)\b")

# In languages other than Python: what is no name, what is one, and what gives it a value or calls it.
STRINGS_AND_COMMENTS = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(?:#|//|--).*")
WORD = re.compile(r"(?<![\w.$@:])[A-Za-z_][\w.]*(?!\w)(?!\s*\()")
DEFINED = re.compile(r"(?<![\w.])([A-Za-z_][\w.]*)(?=\s*(?:<-|:?=(?!=))|\s+in\b)")
CONSTANTS = frozenset(
    "TRUE FALSE NULL NA NaN Inf true false null nothing pi in for if else end while function do".split()
)
SIMPLE = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign)
COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.Try)


def parse_python(code: str) -> ast.Module | None:
    """The syntax tree of a piece of Python; None for what is none, as the transcript of a session."""
    try:
        return ast.parse(dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def find_needed(blocks: Sequence[Block], index: int) -> str | None:
    """The lines of the cells above that give a cell its names; None where some are missing or cannot be told.

    What those cells print is no output of this one: their statements are taken one by one.
    """
    block = blocks[index]
    above = [other.text for other in blocks[:index] if other.kind == "code" and other.language == block.language]
    if block.language == "python":
        return _find_needed_statements(above, block.text)
    parts = [block.text]
    for text in reversed(above):
        if not _find_unknown_words("\n".join(parts)):
            break
        parts.insert(0, text)
    return None if _find_unknown_words("\n".join(parts)) else "\n".join(parts[:-1])


def _find_needed_statements(above: Sequence[str], code: str) -> str | None:
    tree = parse_python(code)
    if tree is None:
        return None
    needed = _find_undefined([tree])
    chosen: list[str] = []
    for text in reversed(above):
        earlier = parse_python(text)
        lines = dedent(text).split("\n")
        for node in reversed(earlier.body if earlier is not None else []):
            if not needed:
                break
            if not _touches(node, needed):
                # Who is changed through another name cannot be seen.
                if _may_change(node):
                    return None
                continue
            # What a call or a loop does to a name, and prints by the way, cannot be told from it.
            if not isinstance(node, SIMPLE) and (_calls(node, "print") or not isinstance(node, (*COMPOUND, ast.Expr))):
                return None
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            chosen.insert(0, "\n".join(lines[first - 1 : node.end_lineno]))
            kept = needed & _find_undefined([node]) if isinstance(node, ast.AugAssign | ast.Expr) else set()
            needed = (needed - _list_bound([node])) | kept | _find_undefined([node])
    return None if needed else "\n".join(chosen)


def _touches(node: ast.stmt, names: set[str]) -> bool:
    """Whether a statement gives one of the names its value, or may change it."""
    if _list_bound([node]) & names:
        return True
    if isinstance(node, SIMPLE):
        return any(
            isinstance(n, ast.Subscript | ast.Attribute) and isinstance(n.ctx, ast.Store) and _find_root(n) in names
            for n in ast.walk(node)
        )
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    return any(isinstance(call.func, ast.Attribute) and _find_root(call.func) in names for call in calls)


def _may_change(node: ast.stmt) -> bool:
    """Whether a statement calls something for its effect."""
    calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)] if not isinstance(node, SIMPLE) else []
    return any(not isinstance(func, ast.Name) or func.id not in dir(builtins) for func in calls)


def _find_root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _calls(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name for n in ast.walk(node))


def _list_bound(nodes: Sequence[ast.AST]) -> set[str]:
    return {name for node in nodes for name in _walk_bound(node)}


def _walk_bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def _find_undefined(nodes: Sequence[ast.AST]) -> set[str]:
    """Names that are read and never set."""
    names = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    return {name.id for name in names} - _list_bound(nodes) - set(dir(builtins))


def _find_unknown_words(program: str) -> set[str]:
    """Of other languages only what looks like an assignment, a loop or a call is known to be defined."""
    bare = STRINGS_AND_COMMENTS.sub(" ", program)
    return set(WORD.findall(bare)) - set(DEFINED.findall(bare)) - CONSTANTS


def is_predictable(program: str, language: str, outputs: Sequence[str]) -> bool:
    """Whether who reads a program can work out what it printed."""
    text = "\n".join(outputs)
    short = text.count("\n") < LONGEST_OUTPUT and len(text) < 600 and program.count("\n") < LONGEST_CODE
    if not short or "more lines]" in text or UNSTABLE.search(program) or UNSTABLE.search(text) or BEYOND.search(text):
        return False
    if language != "python":
        return True
    tree = parse_python(program)
    if tree is None or not _list_modules(tree) <= MODULES:
        return False
    # What is printed as it stands there is no question.
    chosen = any(isinstance(node, ast.If | ast.IfExp | ast.Try | ast.Compare) for node in ast.walk(tree))
    if text in program and not chosen:
        return False
    numbers = len(re.findall(r"\d+", text))
    return numbers <= MOST_NUMBERS and (ORDERS.search(program) is not None or _keeps_order(tree, text))


def _list_modules(tree: ast.AST) -> set[str]:
    imports = (n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom))
    named = (n.module or "." if isinstance(n, ast.ImportFrom) else alias.name for n in imports for alias in n.names)
    return {name.split(".")[0] for name in named}


def _keeps_order(tree: ast.AST, output: str) -> bool:
    """Whether the keys of each dictionary are printed in their order; that of sets, and of old Pythons, is chance."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Set | ast.SetComp) or _calls(node, "set"):
            if len(re.findall(r"\w+", output)) > 2:
                return False
        elif isinstance(node, ast.Dict):
            keys = [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]
            found = [match.start() for key in keys if (match := re.search(rf"\b{re.escape(key)}\b", output, re.I))]
            if found != sorted(found):
                return False
    return True
