"""The record of an exam: a chain of entries in the journal, its codes, and finding later changes.

Each entry is one line of JSON with the SHA-256 of the entry before it and its own, so the hash of one entry stands for
all up to it. Whoever changes an entry can work out all hashes anew; what cannot be made to fit is a code that
somebody else wrote down.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.files import hash_value
from mlx_tutor.journal import open_journal
from mlx_tutor.workspace import Course

FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS exam_entries (
    exam TEXT NOT NULL, number INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (exam, number)
);
"""
KEYS = {
    "exam": str,
    "number": int,
    "time": str,
    "seconds": float,
    "kind": str,
    "data": dict,
    "before": str,
    "hash": str,
}
# Without letters that look like digits, and without U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 12
# Makes each guess at a record with the same code 16,384 times as expensive: 60 bits become 74.
ROUNDS = 1 << 14
# A larger difference between wall clock and monotonic clock is worth a remark.
CLOCK_SECONDS = 30.0
# Bytes that are not UTF-8 become lone surrogates, which our entries never contain: the line was changed.
KEEP_BYTES = "surrogateescape"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a record.

    `whole` entries from the first on are unbroken. `problems` name entries; `heads` gives for each code the number of
    the entry that it stands for, None when there is none; `remarks` are no fault of the record's.
    """

    entries: tuple[dict[str, Any], ...]
    whole: int
    problems: tuple[str, ...]
    heads: dict[str, int | None]
    remarks: tuple[str, ...]

    @property
    def is_changed(self) -> bool:
        """Whether anything was changed since the codes were written down."""
        return bool(self.problems) or None in self.heads.values()

    @property
    def vouched(self) -> int:
        """How many entries, counted from the first, a code confirms."""
        return max((number or 0 for number in self.heads.values()), default=0)

    def list_kind(self, kind: str) -> list[dict[str, Any]]:
        """All entries of a kind."""
        return [entry for entry in self.entries if entry["kind"] == kind]


def hash_entry(entry: dict[str, Any]) -> str:
    """The hash that an entry must have, whatever it states."""
    return hash_value({key: value for key, value in entry.items() if key != "hash"})


def write_line(entry: dict[str, Any]) -> str:
    """An entry as it is written in the journal and in an exported record."""
    return json.dumps(entry, ensure_ascii=False, allow_nan=False)


def make_code(head: str) -> str:
    """The short code of a hash, as `7K3F-9QXM-2B4T`."""
    key = hashlib.pbkdf2_hmac("sha256", bytes.fromhex(head), b"mlx-tutor exam", ROUNDS, 8)
    number = int.from_bytes(key, "big")
    return _group([ALPHABET[number >> (5 * i) & 31] for i in range(CODE_LENGTH)])


def read_code(text: str) -> str:
    """A code as somebody typed it from paper; raises TutorError when it cannot be one."""
    letters = "".join(c for c in text.upper() if not c.isspace() and c not in "-–—.")
    letters = letters.translate(str.maketrans("OIL", "011"))
    if len(letters) != CODE_LENGTH or not set(letters) <= set(ALPHABET):
        raise TutorError(
            f"{text!r} is not an exam code, which has {CODE_LENGTH} letters and digits, such as 7K3F-9QXM-2B4T."
        )
    return _group(letters)


def _group(letters: Sequence[str]) -> str:
    return "-".join("".join(letters[i : i + 4]) for i in range(0, CODE_LENGTH, 4))


def list_exams(course: Course) -> list[str]:
    """The names of all exams in the journal, oldest first."""
    with open_journal(course, SCHEMA) as journal:
        rows = journal.execute("SELECT DISTINCT exam FROM exam_entries ORDER BY exam").fetchall()
    return [str(row["exam"]) for row in rows]


def read_lines(course: Course, name: str | None = None) -> tuple[str, list[str]]:
    """An exam's name, by default the newest's, and its entries, one a line.

    Raises:
        CorpusError: no such exam, or none at all.
    """
    names = list_exams(course)
    if not names:
        raise CorpusError(f"Course {course.name!r} has no exam yet. Take one with: mlx-tutor chat --exam")
    if name is not None and name not in names:
        raise CorpusError(f"No exam {name!r}. Exams of {course.name!r}: {', '.join(names)}.")
    name = name or names[-1]
    with open_journal(course, SCHEMA) as journal:
        select = "SELECT CAST(line AS BLOB) AS line FROM exam_entries WHERE exam = ? ORDER BY number"
        rows = journal.execute(select, (name,)).fetchall()
    return name, [row["line"].decode("utf-8", KEEP_BYTES) for row in rows]


def read_record(path: Path) -> list[str]:
    """The lines of an exported record; raises TutorError when it is none."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8", errors=KEEP_BYTES).split("\n") if line.strip()]
    except OSError as err:
        raise TutorError(f"{path} cannot be read: {err.strerror}.") from err
    # A record with a single entry remains a record when one of its bytes was changed.
    if not any(read_entry(line.encode("utf-8", KEEP_BYTES).decode("utf-8", "replace")) for line in lines):
        raise TutorError(f"{path} is not the record of an exam. Make one with: mlx-tutor exam export")
    return lines


def read_entry(line: str) -> dict[str, Any] | None:
    """One line as an entry; None when it is none."""
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or any(type(entry.get(key)) is not kind for key, kind in KEYS.items()):
            return None
        # Numbers and characters that can be read but not written back; our entries have none.
        write_line(entry), hash_entry(entry)
    except (ValueError, RecursionError):
        return None
    return entry


def verify_lines(lines: Sequence[str], codes: Sequence[str] = ()) -> Verdict:
    """Check a record in itself, and against codes that were written down while it was made."""
    entries: list[dict[str, Any]] = []
    hashes: list[str] = []
    problems: list[str] = []
    for position, line in enumerate(lines, 1):
        entry = read_entry(line)
        if entry is None:
            problems.append(f"line {position} cannot be read as an entry")
            continue
        problems += find_problems(entry, line, entries[-1] if entries else None)
        entries.append(entry)
        if not problems:
            hashes.append(entry["hash"])
    heads = {code: find_head(hashes, code) for code in codes}
    return Verdict(tuple(entries), len(hashes), tuple(problems), heads, tuple(list_remarks(entries)))


def find_problems(entry: dict[str, Any], line: str, before: dict[str, Any] | None) -> Iterator[str]:
    """What is wrong with an entry by itself and after the one before it."""
    number = entry["number"]
    expected = before["number"] + 1 if before else 1
    if hash_entry(entry) != entry["hash"] or line.strip() != write_line(entry):
        yield f"entry {number} was changed: its text does not fit its hash"
    if before and entry["exam"] != before["exam"]:
        yield f"entry {number} is of another exam, {entry['exam']}"
    elif number > expected:
        yield (
            f"entry {expected} is missing"
            if number == expected + 1
            else f"entries {expected} to {number - 1} are missing"
        )
    elif number < expected:
        yield f"entry {number} stands behind entry {expected - 1}"
    elif entry["before"] != (before["hash"] if before else ""):
        yield f"entry {number} does not follow the entry {number - 1} that stands here: one of them was replaced"
    if (number == 1) != (entry["kind"] == "start"):
        yield f"entry {number} is a {entry['kind']}, where {'no' if number > 1 else 'the'} start belongs"
    if number == 1 and entry["data"].get("format") != FORMAT:
        yield "entry 1 was written by another version of mlx-tutor, with another form of record"
    if before and before["kind"] == "end":
        yield f"entry {number} comes after the end"


def find_head(hashes: Sequence[str], code: str) -> int | None:
    """The number of the entry that a code stands for; the newest and the first are the likely ones."""
    order = sorted(range(len(hashes)), key=lambda i: (0 < i < len(hashes) - 1, -i))
    return next((i + 1 for i in order if make_code(hashes[i]) == code), None)


def list_remarks(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What a reader of the record should know."""
    if not entries:
        return
    for entry in entries:
        if entry["kind"] == "gap":
            late = str(entry["data"].get("late")).strip("[]")
            yield f"entries {late} could not be written at their time ({entry['data'].get('reason')})"
    if entries[-1]["kind"] != "end":
        yield (
            f"there is no end: after entry {entries[-1]['number']} the program was killed, the computer went off, the "
            "record could not be written any more, or the exam is still going on"
        )
    drift = max(map(abs, _list_drifts(entries)), default=0.0)
    if drift > CLOCK_SECONDS:
        yield f"the clock was set by {drift:.0f} s during the exam, or the computer slept"


def _list_drifts(entries: Sequence[dict[str, Any]]) -> Iterator[float]:
    try:
        times = [datetime.fromisoformat(entry["time"]).timestamp() - entry["seconds"] for entry in entries]
    except ValueError:
        return
    yield from (time - times[0] for time in times)
