"""Titles of passages, what a section says about its topic, and completions."""

import pytest

from mlx_tutor.languages.table import list_languages, read_language
from tests.dataset.rows import make_rows, pick_rows

TIDES = """# The sea

## Spring tides

A **spring tide** is a tide of large range that comes when sun and moon pull in one line. A **neap tide** is a tide of
small range that comes when sun and moon pull at right angles. Between a spring tide and a neap tide lie seven days, and
the range shrinks from one day to the next.
"""
GERMAN = """# Das Meer

## Gezeiten

Die Gezeiten sind das regelmäßige Steigen und Fallen des Wassers an den Küsten der Meere. Das Wasser steigt zweimal am
Tag, weil der Mond es anzieht und die Erde sich dreht. Die Gezeiten der Nordsee sind stärker als die der Ostsee, und an
der offenen Küste merkt man von ihnen am wenigsten.
"""
CHINESE = """# 海洋

## 潮汐

潮汐是海水在月球和太阳的引力作用下周期性涨落的现象，每天通常发生两次。海水在大潮时涨得最高，退得也最低；在小潮时涨落的幅度最小，
海面的变化几乎看不出来。沿海的居民根据潮汐的时间安排捕鱼和航行，也利用它的力量来发电，这样的电站在许多国家都能见到。
"""
# Polish, of which nothing is known: no table.
POLISH = """# Morze

## Pływy

**Pływy** to regularne podnoszenie się i opadanie wody w morzach i oceanach. Woda podnosi się dwa razy na dobę, ponieważ
przyciąga ją księżyc. Pływy są silniejsze na otwartych wybrzeżach niż w zatokach i na morzach zamkniętych.
"""


def test_a_passage_is_asked_for_its_title() -> None:
    rows = make_rows(TIDES)
    assert [answer for _, answer in pick_rows(rows, "title")] == ["Spring tides"]
    assert all(row.qa_pair.context in TIDES.replace("\n", " ").replace("**", "") for row in rows if row.qa_pair.context)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The heading's words are not used; it begins in the middle of something; it speaks of what stands beside it.
        ("## Spring tides", "## Moon phases"),
        ("A **spring tide** is a", "This is a"),
        ("seven days", "the days of the table below, seven"),
        # A listing that is not quoted, a sentence without its end, and a first one that takes up what stood before.
        ("seven days", "the seven days of Listing 4-2"),
        ("A **spring tide** is a", "The inverse of this is a **spring tide**, a"),
        ("to the next.", "to the next:"),
    ],
)
def test_passages_that_give_no_title(old: str, new: str) -> None:
    assert pick_rows(make_rows(TIDES), "title") != [] == pick_rows(make_rows(TIDES.replace(old, new)), "title")


def test_questions_are_in_the_language_of_the_text() -> None:
    table = read_language("de")
    assert table is not None
    [(question, answer)] = pick_rows(make_rows(GERMAN), "title")
    assert question in table.questions["title"] and answer == "Gezeiten"


def test_a_text_without_blanks_has_passages_too() -> None:
    assert [answer for _, answer in pick_rows(make_rows(CHINESE), "title")] == ["潮汐"]
    # The heading need not stand in it word for word.
    reworded = CHINESE.replace("## 潮汐", "## 潮汐的时间与力量")
    assert [answer for _, answer in pick_rows(make_rows(reworded), "title")] == ["潮汐的时间与力量"]
    assert pick_rows(make_rows(CHINESE.replace("## 潮汐", "## 潮汐的历史")), "title") == []
    for pointing in ("以上", "由第 3 章可知，", "在3.2节中，", "该定理说明"):
        assert pick_rows(make_rows(CHINESE.replace("潮汐是", f"{pointing}潮汐是")), "title") == []


@pytest.mark.parametrize("text", [TIDES, CHINESE])
def test_short_paragraphs_that_begin_a_section_are_one_passage(text: str) -> None:
    [(_, title)] = pick_rows(make_rows(text), "title")
    head, _, body = text.rpartition("\n\n")
    whole, stop = (body.replace("\n", ""), "。") if text == CHINESE else (body.replace("\n", " "), ". ")
    apart = whole.replace(stop, f"{stop.strip()}\n\n")
    [row] = [row for row in make_rows(f"{head}\n\n{apart}") if row.origin.method == "title"]
    assert row.qa_pair.answer == title and row.qa_pair.context.count("\n\n") >= 1


@pytest.mark.parametrize("language", list_languages())
def test_every_language_asks_about_passages(language: str) -> None:
    table = read_language(language)
    assert table is not None and {"title", "about"} <= table.questions.keys()
    assert all("{topic}" in wording for wording in table.questions["about"])


def test_a_language_without_a_table_is_asked_in_its_own_words() -> None:
    answer = "Pływy to regularne podnoszenie się i opadanie wody w morzach i oceanach."
    assert pick_rows(make_rows(POLISH), "completion") == [("Pływy ...", answer)]
    assert {row.origin.method for row in make_rows(POLISH)} == {"completion"}
    assert pick_rows(make_rows(TIDES), "completion") == []
