"""Who rates: names that are one person's in the terminal and on the page, and how far each has come."""

import unicodedata
from collections import Counter

from mlx_tutor.errors import TutorError
from mlx_tutor.evaluation.rate import SCHEMA, read_pairs
from mlx_tutor.journal import open_journal
from mlx_tutor.text import strip_controls
from mlx_tutor.workspace import Course

LONGEST_NAME = 40


def name_rater(course: Course, name: str) -> str:
    """A rater's name as the journal has it: without control characters and needless blanks, in the spelling used first.

    Raises:
        TutorError: nothing is left of it.
    """
    cleaned = unicodedata.normalize("NFC", " ".join(strip_controls(name).split()))[:LONGEST_NAME].strip()
    if not cleaned:
        raise TutorError("Say who rates: any name of at least one letter.")
    with open_journal(course, SCHEMA) as journal:
        known = journal.execute("SELECT rater FROM rated_orders GROUP BY rater ORDER BY MIN(number)").fetchall()
    return next((row["rater"] for row in known if row["rater"].casefold() == cleaned.casefold()), cleaned)


def list_raters(course: Course, run: str) -> dict[str, int]:
    """Who scored any of the pairs that are rated now, with how many pairs, begun ones too."""
    ids = {pair.id for pair in read_pairs(course, run)}
    with open_journal(course, SCHEMA) as journal:
        rows = journal.execute("SELECT DISTINCT pair, rater FROM ratings ORDER BY rater").fetchall()
    return dict(Counter(row["rater"] for row in rows if row["pair"] in ids))
