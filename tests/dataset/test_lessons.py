"""Files that give few rows for their length are named, with the reasons."""

from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.lessons import describe_sparse, find_sparse
from mlx_tutor.records import Block, Document, Example, Origin, QaPair, Section

PROSE = Block("text", "Cranes fly in a wedge because each saves the next one strength. " * 20)
CODE = Block("code", "count = flock + 1\n" * 100, language="python")
TASKS = Block("text", "Count the birds of the picture and write the number down. " * 30)


def make_row(source: str, number: int) -> Example:
    qa = QaPair(f"Question {number}?", (), f"Answer {number}.", "concept", ())
    return Example((), Origin(source, 0, None, None, ("Cranes",), "definition", "x"), qa, {})


def test_a_file_with_few_rows_is_named_with_what_was_dropped_and_what_gave_none() -> None:
    sections = (Section(("Birds", "Flight of cranes"), (PROSE, CODE)), Section(("Birds", "Exercises"), (TASKS,)))
    lesson = Document("birds.md", "", "Birds", sections, "en")
    note = Document("note.md", "", "Note", (Section(("Note", "Cranes"), (PROSE,)),), "en")
    chunks = [chunk for document in (lesson, note) for chunk in split_document(document, 320)]
    rows = [make_row("birds.md", number) for number in range(5)]
    dropped = [(make_row("birds.md", 9), "exact duplicate"), (make_row("table.csv", 1), "exact duplicate")]
    [found] = find_sparse([lesson, note], chunks, rows, dropped)
    words = sum(len(section.text.split()) for section in sections)
    assert (found.source, found.words, found.rows, found.wanted) == ("birds.md", words, 5, words * 12 // 1000)
    assert found.dropped == {"exact duplicate": 1}
    assert found.unused == {"code, output and tables": 500, "exercises, solutions, objectives and references": 330}
    assert "5 rows of" in describe_sparse(found) and "code, output and tables (500)" in describe_sparse(found)
    assert find_sparse([lesson, note], chunks, [make_row("birds.md", n) for n in range(found.wanted)], []) == ()
