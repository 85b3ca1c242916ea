"""Rows from code: what a function does, what a cell prints, and how it goes on."""

import ast
import re
from collections.abc import Iterator, Sequence
from textwrap import dedent

from mlx_tutor.dataset.mining.comments import Described, describe_function
from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.dataset.mining.programs import LONGEST_CODE, find_needed, is_predictable, parse_python
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.languages.words import list_stopwords, stem_words
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import split_sentences

# Words of a description.
LEAST_WORDS, MOST_WORDS = 3, 40
# Words that it adds to the name of its function.
LEAST_ADDED = 3
# Transcripts of a shell, data and printed text stand in the same fences as code.
NO_CODE = frozenset(
    {"text", "console", "output", "bash", "sh", "shell", "json", "yaml", "markdown", "html", "xml", "eval_rst"}
)

Row = tuple[QaPair, str, str]


def make_code_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[Row]:
    """For each piece of code what its own text says that it does, and what it printed; nothing is run."""
    table = read_language(chunk.language)
    if table is None or "code_output" not in table.questions:
        return
    blocks = [_straighten(block) for block in chunk.blocks]
    for i, block in enumerate(blocks):
        if block.kind != "code" or block.language in NO_CODE or not 0 < len(block.text.split("\n")) <= LONGEST_CODE:
            continue
        if block.language == "python" and parse_python(block.text) is None:
            continue
        if "code_function" in table.questions:
            yield from _explain(block, chunk.blocks[i].text, table, seed)
        for qa, method, evidence in _predict(blocks, i, table, seed):
            yield qa, method, evidence or chunk.blocks[i].text


def _adds(said: str, name: str, language: str) -> bool:
    """Whether a description says more than the words of the name: "make_mixture: make a mixture of things"."""
    named = {*stem_words(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()), language)}
    words = [word for word in re.findall(r"[^\W\d_]{2,}", said.lower()) if word not in list_stopwords(language)]
    return len({*stem_words(words, language)} - named) >= LEAST_ADDED


def _straighten(block: Block) -> Block:
    """Code without the margin and the directives that only its page needs."""
    if block.kind != "code":
        return block
    lines = [line for line in dedent(block.text).split("\n") if not re.match(r"#+\s*(?:%%|\||@|\w+\s*=\s*\[)", line)]
    return Block("code", "\n".join(lines).strip("\n"), block.page, block.cell, block.language)


def _explain(block: Block, source: str, table: Language, seed: int) -> Iterator[Row]:
    """What a function does, as its docstring or the comment above it says."""
    described = describe_function(block.text, block.language)
    said = _describe(described, table) if described is not None and described.evidence in source else ""
    if described is not None and said and _adds(said, described.name, table.code):
        question = pick(table.questions["code_function"], seed, block.text).format(name=described.name)
        qa = QaPair(_ask(question, described.bare, block.language), (), said, "code", ())
        yield qa, "code function", described.evidence


def _describe(described: Described, table: Language) -> str:
    """What a function does in the words of its description; "" where those say another thing."""
    text = split_sentences(described.text, table.code)[0]
    about = table.patterns["code_about"].match(text)
    text = about["does"] if about is not None else text
    # Numbers, and names that only code has.
    agrees = all(name in described.bare for name in re.findall(r"\d+|[A-Za-z]\w*_\w+", text))
    is_inner = described.in_body and text.split()[0].lower() in table.words["code_verbs"]
    if not agrees or is_inner or not _is_told(text, table):
        return ""
    return f"{text[0].upper()}{text[1:].rstrip(' .')}."


def _is_told(text: str, table: Language) -> bool:
    """Whether a comment says what is done: prose that stands alone, of the course's language if that can be told."""
    first, verbs = text.split(maxsplit=1)[0].lower(), table.words["code_verbs"]
    prose = LEAST_WORDS <= len(text.split()) <= MOST_WORDS and not re.search(r"[={}\[\]]|\w\(\w*[,)]", text)
    forms = {first, first.removesuffix("s"), first.removesuffix("es")}
    if not prose or not forms & verbs or table.patterns["code_refers"].search(text):
        return False
    words = set(re.findall(r"\w+", text.lower()))
    return table.code == "en" or len(words & list_stopwords(table.code)) > len(words & list_stopwords("en"))


def _predict(blocks: Sequence[Block], index: int, table: Language, seed: int) -> Iterator[Row]:
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
        yield from _complete(block, above, outputs, table, seed)


def _complete(block: Block, above: str, outputs: Sequence[str], table: Language, seed: int) -> Iterator[Row]:
    """The cell cut between two statements, with its output as the goal, and the rest as the answer."""
    lines = block.text.split("\n")
    cut = _find_cut(block.text)
    begin, rest = f"{above}\n" + "\n".join(lines[:cut]).rstrip(), re.sub(r"\A(?:[ \t]*\n)+", "", "\n".join(lines[cut:]))
    given = f"{begin}\n{' '.join(outputs)}"
    # Nobody can guess from numbers alone what they are of.
    told = not _only_imports(begin) and len(re.findall(r"[^\W\d_]{3,}", " ".join(outputs))) > 1
    if not cut or not told or not _can_be_known(rest, given):
        return
    asked = pick(table.questions["code_completion"], seed, block.text)
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
