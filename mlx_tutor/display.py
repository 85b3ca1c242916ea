"""Everything that is drawn in the terminal: tables, progress, answers. The only module that imports rich.

Progress, remarks and warnings go to stderr; results go to stdout, or to stderr too when stdout is for JSON.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mlx_tutor.records import describe_end, describe_share
from mlx_tutor.tables import Table as TableOfTexts
from mlx_tutor.text import CONTROLS, strip_controls

if TYPE_CHECKING:
    from mlx_tutor.evaluation.compare import Comparison
    from mlx_tutor.training.monitor import Metric

# Answers side by side need at least this width.
ANSWER_WIDTH = 50
# Without a terminal, progress is written at most this often.
SECONDS_A_LINE = 10.0


class SafeConsole(Console):
    """A console that no text can command: of control sequences, only rich's own reach the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(strip_controls(segment.text), segment.style)


class Screen:
    """Where a command talks to the user."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.remarks = SafeConsole(stderr=True, highlight=False)
        self.results = SafeConsole(stderr=json, highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """A remark; nothing with -q."""
        if not self.quiet:
            self._print(self.remarks, Text(text, style))

    def explain(self, text: str) -> None:
        """A remark for those who ask for more with -v."""
        if self.verbose:
            self.say(text, "dim")

    def warn(self, text: str) -> None:
        """Something that the user should know, also with -q."""
        self._print(self.remarks, Text.assemble(("Warning: ", "bold yellow"), text))

    def show(self, *parts: RenderableType | TableOfTexts) -> None:
        """A result."""
        for part in parts:
            drawn = draw_table(part) if isinstance(part, TableOfTexts) else part
            self._print(self.results, Text(drawn) if isinstance(drawn, str) else drawn)

    def give_json(self, value: Any) -> None:
        """A result for programs, on stdout."""
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        # JSON escapes only the control characters below a space.
        print(CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text))

    def give_text(self, text: str) -> None:
        """A result for other programs, on stdout, as it is."""
        print(strip_controls(text), end="")

    def _print(self, console: Console, part: RenderableType) -> None:
        # In a pipe, a wrapped path could not be copied as one line.
        console.print(part, soft_wrap=isinstance(part, Text) and not console.is_terminal)

    @contextmanager
    def count_files(self, label: str) -> Iterator[Callable[[str, int, int], None]]:
        """A progress bar; call what it gives with a name, how many are done, and of how many."""
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[name]}"))
        with Progress(*columns, console=self.remarks, transient=True, disable=not self._is_live) as progress:
            task = progress.add_task(label, total=None, name="")

            def update(name: str, done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, name=escape(name))
                if not self._is_live:
                    self.explain(f"  {name}")

            yield update

    @contextmanager
    def follow(self, label: str) -> Iterator[Callable[[str, float, float], None]]:
        """How far a long work is, and how long the rest takes: a bar on a terminal, else a line now and then.

        Call what it gives with what is done at the moment, how much is done, and of how much.
        """
        clock = ProgressClock()
        columns = (TextColumn(label), BarColumn(), TextColumn("{task.fields[doing]}"))
        with Progress(*columns, console=self.remarks, transient=True, disable=not self._is_live) as progress:
            task = progress.add_task(label, total=None, doing="")

            def update(doing: str, done: float, total: float) -> None:
                text = f"{doing}{clock.describe_left(done, total)}"
                progress.update(task, completed=done, total=total, doing=escape(text))
                if not self._is_live and clock.is_due():
                    self.say(f"  {100 * done / total:.0f} %  {text}")

            yield update

    @contextmanager
    def wait(self, label: str) -> Iterator[Callable[[str], None]]:
        """A sign that work goes on; call what it gives with each step that is done."""
        if not self._is_live:
            yield lambda text: self.say(f"  {text}")
            return
        with self.remarks.status(escape(label)):
            yield lambda text: self.say(f"  {text}")

    @property
    def _is_live(self) -> bool:
        return self.remarks.is_terminal and not self.quiet

    @contextmanager
    def watch_training(self, run: str) -> Iterator[Callable[["Metric"], None]]:
        """A live panel on a terminal, else plain lines; call what it gives with each metric."""
        latest: dict[str, Metric] = {}
        clock = ProgressClock()

        def tell(metric: "Metric") -> None:
            line, due = describe_metric(metric, latest), clock.is_due(metric["kind"] != "progress")
            if due:
                self.say(line)

        if not self._is_live:
            yield tell
            return
        with Live(Text(f"loading the model of {run} ..."), console=self.remarks, transient=True) as live:

            def update(metric: "Metric") -> None:
                line = describe_metric(metric, latest)
                if metric["kind"] == "valid":
                    live.console.print(Text(line))
                # Narrower than the terminal: the echo of Ctrl-C would wrap and break the panel.
                live.update(draw_training(run, metric, latest, min(100, self.remarks.width - 4)))

            yield update

    @contextmanager
    def watch_answers(self, labels: Sequence[str]) -> Iterator[Callable[[str, str], None]]:
        """Answers side by side as they are written; call what it gives with a label and a piece of text."""
        texts = dict.fromkeys(labels, "")
        if not self.results.is_terminal or self.quiet:
            yield lambda label, piece: None
            return
        with Live(console=self.results, transient=True, refresh_per_second=8) as live:

            def update(label: str, piece: str) -> None:
                texts[label] += piece
                live.update(draw_answers(self.results, texts, self.results.height - 3))

            yield update


def describe_metric(metric: "Metric", latest: "dict[str, Metric]") -> str:
    """One line for a metric; `latest` keeps the newest of each kind, and the best and the first validation."""
    kind = metric["kind"]
    if kind == "progress" and ("progress" not in latest or latest["progress"]["doing"] != metric["doing"]):
        latest["begun"] = metric
    latest[kind] = metric
    if kind == "valid" and metric["best"]:
        latest["best"] = metric
    if metric["iteration"] == 0 and kind == "valid":
        latest["start"] = metric
    place = f"  {metric['iteration']:>5}/{metric['iterations']}"
    if kind == "progress":
        return f"{place}  {describe_progress(metric, latest)}"
    if kind == "valid":
        best = ", the best so far" if metric["best"] else ""
        return (
            f"{place}  validation loss {metric['loss']:.3f} on {describe_share(metric['rows'], metric['total'])}{best}"
        )
    left = (
        f", {describe_seconds(estimate_left(metric, latest))} left"
        if metric["iteration"] < metric["iterations"]
        else ""
    )
    return (
        f"{place}  training loss {metric['loss']:.3f}  {metric['tokens_per_second']:,.0f} tokens/s  "
        f"{describe_bytes(1e9 * metric['peak_memory_gb'])}{left}"
    )


def describe_progress(metric: "Metric", latest: "dict[str, Metric]") -> str:
    """`validating, 12 of 64 rows, 20 s left`."""
    if metric["doing"] == "training":
        rest = estimate_left(metric, latest)
        return f"training{f', {describe_seconds(rest)} left' if rest else ''}"
    seconds = metric["seconds"] - latest["begun"]["seconds"] if "begun" in latest else 0.0
    left = describe_left(seconds, metric["rows"], metric["total"])
    return f"{metric['doing']}, {metric['rows']} of {metric['total']} rows{left}"


def describe_left(seconds: float, done: float, total: float) -> str:
    """`, 12 s left` after so many seconds; empty at the beginning and at the end."""
    return f", {describe_seconds(seconds / done * (total - done))} left" if 0 < done < total else ""


class ProgressClock:
    """When the next line about a long work is due, and how long the rest of it takes."""

    def __init__(self) -> None:
        self.begun, self.shown = time.monotonic(), -math.inf

    def is_due(self, always: bool = False) -> bool:
        """Whether a line is due: the first time, then at intervals; with `always` it is, and counts."""
        due = always or time.monotonic() - self.shown >= SECONDS_A_LINE
        self.shown = time.monotonic() if due else self.shown
        return due

    def describe_left(self, done: float, total: float) -> str:
        """`, 12 s left`."""
        return describe_left(time.monotonic() - self.begun, done, total)


def estimate_left(metric: "Metric", latest: "dict[str, Metric]") -> float:
    """Seconds until the last iteration, from the pace since the first."""
    begun = latest["start"]["seconds"] if "start" in latest else 0.0
    pace = (metric["seconds"] - begun) / max(1, metric["iteration"])
    return pace * (metric["iterations"] - metric["iteration"])


def draw_training(run: str, metric: "Metric", latest: "dict[str, Metric]", width: int) -> RenderableType:
    """The live panel: how far, how good, how fast."""
    facts = Table.grid(padding=(0, 2), expand=True)
    for ratio in (None, 1, None, 1):
        facts.add_column(ratio=ratio, style="dim" if ratio is None else "", no_wrap=True)
    train, best = latest.get("train"), latest.get("best")
    left = describe_seconds(estimate_left(metric, latest)) if metric["iteration"] else "-"
    facts.add_row("iteration", f"{metric['iteration']} of {metric['iterations']}", "time left", left)
    if metric["kind"] == "progress" and metric["doing"] == "validating":
        facts.add_row("now", describe_progress(metric, latest))
    facts.add_row(
        "training loss",
        f"{train['loss']:.3f}" if train else "-",
        "speed",
        f"{train['tokens_per_second']:,.0f} tokens/s" if train else "-",
    )
    facts.add_row(
        "best validation",
        f"{best['loss']:.3f} at {best['iteration']}" if best else "-",
        "peak memory",
        describe_bytes(1e9 * metric["peak_memory_gb"]),
    )
    bar = Padding(ProgressBar(total=metric["iterations"], completed=metric["iteration"]))
    title, hint = f"training {escape(run)}", "Ctrl-C ends it and keeps the best"
    return Panel(Group(bar, facts), title=title, subtitle=hint, width=width)


def draw_answers(console: Console, texts: dict[str, str], height: int | None = None) -> RenderableType:
    """A panel for each label: side by side where the terminal is wide enough, else one above the other.

    With `height`, only the last lines that fit into it.
    """
    side = console.width >= ANSWER_WIDTH * len(texts)
    width = console.width // len(texts) if side else console.width
    wrapped = {label: list(Text(text).wrap(console, width - 4)) for label, text in texts.items()}
    if height is not None:
        room = max(1, (height if side else height // len(texts)) - 2)
        wrapped = {label: lines[-room:] for label, lines in wrapped.items()}
    longest = max(len(lines) for lines in wrapped.values())
    panels = [
        Panel(Text("\n").join(lines), title=escape(label), width=width, height=longest + 2 if side else None)
        for label, lines in wrapped.items()
    ]
    if not side:
        return Group(*panels)
    row = Table.grid()
    row.add_row(*panels)
    return row


def draw_row(entry: "dict[str, Any]") -> RenderableType:
    """A dataset row as training sees it: prompt dim, trained text green, the end token marked."""
    place = ", ".join(f"{key} {entry[key]}" for key in ("page", "cell", "row") if entry[key] is not None)
    parts: list[RenderableType] = []
    for turn in entry["turns"]:
        text = Text().append(turn["prompt"], "dim")
        text.append(turn["trained"], "green").append(turn["end"], "black on green")
        parts += [text, Text(f"{turn['tokens']} tokens, {turn['trained_tokens']} trained", "italic")]
    parts += [Text(f"left out: {reason}", "yellow") for reason in entry["dropped"]]
    origin = " · ".join(part for part in (entry["source"], place, entry["method"]) if part)
    return Panel(Group(*parts), title=f"line {entry['line']}", subtitle=escape(origin))


def draw_study(title: str, text: str, *, style: str = "bold", end: str = "") -> RenderableType:
    """A question or what the course answers to it; code is set off and loses its fences."""
    shown = Text()
    code = False
    for line in text.strip().split("\n"):
        if line.startswith("```"):
            code = not code
        else:
            shown.append(f"  {line}\n" if code else f"{line}\n", "cyan" if code else "")
    shown.rstrip()
    below = [shown, Text(end, "dim")] if end else [shown]
    parts = [Padding(part, (0, 0, 0, 2), expand=False) for part in below]
    return Padding(Group(Text(title, style), *parts), (1, 0, 0, 0), expand=False)


def draw_facts(facts: Sequence[tuple[str, str]]) -> Table:
    """Names and values, without lines."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, escape(value))
    return table


def draw_style(comparisons: "Sequence[Comparison]") -> Table:
    """What the answers are like, a column for each model."""
    table = make_table("", *(escape(item.label) for item in comparisons), numbers=True)

    def add(name: str, read: "Callable[[Comparison], str]") -> None:
        table.add_row(name, *(read(item) for item in comparisons))

    add("tokens", lambda item: str(item.answer.tokens))
    add("tokens/s", lambda item: f"{item.answer.tokens_per_second:.1f}")
    add("time to first token", lambda item: f"{item.answer.first_token_seconds:.2f} s")
    add("LaTeX formulas", lambda item: str(item.style.latex_formulas))
    add("steps or bullets", lambda item: str(item.style.steps))
    add("code blocks", lambda item: str(item.style.code_blocks))
    add("related concepts listed", lambda item: str(item.style.related_concepts))
    add("repeated 4-grams", lambda item: f"{100 * item.style.repeated_4grams:.0f} %")
    add("weights in memory", lambda item: describe_bytes(1e9 * item.weights_gb))
    add("peak memory", lambda item: describe_bytes(1e9 * item.answer.peak_memory_gb))
    add("ended", lambda item: describe_end(item.answer.finish_reason).removeprefix(", ") or "by itself")
    return table


def make_table(*headings: str, numbers: bool = False, title: str | None = None) -> Table:
    """A table in the house style; with `numbers`, all columns but the first stand at the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if numbers and i else "left", overflow="fold")
    return table


def draw_table(content: TableOfTexts) -> Table:
    """A table as the reports show it."""
    table = make_table(*content.columns, numbers=content.numbers, title=content.title or None)
    for row in content.rows:
        table.add_row(*map(escape, row))
    return table


def describe_seconds(seconds: float) -> str:
    """`4.2 s`, `2 min 05 s` or `1 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def describe_bytes(size: float) -> str:
    """`3.4 MB` or `2.30 GB`, in powers of ten."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def draw_sources(places: Sequence[tuple[str, str]]) -> Table:
    """A numbered list of places, each with the sentence that stands there, or "" for none."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for number, (place, quote) in enumerate(places, 1):
        text = Text(place, "cyan")
        if quote:
            text.append(f"\n“{quote}”", "default")
        table.add_row(str(number), text)
    return table
