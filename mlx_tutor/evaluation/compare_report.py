"""A comparison as a file to keep: HTML with columns side by side, Markdown, or JSON."""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlx_tutor.errors import TutorError
from mlx_tutor.evaluation.html import draw, render_page, write_shares
from mlx_tutor.evaluation.style import ASPECTS
from mlx_tutor.files import check_new_file, write_text
from mlx_tutor.records import describe_end
from mlx_tutor.tables import Table

SUFFIXES = (".html", ".md", ".json")
PIECE = re.compile(r"\s+|\w+|[^\w\s]")
# With less in common, marks would cover the whole answer and say nothing.
COMMON = 0.3
# Badges of an answer that has nothing of the kind would only take room.
SILENT = ("none", "neither")


def check_report(path: Path) -> None:
    """Raise TutorError when no report can be written there; called before any model is asked."""
    if path.suffix not in SUFFIXES:
        raise TutorError(
            f"{path} is not a report file. Name one that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )
    check_new_file(path)


def write_report(path: Path, record: Mapping[str, Any]) -> None:
    """Write a comparison, as `record_comparison` gives it, in the form that the suffix names."""
    forms = {".html": render_html, ".md": render_markdown, ".json": _render_json}
    write_text(path, forms[path.suffix](record))


def _render_json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def mark_differences(before: str, after: str) -> list[tuple[str, bool]]:
    """`after` in pieces, each with whether its words are missing from `before` at that place.

    Nothing is marked where the two have less than three tenths of their words in common.
    """
    old = [piece for piece in PIECE.findall(before) if not piece.isspace()]
    pieces = PIECE.findall(after)
    places = [i for i, piece in enumerate(pieces) if not piece.isspace()]
    matcher = difflib.SequenceMatcher(None, old, [pieces[i] for i in places], autojunk=False)
    if matcher.ratio() < COMMON:
        return [(after, False)]
    new = {places[i] for _, _, _, start, end in _list_changes(matcher) for i in range(start, end)}
    found: list[tuple[str, bool]] = []
    for i, piece in enumerate(pieces):
        # Space between two marked words is marked with them.
        is_new = i in new or (piece.isspace() and i - 1 in new and i + 1 in new)
        if found and found[-1][1] == is_new:
            found[-1] = (found[-1][0] + piece, is_new)
        else:
            found.append((piece, is_new))
    return found


def _list_changes(matcher: "difflib.SequenceMatcher[str]") -> list[tuple[str, int, int, int, int]]:
    return [change for change in matcher.get_opcodes() if change[0] in ("replace", "insert")]


def list_badges(labels: Mapping[str, str]) -> list[str]:
    """What an answer looks like in a few words: the labels of the style aspects that it has."""
    names = {"mathematics": "{} mathematics", "related concepts": "related concepts {}"}
    return [names.get(aspect, "{}").format(label) for aspect, label in labels.items() if label not in SILENT]


def render_html(record: Mapping[str, Any]) -> str:
    """One page that needs no network; whatever models and users wrote is escaped."""
    style = tabulate_style(record["models"])
    shown = {aspect.name: draw("titled", aspect.name, aspect.definition) for aspect in ASPECTS}
    rows = [(shown[name], *(cell.replace(" %", "\u00a0%") for cell in cells)) for name, *cells in style.rows]
    values = {
        "title": f"{_join([model['label'] for model in record['models']])}, compared",
        "record": record,
        "finished": record["finished"][:16].replace("T", " "),
        "models": tabulate_models(record["models"]),
        "style": replace(style, rows=rows),
        "meanings": [(aspect.name, aspect.definition) for aspect in ASPECTS],
        "prompts": [_prepare_prompt(prompt) for prompt in record["prompts"]],
        "settings": list_settings(record),
    }
    return render_page("comparison.html.j2", values)


def _join(labels: Sequence[str]) -> str:
    return " and ".join([", ".join(labels[:-1]), labels[-1]]) if len(labels) > 1 else labels[0]


def tabulate_models(models: Sequence[Mapping[str, Any]]) -> Table:
    """The measures of each model, a column for each."""
    measures: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "tokens an answer": lambda model: f"{model['tokens']:.0f}",
        "tokens/s": lambda model: f"{model['tokens_per_second']:.1f}",
        "time to first token": lambda model: f"{model['first_token_seconds']:.2f} s",
        "not ended by itself": lambda model: f"{100 * model['cut']:.0f} %",
        "repeated 4-grams": lambda model: f"{100 * model['repeated_4grams']:.0f} %",
        "weights in memory": lambda model: f"{1000 * model['weights_gb']:,.1f} MB",
        "peak memory": lambda model: f"{1000 * model['peak_memory_gb']:,.1f} MB",
    }
    rows = [(name, *map(describe, models)) for name, describe in measures.items()]
    return Table(("", *(model["label"] for model in models)), rows, numbers=True)


def tabulate_style(models: Sequence[Mapping[str, Any]]) -> Table:
    """The shares of each model's answers under each label."""
    rows = [(aspect.name, *(write_shares(model["style"][aspect.name]) for model in models)) for aspect in ASPECTS]
    return Table(("", *(model["label"] for model in models)), rows)


def _prepare_prompt(prompt: Mapping[str, Any]) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []
    before: str | None = None
    for found in prompt["answers"]:
        text = found["answer"]["text"]
        pieces = [(text, False)] if before is None else mark_differences(before, text)
        badges = list_badges(found["labels"])
        answers.append({"label": found["label"], "timing": describe_timing(found), "pieces": pieces, "badges": badges})
        before = text
    question = prompt["messages"][-1]["content"]
    return {"heading": _name(prompt), "question": question, "reference": prompt["reference"], "answers": answers}


def _name(prompt: Mapping[str, Any]) -> str:
    return ": ".join(part for part in (prompt["id"], prompt["task"]) if part)


def describe_timing(found: Mapping[str, Any]) -> str:
    """`64 tokens, 35.1 tokens/s, first after 0.02 s, cut at the limit`."""
    answer = found["answer"]
    cut = describe_end(answer["finish_reason"])
    speed = f"{answer['tokens_per_second']:.1f} tokens/s, first after {answer['first_token_seconds']:.2f} s"
    return f"{answer['tokens']} tokens, {speed}{cut}"


def list_settings(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was compared, and on what machine."""
    systems = {
        turn["content"] for prompt in record["prompts"] for turn in prompt["messages"] if turn["role"] == "system"
    }
    environment = record["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    where = [f"{model['path']}{f', adapter {a}' if (a := model['adapter']) else ''}" for model in record["models"]]
    return [
        *((model["label"], path) for model, path in zip(record["models"], where, strict=True)),
        ("system prompt", systems.pop() if len(systems) == 1 else "of each row" if systems else "none"),
        ("generation", ", ".join(f"{name} {value:g}" for name, value in record["generate"].items())),
        (
            "machine",
            f"{environment['device_name']}, {environment['system']}, Python {environment['python']}, {packages}",
        ),
    ]


def render_markdown(record: Mapping[str, Any]) -> str:
    """The same as Markdown; answers are quoted, so that their headings and fences do not affect the page."""
    models = record["models"]
    style = tabulate_style(models)
    lines = [
        f"# {_join([model['label'] for model in models])}, compared",
        *("", tabulate_models(models).to_markdown()),
        replace(style, columns=("style", *style.columns[1:])).to_markdown(),
    ]
    if record["sharing"]:
        lines += [record["sharing"]]
    for prompt in record["prompts"]:
        lines += ["", f"## {_name(prompt)}", ""]
        lines += [*_quote(prompt["messages"][-1]["content"])]
        if prompt["reference"]:
            lines += ["", "**reference**", "", *_quote(prompt["reference"])]
        for found in prompt["answers"]:
            note = "; ".join([describe_timing(found), *list_badges(found["labels"])])
            lines += ["", f"**{found['label']}** ({note})", "", *_quote(found["answer"]["text"])]
    lines += ["", "## Settings", "", *(f"- {name}: {' '.join(value.split())}" for name, value in list_settings(record))]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in text.splitlines() or [""]]
