"""A comparison as a file to keep: HTML with columns side by side, Markdown, or JSON."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.errors import TutorError
from mlx_tutor.evaluation.html import escape, write_facts, write_name, write_page, write_shares, write_table
from mlx_tutor.evaluation.style import ASPECTS
from mlx_tutor.files import write_text
from mlx_tutor.records import describe_end

SUFFIXES = (".html", ".md", ".json")
PIECE = re.compile(r"\s+|\w+|[^\w\s]")
# With less in common, marks would cover the whole answer and say nothing.
COMMON = 0.3
# Badges of an answer that has nothing of the kind would only take room.
SILENT = ("none", "neither")


def check_report(path: Path) -> None:
    """Raise TutorError when no report can be written there; asked before the models are."""
    if path.suffix not in SUFFIXES:
        raise TutorError(f"{path} is no report. Name a file that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if not path.parent.is_dir():
        raise TutorError(f"There is no folder {path.parent}. Make it, or write elsewhere.")
    if path.exists():
        raise TutorError(f"{path} exists and is not overwritten. Give another name.")


def write_report(path: Path, record: Mapping[str, Any]) -> None:
    """Write a comparison, as `record_comparison` gives it, in the form that the suffix names."""
    forms = {".html": render_html, ".md": render_markdown, ".json": _render_json}
    write_text(path, forms[path.suffix](record))


def _render_json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def mark_differences(before: str, after: str) -> list[tuple[str, bool]]:
    """`after` in pieces, and of each whether its words are not in `before` at that place.

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
    labels = [model["label"] for model in record["models"]]
    finished = record["finished"][:16].replace("T", " ")
    count = len(record["prompts"])
    parts = [
        f"<h1>{escape(_join(labels))}, compared</h1>",
        f'<p class="soft">{count} {"prompt" if count == 1 else "prompts"}, {escape(finished)} UTC</p>',
        _write_models(record),
        _write_style(record["models"]),
        "<h2>Answers</h2>",
    ]
    if len(labels) > 1:
        parts.append(
            '<p class="soft">Marked: words that are not in the answer before it. Where two answers have little in '
            "common, nothing is marked.</p>"
        )
    parts += [_write_prompt(prompt) for prompt in record["prompts"]]
    parts.append(_write_settings(record))
    return write_page(f"{_join(labels)}, compared", parts)


def _join(labels: Sequence[str]) -> str:
    return " and ".join([", ".join(labels[:-1]), labels[-1]]) if len(labels) > 1 else labels[0]


def list_facts(model: Mapping[str, Any]) -> dict[str, str]:
    """The measures of a model as text, by name: the rows of the model table."""
    return {
        "tokens an answer": f"{model['tokens']:.0f}",
        "tokens/s": f"{model['tokens_per_second']:.1f}",
        "time to first token": f"{model['first_token_seconds']:.2f} s",
        "not ended by itself": f"{100 * model['cut']:.0f} %",
        "repeated 4-grams": f"{100 * model['repeated_4grams']:.0f} %",
        "weights in memory": f"{1000 * model['weights_gb']:,.1f} MB",
        "peak memory": f"{1000 * model['peak_memory_gb']:,.1f} MB",
    }


def _write_models(record: Mapping[str, Any]) -> str:
    models = record["models"]
    facts = [list_facts(model) for model in models]
    rows = [(name, *(escape(found[name]) for found in facts)) for name in facts[0]]
    caption = "Means over the answers; one model is in memory at a time."
    sharing = f'<p class="soft">{escape(record["sharing"])}</p>' if record["sharing"] else ""
    return f"<h2>Models</h2>{write_table(('', *map(_write_label, models)), rows, caption)}{sharing}"


def _write_label(model: Mapping[str, Any]) -> str:
    return write_name(model["label"])


def _write_style(models: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f'<span title="{escape(aspect.definition)}">{escape(aspect.name)}</span>',
            *(escape(write_shares(model["style"][aspect.name])).replace(" %", "&nbsp;%") for model in models),
        )
        for aspect in ASPECTS
    ]
    caption = "Shares of the answers under each label. They count forms, and say nothing about whether it is right."
    meanings = "".join(f"<dt>{escape(aspect.name)}</dt><dd>{escape(aspect.definition)}</dd>" for aspect in ASPECTS)
    return (
        f"<h2>Style</h2>{write_table(('', *map(_write_label, models)), rows, caption, numbers=False)}"
        f"<details><summary>How the labels are found</summary><dl>{meanings}</dl></details>"
    )


def _write_prompt(prompt: Mapping[str, Any]) -> str:
    heading = ": ".join(part for part in (prompt["id"], prompt["task"]) if part)
    cells = []
    if prompt["reference"]:
        reference = escape(prompt["reference"])
        cells.append(f'<div class="whole"><h4>reference</h4><div class="text">{reference}</div></div>')
    before: str | None = None
    for found in prompt["answers"]:
        text = found["answer"]["text"]
        pieces = [(text, False)] if before is None else mark_differences(before, text)
        shown = "".join(f"<mark>{escape(piece)}</mark>" if new else escape(piece) for piece, new in pieces)
        badges = "".join(f'<span class="badge">{escape(badge)}</span>' for badge in list_badges(found["labels"]))
        cells.append(
            f'<div><h4>{write_name(found["label"])}</h4><p class="interval">{escape(describe_timing(found))}</p>'
            f'<div class="text">{shown}</div><div class="badges">{badges}</div></div>'
        )
        before = text
    question = f'<div class="text question">{escape(prompt["messages"][-1]["content"])}</div>'
    columns = f'<div class="answers columns" style="--columns: {len(prompt["answers"])}">{"".join(cells)}</div>'
    return f"<h3>{escape(heading)}</h3>{question}{columns}"


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


def _write_settings(record: Mapping[str, Any]) -> str:
    return f"<h2>Settings, machine and versions</h2>{write_facts(list_settings(record))}"


def render_markdown(record: Mapping[str, Any]) -> str:
    """The same as Markdown; answers are quoted, so that their own headings and fences stay theirs."""
    models = record["models"]
    labels = [model["label"] for model in models]
    facts = [list_facts(model) for model in models]
    lines = [
        f"# {_join(labels)}, compared",
        "",
        *_write_rows(("", *labels), [(n, *(f[n] for f in facts)) for n in facts[0]]),
    ]
    style = [(aspect.name, *(write_shares(model["style"][aspect.name]) for model in models)) for aspect in ASPECTS]
    lines += ["", *_write_rows(("style", *labels), style)]
    if record["sharing"]:
        lines += ["", record["sharing"]]
    for prompt in record["prompts"]:
        lines += ["", "## " + ": ".join(part for part in (prompt["id"], prompt["task"]) if part), ""]
        lines += [*_quote(prompt["messages"][-1]["content"])]
        if prompt["reference"]:
            lines += ["", "**reference**", "", *_quote(prompt["reference"])]
        for found in prompt["answers"]:
            note = "; ".join([describe_timing(found), *list_badges(found["labels"])])
            lines += ["", f"**{found['label']}** ({note})", "", *_quote(found["answer"]["text"])]
    lines += ["", "## Settings", "", *(f"- {name}: {' '.join(value.split())}" for name, value in list_settings(record))]
    return "\n".join(lines) + "\n"


def _write_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table]


def _quote(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in text.splitlines() or [""]]
