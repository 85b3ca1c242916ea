"""Several raters of one contest: at once, one who stops half-way, and whether they agree."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from mlx_tutor.errors import TutorError
from mlx_tutor.evaluation.rate import ModelPair, pick_pair, prepare_pairs, read_judgements, read_pairs, store_score
from mlx_tutor.evaluation.raters import list_raters, name_rater
from mlx_tutor.evaluation.tally import describe_verdict, summarize_ratings
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.workspace import Course
from tests.evaluation.ratings import CRITERIA, PROMPTS
from tests.model_factory import make_model

# A rater in a process of their own, who scores by question and answer, and so like the others.
RATER = """
import sys
from pathlib import Path
from mlx_tutor.evaluation.rate import pick_pair, store_score
from mlx_tutor.workspace import Course
from tests.evaluation.ratings import CRITERIA

course, rater, most = Course(Path(sys.argv[1]), "demo"), sys.argv[2], int(sys.argv[3])
while most and (blind := pick_pair(course, "demo", rater, CRITERIA)):
    for answer, text in enumerate(blind.answers):
        for place, criterion in enumerate(CRITERIA):
            store_score(course, rater, blind.pair, answer, criterion, 1 + (sum(text.encode()) + blind.pair + place) % 5)
    most -= 1
"""


@pytest.fixture
def course(tmp_path: Path, tiny_model: Path) -> Course:
    made = Course(tmp_path, "demo")
    other = make_model(tmp_path / "other", seed=3)
    models = ModelPair("demo", ModelSpec("base", tiny_model), ModelSpec("fused", other), GenerateSettings(max_tokens=6))
    prepare_pairs(made, models, PROMPTS)
    return made


def rate_all(course: Course, *raters: tuple[str, int]) -> None:
    """Let them rate so many pairs each, all at the same time."""
    running = [
        subprocess.Popen([sys.executable, "-c", RATER, str(course.workspace), name, str(most)]) for name, most in raters
    ]
    assert [each.wait(120) for each in running] == [0] * len(raters)


def test_three_raters_at_once_lose_nothing(course: Course) -> None:
    rate_all(course, ("ada", 5), ("bob", 5), ("cyd", 2))
    assert list_raters(course, "demo") == {"ada": 5, "bob": 5, "cyd": 2}
    judgements = read_judgements(course, "demo", CRITERIA)
    found = summarize_ratings(read_pairs(course, "demo"), judgements, CRITERIA)
    assert found["raters"] == {"ada": 5, "bob": 5, "cyd": 2} and found["rated"] == 5
    # All three read the same answers, each in an order of their own, and score them alike.
    assert found["agreement"]["alpha"] == found["agreement"]["criteria"]["clarity"] == 1.0
    assert found["agreement"]["shared"] == 5
    assert len({judgement.scores["base"]["help"] for judgement in judgements if judgement.pair == 1}) == 1


def test_who_stops_in_the_middle_of_a_pair_is_counted_for_the_whole_ones(course: Course) -> None:
    rate_all(course, ("ada", 5), ("bob", 1))
    blind = pick_pair(course, "demo", "bob", CRITERIA)
    assert blind is not None
    store_score(course, "bob", blind.pair, 0, "help", 5)
    found = summarize_ratings(read_pairs(course, "demo"), read_judgements(course, "demo", CRITERIA), CRITERIA)
    assert found["raters"] == {"ada": 5, "bob": 1} and found["agreement"]["shared"] == 1
    assert list_raters(course, "demo") == {"ada": 5, "bob": 2}
    again = pick_pair(course, "demo", "bob", CRITERIA)
    assert again is not None and again.pair == blind.pair and again.scores == {(0, "help"): 5}


def test_raters_who_guess_do_not_agree(course: Course) -> None:
    drawn = random.Random(7)
    for rater in ("ada", "bob", "cyd"):
        while blind := pick_pair(course, "demo", rater, CRITERIA):
            for answer in range(2):
                for criterion in CRITERIA:
                    store_score(course, rater, blind.pair, answer, criterion, drawn.randint(1, 5))
    found = summarize_ratings(read_pairs(course, "demo"), read_judgements(course, "demo", CRITERIA), CRITERIA)
    assert abs(found["agreement"]["alpha"]) < 0.5 and found["agreement"]["preference"] < 0.67
    said = "\n".join(describe_verdict(found))
    assert "below 0.67 do not build on it" in said and "which answer is better" in said and "clarity" in said


def test_one_person_has_one_name(course: Course) -> None:
    pick_pair(course, "demo", name_rater(course, "Zoë  Müller"), CRITERIA)
    for typed in (" zoë müller ", "ZOË\tMÜLLER", "Zoe\u0308 Mu\u0308ller", "Zoë Müller\x1b"):
        assert name_rater(course, typed) == "Zoë Müller"
    assert name_rater(course, "Zoe") == "Zoe" and len(name_rater(course, "x" * 99)) == 40
    for nothing in ("", " \t", "\x1b"):
        with pytest.raises(TutorError, match="who rates"):
            name_rater(course, nothing)
