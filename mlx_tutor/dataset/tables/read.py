"""Reading tables: .csv, .tsv, .json, .jsonl, .parquet, flash cards, and datasets of the Hugging Face Hub.

A Hub dataset is fetched once, by `mlx-tutor pull --data`, into a file of the course; everything else works on that.
"""

import codecs
import csv
import gzip
import json
import logging
import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import IO, Any

from mlx_tutor.dataset.tables.unwrap import (
    ANKI,
    TableRow,
    join_trees,
    part_articles,
    read_cards,
    read_literal,
    unwrap_row,
)
from mlx_tutor.errors import CorpusError, DatasetError
from mlx_tutor.extract.text import decode_bytes
from mlx_tutor.files import hash_value, replace_surrogates, write_jsonl
from mlx_tutor.settings import ImportSettings, TemplateSettings
from mlx_tutor.workspace import Course

DELIMITERS = "\t;,|"
SEPARATOR = re.compile(r'"?sep=(.)"?\s*$')
# What people write into an empty cell.
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
    """The rows of a file by column, as `stream_table` gives them; raises the same errors."""
    return list(stream_table(path))


def stream_table(path: Path) -> Iterator[TableRow]:
    """The rows of a file by column, one by one; of JSON, trees and cards the whole file is read first.

    Raises:
        DatasetError: no such file, another kind of file, or one that is broken, with the line.
    """
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if suffix not in READERS or (suffix == ".parquet" and path.suffix.lower() == ".gz"):
        raise DatasetError(f"{path} is no table that can be read. Give a file of these: {', '.join(READERS)}.")
    if not path.is_file():
        raise DatasetError(f"No file {path}. Put it there, or mend the path in the recipe.")
    number = 0
    try:
        for number, row in enumerate(join_trees(part_articles(READERS[suffix](path))), 1):
            if not isinstance(row, dict):
                raise DatasetError(
                    f"{path}, row {number} has no columns: {str(row)[:60]!r}. Each row must be an object."
                )
            # A column without a name is the index that pandas wrote.
            yield unwrap_row({name: value for name, value in row.items() if str(name).strip()})
    except (gzip.BadGzipFile, EOFError) as err:
        raise DatasetError(f"{path} is not a gzip file that can be read ({err}). Unpack it.") from err
    except UnicodeDecodeError as err:
        raise DatasetError(f"{path} is not UTF-8 text ({err}). Save it as UTF-8 and run again.") from err
    if not number:
        raise DatasetError(f"{path} has no rows.")


def _open_text(path: Path, newline: str | None = None) -> IO[str]:
    encoding = find_encoding(path)
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline=newline)
    return path.open(encoding=encoding, newline=newline)


def find_encoding(path: Path) -> str:
    """UTF-16 where a file begins with its mark, as Excel's "Unicode text" does; else UTF-8, with a mark or without,
    or the Western encoding of Excel's CSV, where nothing speaks against it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            while data := file.read(1 << 20):
                decoder.decode(data)
        except UnicodeDecodeError:
            file.seek(0)
            try:
                decode_bytes(file.read())
            except CorpusError:
                return "utf-8-sig"
            return "cp1252"
    return "utf-8-sig"


def _read_csv(path: Path) -> Iterator[Any]:
    """Rows below the header; a line `sep=;` as Excel reads it, and titles above the header are passed over."""
    # Cells with long texts exceed the limit of the csv module.
    csv.field_size_limit(sys.maxsize)
    with _open_text(path, newline="") as file:
        head = file.readline()
        if ANKI.match(head):
            yield from _read_cards(path)
            return
        separator = SEPARATOR.match(head)
        if separator is None:
            file.seek(0)
            lines = [head, *islice(file, 4)]
            head = next((line for line in lines if any(map(line.count, DELIMITERS))), "")
            file.seek(0)
        delimiter = separator[1] if separator else max(DELIMITERS, key=head.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            yield from _name_cells(path, (row for row in reader if _count_filled(row)), delimiter)
        except csv.Error as err:
            raise DatasetError(f"{path}, line {reader.line_num} is not valid CSV ({err}). Mend or delete it.") from err


def _count_filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _name_cells(path: Path, rows: Iterator[list[str]], delimiter: str) -> Iterator[Any]:
    """The rows below the header, by its names."""
    first = next(rows, [])
    for row in rows:
        if _count_filled(first) < 2 <= _count_filled(row):
            # A title stands above the header.
            first = row
            continue
        rows = chain([row], rows)
        break
    header = [name.strip() for name in first]
    doubled = [name for name, count in Counter(header).items() if name and count > 1]
    if doubled:
        raise DatasetError(f"{path} has more than one column {doubled[0]!r}. Rename or delete one.")
    for number, row in enumerate(rows, 1):
        if any(row[len(header) :]):
            hint = f"Put texts with {delimiter!r} in quotes."
            raise DatasetError(f"{path}, row {number} has more cells than columns. {hint}")
        yield dict(zip_longest(header, row, fillvalue=""))


def _read_cards(path: Path) -> Iterator[Any]:
    """Flash cards of Anki or Quizlet, which are texts."""
    cards = read_cards(_read_text(path).split("\n"))
    if cards is None:
        raise DatasetError(
            f"{path} is no table that can be read: a .txt file is read where it is an export of flash cards (Anki, "
            "Quizlet). A course file goes into sources."
        )
    yield from cards


def _read_text(path: Path) -> str:
    with _open_text(path) as file:
        return file.read()


def _read_json(path: Path) -> Iterator[Any]:
    values: list[Any] = []
    text, at = _read_text(path).strip(), 0
    try:
        # One value, or several below each other, as .jsonl has them.
        while at < len(text) or not values:
            value, at = json.JSONDecoder().raw_decode(text, at)
            values.append(replace_surrogates(value))
            at += len(text[at : at + 100]) - len(text[at : at + 100].lstrip(", \r\n\t"))
    except (ValueError, RecursionError) as err:
        raise DatasetError(f"{path} is not valid JSON ({err}). Mend it and run again.") from err
    value = values if len(values) > 1 else values[0]
    if isinstance(value, dict):
        value = _list_rows(value)
    if not isinstance(value, list):
        raise DatasetError(f"{path} holds no list of rows. Write it as a list of objects, or as .jsonl.")
    yield from value


def _list_rows(value: dict[str, Any]) -> Any:
    """The rows in an object: under its one key that has a list, or by column, as pandas writes a table."""
    lists = [item for item in value.values() if isinstance(item, list)]
    if len(lists) == 1 and not any(isinstance(item, dict) for item in value.values()):
        return lists[0]
    if isinstance(value.get("rows"), list):
        # As the viewer of the Hub gives them.
        return value["rows"]
    names, cells = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(cells, list) and all(isinstance(row, list) for row in cells):
        return [dict(zip(map(str, names), row, strict=False)) for row in cells]
    columns = list(value.values())
    if len(lists) == len(columns) > 1 and len({len(column) for column in lists}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*lists, strict=True)]
    if columns and all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        return [{name: column[key] for name, column in value.items()} for key in columns[0]]
    return value


def _read_jsonl(path: Path) -> Iterator[Any]:
    with _open_text(path, newline="\n") as file:
        head = file.readline().strip()
        # An array, or objects of several lines.
        is_json = head[:1] == "[" or head == "{"
        file.seek(0)
        if is_json:
            yield from _read_json(path)
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield replace_surrogates(json.loads(line))
                except (ValueError, RecursionError) as err:
                    raise DatasetError(f"{path}, line {number} is not valid JSON ({err}). Mend or delete it.") from err


def _read_parquet(path: Path) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(1024):
                yield from batch.to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as err:
        reason = str(err).split("\n", 1)[0]
        raise DatasetError(f"{path} is not a Parquet file that can be read ({reason}).") from err


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".txt": _read_cards,
}


def fetch_hub_table(course: Course, settings: ImportSettings, accept: Callable[[TableRow], bool]) -> int:
    """Stream a Hub dataset until `settings.rows` rows are accepted, and keep those; returns how many.

    Raises:
        DatasetError: no network, no such dataset, configuration or split, or no row that is accepted.
    """
    # Values that cannot become JSON, such as pictures, are left out.
    rows = map(_keep_plain, _stream_hub(settings))
    wanted = list(islice(filter(accept, rows), settings.rows or None))
    if not wanted:
        raise DatasetError(f"No row of Hub dataset {settings.hub} passes the recipe's filters. Loosen keep or drop.")
    write_jsonl(find_table(course, settings), wanted)
    return len(wanted)


def _stream_hub(settings: ImportSettings) -> Iterator[TableRow]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    # Otherwise it reports each of its five tries.
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


def read_answer(value: Any) -> str:
    """An answer as text: of several the one that was selected or rated best, else the first."""
    if isinstance(value, str) and value.lstrip()[:2] in ("{'", "[{", '{"'):
        # SQuAD in a cell of CSV.
        parsed = read_literal(value)
        known = isinstance(parsed, dict) and isinstance(parsed.get("text"), list)
        value = parsed if known else value
    if isinstance(value, list):
        value = max(value, key=_rate_answer, default="")
    return _write_value(value)


def _rate_answer(answer: Any) -> float:
    """How good an answer is among others, as Stack Exchange and others say it; 0 where nobody says."""
    for name in ("is_selected", "is_accepted", "selected", "pm_score", "score", "votes"):
        rating = answer.get(name) if isinstance(answer, dict) else None
        if isinstance(rating, int | float) and rating == rating:  # noqa: PLR0124 - NaN
            return float(rating)
    return 0.0


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
