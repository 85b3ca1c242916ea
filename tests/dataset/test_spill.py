"""Examples that wait in a file are the ones that were given, and take no memory."""

import gc
import tracemalloc
from pathlib import Path

from mlx_tutor.dataset.spill import Spill, SpilledExample
from mlx_tutor.records import Example, Message, Origin, QaPair

SYSTEM: Message = {"role": "system", "content": "You teach knots."}


def make_example(number: int, *, words: int = 4) -> Example:
    qa = QaPair(f"What is knot {number}?", ("Look.",), f"Knot {number} holds. " * words, "imported", ("knot",), "")
    asked: Message = {"role": "user", "content": qa.question}
    messages: tuple[Message, ...] = (SYSTEM, asked, {"role": "assistant", "content": qa.answer, "weight": 0})
    origin = Origin("knots.csv", number % 7, None, None, ("Knots",), "import", qa.answer, number)
    return Example(messages if number % 3 else messages[1:], origin, qa, {"subject": "knots"}, "en")


def test_what_comes_back_is_what_was_kept(tmp_path: Path) -> None:
    spill = Spill(tmp_path, few=2)
    given = [make_example(number) for number in range(50)]
    kept = [spill.keep(example) for example in given]
    assert [type(example) for example in kept] == [Example] * 2 + [SpilledExample] * 48
    # Every second one, and in no order, so that none is the last one read.
    for number in [*range(0, 50, 2), *range(49, 0, -2)]:
        assert kept[number].to_row() == given[number].to_row()
        assert (kept[number].qa_pair, kept[number].origin) == (given[number].qa_pair, given[number].origin)
        assert (kept[number].messages, kept[number].language) == (given[number].messages, "en")


def test_reading_and_keeping_by_turns(tmp_path: Path) -> None:
    spill = Spill(tmp_path, few=0)
    for number in range(20):
        assert spill.keep(make_example(number)).qa_pair == make_example(number).qa_pair


def test_examples_in_a_file_take_little_memory_and_leave_nothing(tmp_path: Path) -> None:
    def measure(few: int) -> int:
        gc.collect()
        tracemalloc.start()
        spill = Spill(tmp_path, few=few)
        kept = [spill.keep(make_example(number, words=40)) for number in range(2000)]
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(kept) == 2000
        return size

    in_memory, in_file = measure(2000), measure(0)
    assert in_file < in_memory / 5
    assert list(tmp_path.iterdir()) == []
