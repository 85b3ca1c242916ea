"""Questions that found nothing, as the lecturer sees them."""

from dataclasses import replace
from pathlib import Path

from mlx_tutor.journal import open_journal
from mlx_tutor.study.chat.unfound import NOWHERE, list_unfound, note_unfound
from mlx_tutor.study.web.site import ask_site
from mlx_tutor.workspace import Course
from tests.study.web.serving import make_site


def test_they_are_counted_by_topic_and_nobody_is_named(tmp_path: Path, tiny_model: Path) -> None:
    site = make_site(tmp_path, tiny_model)
    try:
        for page, question in (("a", "What is the mode?"), ("b", "what is  the mode?"), ("c", "Who is Zzyzx?")):
            turn = ask_site(site, site.find_talk(page), question).take()
            # Random weights say nothing that the course supports.
            assert turn.cited.supported is False
        found = list_unfound(site.course)
        assert [(topic.topic, topic.times) for topic in found] == [("notes.md > Statistics > Mode", 2), (NOWHERE, 1)]
        assert found[0].questions == (("What is the mode?", 2),)
        with open_journal(site.course, "") as journal:
            rows = [tuple(row) for row in journal.execute("SELECT * FROM unfound")]
        assert all(len(row) == 4 and len(row[1]) == len("2026-03-01") for row in rows)
        # What the course answers is not noted.
        note_unfound(site.course, replace(turn.cited, supported=True))
        assert sum(topic.times for topic in list_unfound(site.course)) == 3
    finally:
        site.worker.close()


def test_a_course_that_nobody_asked_has_none(tmp_path: Path) -> None:
    assert list_unfound(Course(tmp_path, "c")) == []
