"""Running the stages of the data half for commands: extract and build.

Is it up to date? Run it, and say what came out. Nothing heavy is imported before a stage has to work.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlx_tutor.files import read_json
from mlx_tutor.languages.detect import name_language
from mlx_tutor.stages.job import Job, adapt_hints
from mlx_tutor.stages.outcome import Outcome, finish, measure_memory
from mlx_tutor.workspace import Course

if TYPE_CHECKING:
    from mlx_tutor.dataset.retrieval import Search

# Pairs of files that are named.
MOST_REPEATS = 5


def run_extract(job: Job) -> Outcome:
    """sources -> documents.jsonl.

    Raises:
        CorpusError: no file that could be read.
    """
    from mlx_tutor.dataset.gather import has_tables
    from mlx_tutor.extract.extract import describe_pages, extract_course
    from mlx_tutor.extract.sources import advise

    begun = time.perf_counter()
    with job.screen.count_files("extract") as on_file:
        report = extract_course(job.course, on_file, job.recipe.extract.ocr, may_be_empty=has_tables(job.recipe))
    summary = f"{report.documents} documents, {report.words:,} words{describe_languages(report.languages)}"
    warn_languages(job)
    if report.failures:
        summary += f", {len(report.failures)} unreadable"
    for scan in report.scans:
        hint = adapt_hints(f"Read with OCR: mlx-tutor extract -c {job.course.name} --ocr")
        hint = "Tesseract finds no text either." if job.recipe.extract.ocr else hint
        for line in scan.describe_lost():
            job.screen.warn(f"{scan.source}: {line}. {hint}")
        if scan.read:
            job.screen.explain(f"{scan.source}: read {describe_pages(scan.read)} by OCR")
    if report.skipped:
        summary += f", {len(report.skipped)} of other kinds passed over"
        job.screen.explain(f"passed over: {', '.join(report.skipped)}")
        for line in advise(report.skipped):
            job.screen.warn(line)
    for failure in report.failures:
        if failure.trace:
            job.screen.explain(f"{failure.source}: {failure.trace}")
    return finish(
        job,
        Outcome(
            "extract",
            summary,
            asdict(report),
            up_to_date=report.is_current,
            seconds=time.perf_counter() - begun,
            peak_memory_gb=measure_memory(),
            failures=tuple(f"{failure.source}: {failure.reason}" for failure in report.failures),
        ),
    )


def describe_languages(words: Mapping[str, int]) -> str:
    """` in German and English`, most words first; empty where no language is known."""
    names = [name_language(language) for language in words if language]
    return f" in {', '.join(names[:-1])}{' and ' if names[:-1] else ''}{names[-1]}" if names else ""


def warn_languages(job: Job) -> None:
    """Name the files whose language has no table, or cannot be told, as few rows are made of them."""
    from mlx_tutor.dataset.gather import find_unknown
    from mlx_tutor.extract.extract import read_documents

    for language, names in find_unknown(read_documents(job.course)).items():
        files = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        what = f"No table for {name_language(language)} ({files})" if language else f"{files}: a language not told"
        job.screen.warn(f"{what}: only completions are made of it, no questions.")


def run_build(
    job: Job,
    from_ratings: bool | None = None,
    fill_gaps: bool | None = None,
    from_learned: bool | None = None,
) -> Outcome:
    """documents.jsonl -> train, valid and test rows.

    `from_ratings` adds answers that raters found good; `fill_gaps` makes further rows, by the teacher of the recipe or
    without, for thin sections only; `from_learned` makes them for facts that the newest measured run does not know.
    None: as the rows that are there were built.

    Raises:
        CorpusError: not extracted yet.
        DatasetError: too little to make rows of.
        TutorError: no run was measured, for `from_learned`.
    """
    from mlx_tutor.dataset.build import build_dataset, is_dataset_current, read_ratings, read_weak
    from mlx_tutor.models import hash_tokenizer, load_tokenizer, render_tokens, resolve_model
    from mlx_tutor.stages.practice import find_weak
    from mlx_tutor.stages.teacher import find_thin, lacks_replies, list_asked, run_teacher

    course = job.course
    base = resolve_model(job.recipe.model.base, on_event=job.screen.say)
    fingerprint = hash_tokenizer(base)
    had_gaps = (course.dataset / "manifest.json").is_file() and read_build(course).get("gaps") is not None
    fill = had_gaps if fill_gaps is None else fill_gaps
    had_weak = read_weak(course)
    # Without the option, what was measured since does not count.
    weak = had_weak if from_learned is None else find_weak(job, had_weak) if from_learned else None
    current = is_dataset_current(course, job.recipe, fingerprint, from_ratings) and fill == had_gaps
    current = current and weak == had_weak
    if current and not lacks_replies(result := read_build(course)):
        return finish(job, Outcome("build", describe_build(result), result, up_to_date=True))
    check_documents(job)
    warn_languages(job)
    begun = time.perf_counter()
    had_rated = read_ratings(course) is not None
    rated = had_rated if from_ratings is None else from_ratings
    if had_rated and not rated:
        job.screen.warn("The rated answers among the rows are left out; --from-ratings adds them again.")
    if had_weak is not None and weak is None:
        job.screen.warn("The rows for what was not known are left out; --from-learned adds them again.")
    thin = find_thin(job) if fill else None
    taught = run_teacher(job, list_asked(job, thin))
    with job.screen.wait("building rows"), open_search(job) as search:
        tokenizer = load_tokenizer(base)
        report = build_dataset(
            course,
            job.recipe,
            lambda messages: len(render_tokens(tokenizer, messages)[0]),
            fingerprint,
            taught,
            rated,
            thin,
            search,
            weak,
        )
    seconds, memory = time.perf_counter() - begun, measure_memory()
    result = asdict(report)
    tell_build(job, result)
    return finish(job, Outcome("build", describe_build(result), result, seconds=seconds, peak_memory_gb=memory))


@contextmanager
def open_search(job: Job) -> "Iterator[Search | None]":
    """What rows quote passages from: the search of `ask`; None where the course has no text."""
    from mlx_tutor.dataset.retrieval import Found
    from mlx_tutor.extract.extract import read_documents
    from mlx_tutor.study.chat.ask import SEARCHED, quote_passage
    from mlx_tutor.study.search.index import open_index

    if job.recipe.dataset.passages < 2 or not read_documents(job.course):
        yield None
        return
    # By words alone: rows must not depend on a package that a machine may lack.
    with open_index(job.course, job.recipe, semantic=False) as index:

        def search(question: str) -> list[Found]:
            found = index.search(question, SEARCHED)
            return [Found(p.source, p.section, p.heading[-1] if p.heading else "", *quote_passage(p)) for p in found]

        yield search


def check_documents(job: Job) -> None:
    """See that the course is extracted, and warn of what changed since; raises CorpusError when it is not."""
    from mlx_tutor.dataset.gather import has_tables
    from mlx_tutor.extract.extract import extract_course, find_changes, read_documents
    from mlx_tutor.extract.sources import list_sources

    course = job.course
    if has_tables(job.recipe) and not list_sources(course).known:
        # Without sources there is nothing to read; reading documents later reports that.
        extract_course(course, may_be_empty=True)
    read_documents(course)
    if changed := find_changes(course):
        hint = f"{', '.join(changed)} changed since the last mlx-tutor extract -c {course.name}; not used here."
        job.screen.warn(adapt_hints(hint))


def tell_build(job: Job, result: Mapping[str, Any]) -> None:
    """Report what a build did besides its one line."""
    from mlx_tutor.dataset.lessons import SparseLesson, describe_sparse

    if gaps := result["gaps"]:
        least = job.recipe.dataset.gap_rows
        job.screen.say(f"gaps      {gaps['thin']} sections with fewer than {least} rows, {gaps['left']} after filling")
    if practice := result["practice"]:
        job.screen.say(f"practice  {describe_practice(practice)}")
    job.screen.explain(
        f"dropped: {', '.join(f'{why} ({count})' for why, count in result['dropped'].items()) or 'none'}"
    )
    if line := describe_code(result):
        job.screen.say(f"code      {line}")
    for line in describe_repeats(result["repeats"]):
        job.screen.say(f"repeats   {line}")
    if sparse := [SparseLesson(**lesson) for lesson in result["sparse"]]:
        # A file without any row is none of the sources.
        files = len({*result["sources"], *(lesson.source for lesson in sparse)})
        job.screen.say(f"few rows  {len(sparse)} of {files} files; why: mlx-tutor build -v, or manifest.json")
    for lesson in sparse:
        job.screen.explain(describe_sparse(lesson))
    if result["kept_edited"]:
        job.screen.warn(f"Rows that were edited by hand are kept in {result['kept_edited']}.")


def describe_practice(practice: Mapping[str, int]) -> str:
    """`31 facts are not known: 120 more rows for 25 of them; 4 are held out of training`."""
    text = f"{practice['facts']} facts are not known: {practice['rows']} more rows for {practice['practised']} of them"
    return f"{text}; {practice['held_out']} are held out of training" if practice["held_out"] else text


def describe_code(result: Mapping[str, Any]) -> str:
    """`70 of 1,795 rows hold code (4 %), 12 were left out`; "" where there is none."""
    from mlx_tutor.dataset.quotas import CODE_ABOVE, CODE_REASON

    rows, left_out = sum(result["splits"].values()), sum(result["dropped"].get(r, 0) for r in (CODE_ABOVE, CODE_REASON))
    if not result["code"] and not left_out:
        return ""
    share = f" ({100 * result['code'] / rows:.0f} %)" if result["code"] else ""
    return f"{result['code']:,} of {rows:,} rows hold code{share}{f', {left_out:,} were left out' if left_out else ''}"


def describe_repeats(repeats: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """For each two files: `handout.pdf, pages 1-4: the same as in slides.pdf`."""
    from mlx_tutor.extract.extract import describe_pages

    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for repeat in repeats:
        found.setdefault((repeat["source"], repeat["other_source"]), []).append(repeat)
    for number, ((source, other), some) in enumerate(found.items()):
        if number == MOST_REPEATS:
            yield f"and {len(found) - number} more pairs of files; mlx-tutor show --split dropped lists all"
            return
        pages = sorted({repeat["page"] for repeat in some if repeat["page"]})
        places = describe_pages(pages) if pages else f"{len(some)} section{'s' if len(some) > 1 else ''}"
        yield f"{source}, {places}: {f'the same as in {other}' if other != source else 'the same as elsewhere in it'}"


def read_build(course: Course) -> dict[str, Any]:
    """What the manifest says of the rows; rows that came from elsewhere have none, and are counted."""
    from mlx_tutor.dataset.build import read_rows

    path = course.dataset / "manifest.json"
    if not path.is_file():
        return {"splits": {split: len(read_rows(course, split)) for split in ("train", "valid", "test")}, "dropped": {}}
    result: dict[str, Any] = read_json(path)["rows"]
    return result


def describe_build(result: Mapping[str, Any]) -> str:
    """`212 rows (170 train, 21 valid, 21 test), 4 dropped`."""
    splits, dropped = result["splits"], sum(result["dropped"].values())
    text = f"{sum(splits.values())} rows ({', '.join(f'{count} {split}' for split, count in splits.items())})"
    text = f"{text}, {dropped} dropped" if dropped else text
    return f"{text}; {describe_firewall(result['firewall'])}" if result.get("firewall") else text


def describe_firewall(report: Mapping[str, Any]) -> str:
    """`holdout: 12 test rows, 3 rows that repeat it kept out, highest overlap left 31 % (week3.pdf, page 4)`."""
    rows = f"{report['test_rows']} test rows"
    if not report["test_rows"]:
        rows = "no question with its answer in it, so the test is a share of the other rows"
    where = f" ({report['where']})" if report["where"] else ""
    left = f"{100 * report['highest_overlap']:.0f} %{where}"
    return f"holdout: {rows}, {report['dropped']} rows that repeat it kept out, highest overlap left {left}"
