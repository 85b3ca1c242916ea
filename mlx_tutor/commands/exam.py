"""Commands: list, export and verify the records of exams; and what chats show in exam mode."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.files import check_new_file, write_file
from mlx_tutor.stages.job import Options, adapt_hints, open_job, open_screen
from mlx_tutor.study.exam.record import (
    KEEP_BYTES,
    Verdict,
    list_exams,
    read_code,
    read_lines,
    read_record,
    verify_lines,
)
from mlx_tutor.tables import Table

if TYPE_CHECKING:
    from mlx_tutor.display import Screen


@click.group()
def command() -> None:
    """Look at the records of exams, and check them.

    Reads the records that `chat --exam` and `serve --exam` write into corpora/NAME/journal.sqlite. They show a code at
    the start and at the end; whoever writes it down can check later that the record was not changed.

    Example: mlx-tutor exam export
    """


@command.command(name="list")
@common_options("course", "json")
def show_list(options: Options) -> None:
    """List the exams of a course, newest last.

    Reads corpora/NAME/journal.sqlite, writes nothing.

    Example: mlx-tutor exam list
    """

    job = open_job(options)
    found = [(name, verify_lines(read_lines(job.course, name)[1])) for name in list_exams(job.course)]
    if options.json:
        job.screen.give_json([{"exam": name, **summarize(verdict)} for name, verdict in found])
        return
    if not found:
        job.screen.show(adapt_hints(f"No exam of {job.course.name!r} yet. Take one with: mlx-tutor chat --exam"))
        return
    rows = []
    for name, verdict in found:
        summary = summarize(verdict)
        rows.append((name, write_time(summary["begun"]), *map(str, (summary["questions"], summary["end"] or "no end"))))
    job.screen.show(Table(("exam", "begun (UTC)", "questions", "end"), rows, title=f"Exams of {job.course.name}"))


@command.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; default: NAME.jsonl here.")
@common_options("course")
def export(options: Options, name: str | None, output: Path | None) -> None:
    """Write the record of an exam into a file, to be handed in; by default of the newest.

    Reads corpora/NAME/journal.sqlite; writes one line of JSON for each entry.

    Example: mlx-tutor exam export --output exam.jsonl
    """
    job = open_job(options)
    name, lines = read_lines(job.course, name)
    path = output or Path(f"{name}.jsonl")
    check_new_file(path)
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", KEEP_BYTES)
    write_file(path, lambda temporary: temporary.write_bytes(content))
    job.screen.show(adapt_hints(f"Wrote {path}. Check it with: mlx-tutor exam verify {path} --head CODE"))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--head", "heads", multiple=True, metavar="CODE", help="A code written down at the exam; may be repeated."
)
@common_options("json")
def verify(options: Options, file: Path, heads: tuple[str, ...]) -> None:
    """Check whether the record of an exam was changed since its codes were shown.

    Reads FILE, as `exam export` wrote it; needs neither course nor model. Exit status 1 when it was changed. With -v,
    the questions and answers too.

    Example: mlx-tutor exam verify exam.jsonl --head 7K3F-9QXM-2B4T
    """
    codes = [read_code(head) for head in heads]
    verdict = verify_lines(read_record(file), codes)
    screen = open_screen(options)
    if options.json:
        numbers = {"entries": len(verdict.entries), "whole": verdict.whole, "vouched": verdict.vouched}
        lists = {"problems": verdict.problems, "remarks": verdict.remarks, "heads": verdict.heads}
        screen.give_json({"changed": verdict.is_changed, **numbers, **lists, **summarize(verdict)})
    else:
        show_verdict(screen, verdict, options.verbose)
    if verdict.is_changed:
        raise click.exceptions.Exit(1)


def summarize(verdict: Verdict) -> dict[str, Any]:
    """The facts of a record."""
    starts, ends = verdict.list_kind("start"), verdict.list_kind("end")
    first = verdict.entries[0] if verdict.entries else {}
    return {
        "begun": first.get("time"),
        "finished": ends[0]["time"] if ends else None,
        "end": ends[0]["data"].get("reason") if ends else None,
        "questions": len(verdict.list_kind("question")),
        "answers": len(verdict.list_kind("answer")),
        "denied": sum(take(entry["data"], "times", int) or 1 for entry in verdict.list_kind("denied")),
        "start": starts[0]["data"] if starts else None,
    }


def show_verdict(screen: "Screen", verdict: Verdict, verbose: bool) -> None:
    """What the record says, then what it is worth."""
    from mlx_tutor.display import draw_facts

    summary = summarize(verdict)
    count = f"questions {summary['questions']}, answers {summary['answers']}"
    facts = [
        ("exam", verdict.entries[0]["exam"] if verdict.entries else "no entry can be read"),
        ("begun", write_time(summary["begun"])),
        ("ended", f"{write_time(summary['finished'])} {summary['end'] or 'no end'}".strip()),
        ("entries", f"{len(verdict.entries)}; {count}, attempts to reach out denied {summary['denied']}"),
        *list_start(summary["start"] or {}),
    ]
    screen.show(draw_facts([(clean(name), clean(value)) for name, value in facts]))
    if verbose:
        show_entries(screen, verdict)
    screen.show("")
    for remark in verdict.remarks:
        screen.show(f"Note: {clean(remark)}.")
    for problem in verdict.problems:
        screen.show(f"Changed: {clean(problem)}.")
    for code, number in verdict.heads.items():
        screen.show(describe_head(code, number, verdict))
    screen.show(describe_verdict(verdict))


def list_start(start: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the first entry says, as facts."""
    if not start:
        return
    yield "course, model", f"{start.get('course')}, {start.get('model')}"
    for part, files in take(start, "files", dict).items():
        if isinstance(files, dict) and files:
            yield f"  {part}", ", ".join(f"{name} {str(digest)[:12]}" for name, digest in files.items())
    recipe = take(start, "recipe", dict)
    # Records from before the course could forbid code have no such setting of the course.
    outside = take(recipe, "course", dict).get("allow_code", True)
    allowed = take(take(recipe, "exam", dict), "allow_code", bool) and outside is True
    yield "code in answers", "allowed" if allowed else "left out"
    for layer in take(start, "layers", list):
        yield str(take(layer, "name", str)), str(take(layer, "state", str))
    for i, attempt in enumerate(take(start, "self_test", list)):
        yield "" if i else "self-test", f"{take(attempt, 'target', str)}: {take(attempt, 'outcome', str)}"


def take(value: Any, key: str, kind: type) -> Any:
    """The value of an untrusted file under a key; of the wrong type, the empty value of the right one."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, kind) else kind()


def clean(text: str) -> str:
    """Text of an untrusted file, without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def show_entries(screen: "Screen", verdict: Verdict) -> None:
    """The course of the exam."""

    rows = []
    for entry in verdict.entries[1:]:
        data = entry["data"]
        parts = [
            str(data[key]) for key in ("name", "text", "detail", "reason", "shown", "event", "target") if data.get(key)
        ]
        rows.append(
            (
                str(entry["number"]),
                clean(entry["time"][11:19]),
                clean(entry["kind"]),
                "\n".join(clean(line) for part in parts for line in part.splitlines()),
            )
        )
    screen.show("", Table(("entry", "time", "kind", "what"), rows))


def describe_head(code: str, number: int | None, verdict: Verdict) -> str:
    """What one code says of the record."""
    if number is None:
        return (
            f"Changed: code {code} stands for no entry. Since it was written down, entries were changed, or taken away "
            "at the end; or the code is of another exam, or was written wrongly."
        )
    last = verdict.entries[number - 1]
    what = {"start": "the start", "end": "the end"}.get(last["kind"], f"entry {number}")
    are = "entry 1 is what it was" if number == 1 else f"entries 1 to {number} are what they were"
    return f"Code {code} is that of {what}: {are} when it was shown."


def describe_verdict(verdict: Verdict) -> str:
    """The last line."""
    if verdict.is_changed:
        return "The record WAS CHANGED."
    if not verdict.heads:
        return (
            "Unbroken in itself, which rules out accidents only: anyone can work out all hashes anew. "
            "Give the codes that were written down with --head."
        )
    rest = len(verdict.entries) - verdict.vouched
    if rest:
        return f"Not changed up to entry {verdict.vouched}; for the {rest} later ones no code was given."
    return "Not changed."


def write_time(time: str | None) -> str:
    """`2026-11-21 09:50:12`, in UTC."""
    return (time or "")[:19].replace("T", " ")
