"""Which course and which run a command takes when none is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.workspace import Course, check_name, find_course, find_run, find_workspace, list_runs, name_new_run


def make_course(workspace: Path, name: str) -> Course:
    course = Course(workspace, name)
    course.sources.mkdir(parents=True)
    return course


def finish_run(course: Course, name: str, finished: str, **result: Any) -> None:
    folder = course.workspace / "adapters" / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"course": course.name, "finished": finished, "result": result}))


def test_a_workspace_is_found_from_any_folder_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    course = make_course(tmp_path / "study", "botany")
    assert find_workspace() == tmp_path.resolve()
    for folder in (tmp_path / "study", course.sources):
        monkeypatch.chdir(folder)
        assert find_workspace() == (tmp_path / "study").resolve()


def test_the_sample_counts_only_while_it_is_alone(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpora/ in .*mlx-tutor init NAME"):
        find_course(tmp_path)
    make_course(tmp_path, "sample")
    assert find_course(tmp_path).name == "sample"
    make_course(tmp_path, "botany")
    (tmp_path / "corpora" / "not-a-course").mkdir()
    assert find_course(tmp_path).name == "botany" and find_course(tmp_path, "sample").name == "sample"
    make_course(tmp_path, "zoology")
    with pytest.raises(CorpusError, match="Several courses: botany, zoology"):
        find_course(tmp_path)


def test_the_newest_finished_run_is_taken_and_a_sweep_only_when_there_is_no_other(tmp_path: Path) -> None:
    course, other = make_course(tmp_path, "botany"), make_course(tmp_path, "zoology")
    with pytest.raises(TutorError, match="mlx-tutor train -c botany"):
        find_run(course)
    finish_run(course, "botany-sweep-1", "2026-03-01", best_loss=1.0)
    finish_run(course, "botany-sweep-2", "2026-03-02", best_loss=2.0)
    assert find_run(course).name == "botany-sweep-1"
    finish_run(course, "botany-2", "2026-02-02")
    finish_run(course, "botany", "2026-02-03")
    finish_run(other, "zoology", "2026-04-01")
    (tmp_path / "adapters" / "botany-3").mkdir()
    assert [run.name for run in list_runs(course)] == ["botany-sweep-2", "botany-sweep-1", "botany-2", "botany"]
    assert find_run(course).name == "botany" and find_run(course, "botany-2").name == "botany-2"
    with pytest.raises(TutorError, match=r"No finished run 'botany-3'.*Runs of 'botany': "):
        find_run(course, "botany-3")


def test_a_new_run_takes_no_name_that_is_in_use(tmp_path: Path) -> None:
    course = make_course(tmp_path, "botany")
    assert name_new_run(course).name == "botany" and name_new_run(course, sweep=True).name == "botany-sweep-1"
    (tmp_path / "adapters" / "botany").mkdir(parents=True)
    (tmp_path / "fused_models" / "botany-2").mkdir(parents=True)
    assert name_new_run(course).name == "botany-3"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-c", "é", "x" * 65])
def test_names_that_cannot_be_folders_everywhere_are_refused(name: str) -> None:
    assert check_name("Botany_2.b-1") == "Botany_2.b-1"
    with pytest.raises(TutorError, match="cannot be a name"):
        check_name(name)
