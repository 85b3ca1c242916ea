"""Reading Jupyter notebooks: text, code, and what the code printed."""

import json
import logging
import re
import warnings
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.markdown import add_markdown
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_text
from mlx_tutor.records import Block, Section

LONGEST_OUTPUT = 2000
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def read_notebook(path: Path) -> tuple[str, tuple[Section, ...]]:
    """An .ipynb file of any version. Images and HTML are skipped, long outputs are cut with a count."""
    import nbformat

    text = decode_text(path)
    # nbformat logs what does not fit its schema, and reads it all the same.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Old notebooks lack cell ids; that is no fault of their reader.
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(text, as_version=4)
    except (nbformat.reader.NotJSONError, json.JSONDecodeError) as err:
        raise CorpusError("not a notebook: it is not JSON") from err
    # nbformat walks foreign JSON without a check and breaks in many ways.
    except (nbformat.ValidationError, ValueError, LookupError, AttributeError, TypeError, NameError) as err:
        raise CorpusError(f"not a valid notebook ({type(err).__name__})") from err
    builder = SectionBuilder()
    for number, cell in enumerate(_list(notebook.get("cells")), 1):
        source = _join(cell.get("source", ""))
        if cell.get("cell_type") == "markdown":
            add_markdown(builder, source, number)
        elif cell.get("cell_type") == "code":
            builder.add_block(Block("code", source.rstrip(), cell=number))
            for output in _list(cell.get("outputs")):
                builder.add_block(Block("output", _read_output(output), cell=number))
    title = builder.find_title(path.stem)
    sections = builder.finish(title)
    if not sections:
        raise CorpusError("empty: a notebook without text or code")
    return title, sections


def _join(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _list(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; nothing where something else stands."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _read_output(output: Any) -> str:
    kind = output.get("output_type")
    if kind == "stream":
        # What a program says on stderr is about the machine, not about the course.
        text = _join(output.get("text", "")) if output.get("name") != "stderr" else ""
    elif kind == "error":
        text = f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
    else:
        data = output.get("data")
        text = _join(data.get("text/plain")) if isinstance(data, dict) else ""
        if re.fullmatch(r"<[\w. ]+(?: at 0x[0-9a-f]+)?.*>", text.strip(), re.DOTALL):
            text = ""
    return cut_output(ANSI.sub("", text).rstrip())


def cut_output(text: str) -> str:
    """At most LONGEST_OUTPUT characters, whole lines, with a count of what was left out."""
    if len(text) <= LONGEST_OUTPUT:
        return text
    kept = text[:LONGEST_OUTPUT].rsplit("\n", 1)[0]
    left = text[len(kept) :].strip("\n").count("\n") + 1
    return f"{kept}\n[... {left} more lines]"
