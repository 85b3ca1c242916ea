"""Reading tables: .csv, .tsv, .json, .jsonl and .parquet files, and datasets of the Hugging Face Hub.

A Hub dataset is fetched once, by `mlx-tutor pull --data`, into a file of the course; everything else works on that.
"""

import csv
import json
import logging
import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from mlx_tutor.errors import DatasetError
from mlx_tutor.files import hash_value, replace_surrogates, write_jsonl
from mlx_tutor.settings import ImportSettings, TemplateSettings
from mlx_tutor.workspace import Course

TableRow = dict[str, Any]
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
SEPARATOR = re.compile(r'"?sep=(.)"?\s*$')
# What people write into a cell that has nothing to say.
EMPTY = frozenset(["", *"- -- — – ? n/a na n.a. nan null none nil tba tba. tbd".split()])


def find_table(course: Course, settings: ImportSettings) -> Path:
    """The file of an import; that of a Hub dataset is named after all that decides which rows were fetched."""
    if not settings.hub:
        return find_path(course, settings.path)
    wanted = [settings.hub, settings.config, settings.split, settings.rows, settings.language]
    wanted += [dict(settings.columns), dict(settings.keep), dict(settings.drop)]
    name = f"{settings.hub.replace('/', '--')}-{hash_value(wanted)[:8]}.jsonl"
    return course.root / "imports" / name


def find_path(course: Course, path: str) -> Path:
    """A path of the recipe: relative to the course's folder, absolute, or from the home folder.

    A name may be written with composed characters (NFC) where the file has decomposed ones (NFD), or the reverse.
    """
    wanted = course.root / Path(path).expanduser()
    if wanted.exists() or wanted.name.isascii() or not wanted.parent.is_dir():
        return wanted
    composed = unicodedata.normalize("NFC", wanted.name)
    same = (other for other in wanted.parent.iterdir() if unicodedata.normalize("NFC", other.name) == composed)
    return next(same, wanted)


def name_source(settings: ImportSettings | TemplateSettings) -> str:
    """What rows of a table call their source: its path below the course, else the mere name, which says less of a
    machine when rows travel.
    """
    if isinstance(settings, ImportSettings) and settings.hub:
        return settings.hub
    path = Path(settings.path)
    name = path.name if path.is_absolute() or settings.path.startswith(("~", "..")) else path.as_posix()
    return unicodedata.normalize("NFC", name)


def read_table(path: Path) -> list[TableRow]:
    """The rows of a file by column.

    Raises:
        DatasetError: no such file, another kind of file, or one that is broken, with the line.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DatasetError(f"{path} is no table that can be read. Give a file of these: {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise DatasetError(f"No file {path}. Put it there, or mend the path in the recipe.")
    readers: dict[str, Callable[[Path], list[Any]]] = {".json": _read_json, ".jsonl": _read_jsonl}
    readers |= {".parquet": _read_parquet, ".csv": _read_csv, ".tsv": _read_csv}
    try:
        rows = readers[path.suffix.lower()](path)
    except UnicodeDecodeError as err:
        raise DatasetError(f"{path} is not UTF-8 text ({err}). Save it as UTF-8 and run again.") from err
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, row {number} has no columns: {str(row)[:60]!r}. Each row must be an object.")
    if not rows:
        raise DatasetError(f"{path} has no rows.")
    # A column without a name is the index that pandas wrote.
    return [{name: value for name, value in row.items() if str(name).strip()} for row in rows]


def _read_csv(path: Path) -> list[Any]:
    """Rows below the header; a line `sep=;` as Excel reads it, and titles above the header are passed over."""
    # Cells with whole texts are longer than csv's own limit.
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        separator = SEPARATOR.match(head)
        if separator is None:
            file.seek(0)
            lines = [head, *islice(file, 4)]
            head = next((line for line in lines if any(map(line.count, "\t;,"))), "")
            file.seek(0)
        delimiter = separator[1] if separator else max("\t;,", key=head.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            rows = [row for row in reader if _count_filled(row)]
        except csv.Error as err:
            raise DatasetError(f"{path}, line {reader.line_num} is not valid CSV ({err}). Mend or delete it.") from err
    while len(rows) > 1 and _count_filled(rows[0]) < 2 <= _count_filled(rows[1]):
        rows = rows[1:]
    return _name_cells(path, rows, delimiter)


def _count_filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _name_cells(path: Path, rows: Sequence[list[str]], delimiter: str) -> list[Any]:
    """The rows below the first one, by its names."""
    header = [name.strip() for name in rows[0]] if rows else []
    doubled = [name for name, count in Counter(header).items() if name and count > 1]
    if doubled:
        raise DatasetError(f"{path} has more than one column {doubled[0]!r}. Rename or delete one.")
    for number, row in enumerate(rows[1:], 1):
        if any(row[len(header) :]):
            hint = f"Put texts with {delimiter!r} in quotes."
            raise DatasetError(f"{path}, row {number} has more cells than columns. {hint}")
    return [dict(zip_longest(header, row, fillvalue="")) for row in rows[1:]]


def _read_json(path: Path) -> list[Any]:
    try:
        value = replace_surrogates(json.loads(path.read_text(encoding="utf-8-sig")))
    except json.JSONDecodeError as err:
        raise DatasetError(f"{path} is not valid JSON ({err}). Mend it and run again.") from err
    if isinstance(value, dict):
        value = _list_rows(value)
    if not isinstance(value, list):
        raise DatasetError(f"{path} holds no list of rows. Write it as a list of objects, or as .jsonl.")
    return value


def _list_rows(value: dict[str, Any]) -> Any:
    """The rows in an object: under its one key that has a list, or by column, as pandas writes a table."""
    lists = [item for item in value.values() if isinstance(item, list)]
    if len(lists) == 1 and not any(isinstance(item, dict) for item in value.values()):
        return lists[0]
    columns = list(value.values())
    if columns and all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        return [{name: column[key] for name, column in value.items()} for key in columns[0]]
    return value


def _read_jsonl(path: Path) -> list[Any]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                rows.append(replace_surrogates(json.loads(line)))
            except json.JSONDecodeError as err:
                raise DatasetError(f"{path}, line {number} is not valid JSON ({err}). Mend or delete it.") from err
    return rows


def _read_parquet(path: Path) -> list[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as err:
        reason = str(err).split("\n", 1)[0]
        raise DatasetError(f"{path} is not a Parquet file that can be read ({reason}).") from err
    return rows


def fetch_hub_table(course: Course, settings: ImportSettings, accept: Callable[[TableRow], bool]) -> int:
    """Stream a Hub dataset until `settings.rows` rows are accepted, and keep those; returns how many.

    Raises:
        DatasetError: no network, no such dataset, configuration or split, or no row that is accepted.
    """
    # Nothing that cannot become JSON, as pictures.
    rows = map(_keep_plain, _stream_hub(settings))
    wanted = list(islice(filter(accept, rows), settings.rows or None))
    if not wanted:
        raise DatasetError(f"No row of Hub dataset {settings.hub} passes the recipe's filters. Loosen keep or drop.")
    write_jsonl(find_table(course, settings), wanted)
    return len(wanted)


def _stream_hub(settings: ImportSettings) -> Iterator[TableRow]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    # Else it tells of each of its five tries.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        yield from load_dataset(settings.hub, settings.config or None, split=settings.split, streaming=True)
    # datasets raises its own errors, and those of whichever library it reads with; all are one of these.
    except (DatasetsError, OSError, ValueError, RuntimeError) as err:
        reason = " ".join(str(err).split())[:200]
        raise DatasetError(
            f"Hub dataset {settings.hub} could not be fetched ({reason}). Check the network and the names of "
            "dataset, config and split, and run again."
        ) from err


def _keep_plain(row: TableRow) -> TableRow:
    """The columns whose values are text, numbers, and lists or objects of these."""
    return {key: value for key, value in row.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def read_cell(row: TableRow, column: str) -> str:
    """A cell as text without surrounding space; nothing for a missing column or value, or one that is no text.

    Of an object the text in it, as SQuAD writes answers: the first of several.
    """
    return _write_value(row.get(column))


def _write_value(value: Any) -> str:
    if value is None or isinstance(value, bytes) or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, dict):
        said = next((value[key] for key in ("text", "value", "content") if key in value), None)
        return _write_value(said[0] if isinstance(said, list) and said else said)
    if isinstance(value, list):
        return ", ".join(filter(None, map(_write_value, value)))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def is_empty(cell: str) -> bool:
    """Whether a cell says nothing: empty, N/A, TBA and their like, and "TBA at TBA"."""
    return all(part in EMPTY for part in re.split(r"\s+(?:at|and|to|in)\s+|[,;]\s*", cell.strip().lower()))
