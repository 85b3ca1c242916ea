"""Reading Jupyter notebooks: text, code, and what the code printed."""

import json
import logging
import re
import warnings
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.fences import ENGINES, name_language
from mlx_tutor.extract.html import add_html
from mlx_tutor.extract.markdown import add_markdown, find_kernel, split_front_matter
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_text
from mlx_tutor.records import Block, Section

LONGEST_OUTPUT = 2000
# What a terminal acts on and does not show: colours and other control sequences, titles, links.
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_=>()][0B]?)")
# Results that only name an object, such as a figure or a widget, and tell a reader nothing.
REPR = re.compile(
    r"^\[?<(?!class )[\w.: ]+[^\n]*>\]?$|<[\w. ]+ at 0x[0-9a-f]+>|<(?:BarContainer|Axes\w*|Figure|matplotlib\.)"
    r"|^\[?Text\(.*\)\]?$",
    re.DOTALL,
)
# A cell in another language than its notebook's, named in its first line: of IPython, and of Databricks and Zeppelin.
MAGIC = re.compile(r"\A\s*%%(?:script[ \t]+)?(?P<name>\w+)\b(?P<rest>.*)\n")
WHOLE = re.compile(r"\A\s*%(?P<name>md|sql|r|scala|sh|python)(?:-[a-z]+)?(?:[ \t]*\n|[ \t]+(?=#))")
LANGUAGES = ENGINES | {"cython"}
DIALECTS = {"bigquery": "sql", "sparksql": "sql", "cu": "cuda", "sh": "bash"}
# A file that a cell writes is in the language of its suffix.
SUFFIXES = {"f90": "fortran", "rs": "rust", "sh": "bash", "hs": "haskell", "h": "c", "hpp": "cpp", "cc": "cpp"}
SUFFIX = re.compile(
    r"[\w./$ {}-]*\.(?P<suffix>c|cc|cpp|cu|f90|h|hpp|java|jl|js|py|r|rs|sh|sql|html|css|ts|go|hs)\s*", re.IGNORECASE
)


def read_notebook(path: Path, builder: SectionBuilder | None = None) -> tuple[str, tuple[Section, ...]]:
    """An .ipynb file of any version. Images are skipped, long outputs are cut with a count."""
    import nbformat

    text = decode_text(path)
    # nbformat logs what does not match its schema, and reads it all the same.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Old notebooks lack cell ids; a warning would not help anyone.
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(_complete(text), as_version=4)
    except (nbformat.reader.NotJSONError, json.JSONDecodeError) as err:
        raise CorpusError("not a notebook: it is not JSON") from err
    # nbformat does not check JSON of another form, and fails on it in many ways.
    except (nbformat.ValidationError, ValueError, LookupError, AttributeError, TypeError, NameError) as err:
        raise CorpusError(f"not a valid notebook ({type(err).__name__})") from err
    builder = builder or SectionBuilder()
    language = find_kernel(notebook.get("metadata") if isinstance(notebook.get("metadata"), dict) else {})
    title = ""
    for number, cell in enumerate(_list(notebook.get("cells")), 1):
        source = _join(cell.get("source", ""))
        hidden = _find_hidden(cell)
        if "cell" in hidden:
            continue
        if cell.get("cell_type") == "markdown":
            add_markdown(builder, source, number, language)
        elif cell.get("cell_type") == "raw":
            meta, source = split_front_matter(source + "\n")
            title = title or str(meta.get("title") or "")
            _add_raw(builder, cell, source, number)
        elif cell.get("cell_type") == "code":
            if "input" not in hidden:
                _add_code(builder, source, number, _find_language(cell) or language)
            if "output" not in hidden:
                _add_outputs(builder, _list(cell.get("outputs")), number)
    title = title or builder.find_title(path.stem)
    sections = builder.finish(title)
    if not sections:
        raise CorpusError("empty: a notebook without text or code")
    return title, sections


def _complete(text: str) -> str:
    """The notebook with required metadata added, which some programs leave out."""
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        # nbformat will say what is wrong.
        return text
    if not isinstance(notebook, dict) or not ({"cells", "worksheets"} & notebook.keys()):
        return text
    for cell in [
        cell for sheet in [notebook, *_list(notebook.get("worksheets"))] for cell in _list(sheet.get("cells"))
    ]:
        cell.setdefault("metadata", {})
        if cell.get("cell_type") == "code":
            cell.setdefault("outputs", [])
            cell.setdefault("execution_count", None)
        for output in _list(cell.get("outputs")):
            if output.get("output_type") in ("display_data", "execute_result"):
                output.setdefault("metadata", {})
                output.setdefault("execution_count", None)
    return json.dumps({"metadata": {}, "nbformat": 4 if "cells" in notebook else 3, "nbformat_minor": 0, **notebook})


def _add_raw(builder: SectionBuilder, cell: dict[str, Any], source: str, number: int) -> None:
    """Add a raw cell, whose metadata say which format it is in."""
    meta = cell.get("metadata")
    kind = str((meta.get("raw_mimetype") or meta.get("format") or "") if isinstance(meta, dict) else "")
    if "html" in kind:
        add_html(builder, source, cell=number)
    else:
        add_markdown(builder, source, number)


def _get_metadata(cell: dict[str, Any]) -> dict[str, Any]:
    meta = cell.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _find_hidden(cell: dict[str, Any]) -> set[str]:
    """What of a cell its page does not show, by tags of Jupyter Book: "cell", "input", "output"."""
    meta = _get_metadata(cell)
    tags = meta.get("tags")
    removed = {str(tag).replace("_", "-") for tag in tags} if isinstance(tags, list) else set()
    hidden = {part for part in ("cell", "input", "output") if f"remove-{part}" in removed}
    return hidden | ({"cell"} if meta.get("nbsphinx") == "hidden" else set())


def _find_language(cell: dict[str, Any]) -> str | None:
    """The language that a cell has for itself: VS Code, .NET Interactive, SoS."""
    meta = _get_metadata(cell)
    for place, key in (
        ("vscode", "languageId"),
        ("dotnet_interactive", "language"),
        ("polyglot_notebook", "kernelName"),
    ):
        if isinstance(meta.get(place), dict) and isinstance(name := meta[place].get(key), str):
            return name_language(name)
    kernel = meta.get("kernel")
    return name_language(kernel) if isinstance(kernel, str) and kernel.lower() in ENGINES else None


def _add_code(builder: SectionBuilder, source: str, number: int, language: str) -> None:
    magic = WHOLE.match(source) or MAGIC.match(source)
    name = magic["name"].lower() if magic else ""
    if magic and name in ("md", "markdown"):
        add_markdown(builder, source[magic.end() :], number, language)
        return
    if magic and name in ("writefile", "file") and (file := SUFFIX.fullmatch(magic["rest"])):
        name = file["suffix"].lower()
        language, source = name_language(SUFFIXES.get(name, name)) or language, source[magic.end() :]
    elif magic and name in LANGUAGES | DIALECTS.keys():
        language, source = name_language(DIALECTS.get(name, name)) or language, source[magic.end() :]
    builder.add_block(Block("code", source.rstrip(), cell=number, language=language))


def _add_outputs(builder: SectionBuilder, outputs: list[dict[str, Any]], number: int) -> None:
    """Add what a cell printed, joined by stream, and its results."""
    printed = ""
    for output in [*outputs, {}]:
        if output.get("output_type") == "stream":
            # What a program writes to stderr is about the machine, not about the course.
            printed += _join(output.get("text", "")) if output.get("name") != "stderr" else ""
            continue
        builder.add_block(Block("output", cut_output(show_terminal(printed)), cell=number))
        printed = ""
        if output.get("output_type") == "error":
            text = f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
            builder.add_block(Block("output", cut_output(show_terminal(text)), cell=number))
        elif isinstance(data := output.get("data"), dict):
            _add_result(builder, data, number)


def _add_result(builder: SectionBuilder, data: dict[str, Any], number: int) -> None:
    """Add a result in the form that Jupyter shows: Markdown and formulas as text, data tables as plain text."""
    markdown = _join(data.get("text/markdown")) or _join(data.get("text/latex"))
    plain = show_terminal(_join(data.get("text/plain")))
    html = _join(data.get("text/html"))
    if any("widget" in kind for kind in data):
        return
    if markdown:
        add_markdown(builder, markdown, number)
    elif plain and not REPR.search(plain):
        builder.add_block(Block("output", cut_output(plain), cell=number))
    elif html and "<script" not in html:
        add_html(builder, html, cell=number)


def show_terminal(text: str) -> str:
    """Text as a terminal shows it: returns and backspaces applied, no control sequences, no trailing blanks."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(_show_line(line) if "\r" in line or "\b" in line else line for line in lines).rstrip()


def _show_line(line: str) -> str:
    shown: list[str] = []
    at = 0
    for piece in re.split(r"([\r\b])", line):
        if piece == "\r":
            at = 0
        elif piece == "\b":
            at = max(0, at - 1)
        else:
            shown[at : at + len(piece)] = piece
            at += len(piece)
    return "".join(shown).rstrip()


def _join(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _list(value: Any) -> list[dict[str, Any]]:
    """The dictionaries in a list; empty for anything but a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def cut_output(text: str) -> str:
    """At most LONGEST_OUTPUT characters, whole lines, with a count of what was left out."""
    if len(text) <= LONGEST_OUTPUT:
        return text
    kept = text[:LONGEST_OUTPUT].rsplit("\n", 1)[0]
    left = text[len(kept) :].strip("\n").count("\n") + 1
    return f"{kept}\n[... {left} more lines]"
