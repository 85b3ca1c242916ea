"""report.html of a run: one file that needs no network, reads well in light and dark, and prints."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.files import read_json, write_text
from mlx_tutor.workspace import Run

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d8dee6; --page: #fff; --card: #f5f7fa;
  --base: #6b7a8c; --adapter: #1f5fbf; --fused: #b4460b; --good: #16703c; --bad: #b42318; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa7b8; --line: #333d4a;
  --page: #12161c; --card: #1b212a; --base: #9aa7b8; --adapter: #6ea8ff; --fused: #ff9a5c; --good: #5fd38d;
  --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 66rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.lead { font-size: 1.1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
.interval { color: var(--soft); font-size: .85rem; }
.better { color: var(--good); font-weight: 600; } .worse { color: var(--bad); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
img { width: 100%; max-width: 48rem; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; }
figure { margin: 1.2rem 0 0; }
.wide table { min-width: 38rem; }
svg line { stroke-width: 2; } svg .axis { stroke: var(--line); stroke-width: 1; }
svg .base { stroke: var(--base); fill: var(--base); } svg .adapter { stroke: var(--adapter); fill: var(--adapter); }
svg .fused { stroke: var(--fused); fill: var(--fused); }
.name.base { color: var(--base); } .name.adapter { color: var(--adapter); } .name.fused { color: var(--fused); }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; }
.answers > div { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; }
.answers h4 { margin: 0 0 .3rem; font-size: .85rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .92rem; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; }
  h2, h3 { break-after: avoid; } tr, figure, .answers > div { break-inside: avoid; } a { color: inherit; } }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def write_report(run: Run) -> Path:
    """Write `adapters/<run>/report.html` from run.json, evaluation.json, fuse.json and loss.png; returns its path."""
    fuse = read_json(run.fused / "fuse.json") if run.is_fused else None
    picture = run.adapter / "loss.png"
    curve = picture.read_bytes() if picture.is_file() else None
    page = render_report(run.read(), read_json(run.adapter / "evaluation.json"), fuse, curve)
    path = run.adapter / "report.html"
    write_text(path, page)
    return path


def render_report(
    record: Mapping[str, Any], evaluation: Mapping[str, Any], fuse: Mapping[str, Any] | None, curve: bytes | None
) -> str:
    """The page as text; whatever models and sources wrote is escaped.

    Args:
        record: run.json.
        evaluation: evaluation.json, with "answers" or without.
        fuse: fuse.json, where the run is fused.
        curve: The loss curve as PNG.
    """
    answers = evaluation.get("answers")
    parts = [_write_head(record, evaluation), _write_training(record)]
    if curve is not None:
        source = base64.b64encode(curve).decode("ascii")
        caption = "Training and validation loss in nats an answer token; the ring marks the adapter that is kept."
        parts.append(
            f'<figure><img alt="Loss curve" src="data:image/png;base64,{source}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    parts.append(_write_losses(evaluation))
    if answers is None:
        parts.append('<p class="soft">No answers were generated yet: mlx-tutor evaluate --generate</p>')
    else:
        parts += [_write_measures(answers), _write_differences(answers), _write_style(answers), _write_samples(answers)]
    if fuse is not None:
        parts.append(_write_fuse(fuse))
    parts.append(_write_machine(record, evaluation))
    return PAGE.format(title=escape(f"Run {record['run']}"), style=STYLE, body="\n".join(parts))


def escape(value: Any) -> str:
    """Text for HTML, inside an attribute too."""
    return html.escape(str(value), quote=True)


def write_value(estimate: Mapping[str, float] | None, digits: int) -> str:
    """`0.412 (0.380 to 0.441)`, or a dash where nothing could be measured."""
    if estimate is None:
        return "-"
    value, low, high = (f"{estimate[key]:,.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def write_short(estimate: Mapping[str, float] | None, digits: int) -> str:
    """`0.412 ±0.031`, half the interval on either side, where there is little room."""
    if estimate is None:
        return "-"
    return f"{estimate['value']:,.{digits}f} ±{(estimate['high'] - estimate['low']) / 2:,.{digits}f}"


def write_difference(difference: Mapping[str, Any], digits: int) -> tuple[str, str, str]:
    """Difference, interval and verdict."""
    value, low, high = (f"{difference[key]:+,.{digits}f}" for key in ("value", "low", "high"))
    return value, f"{low} to {high}", difference["verdict"]


def write_shares(shares: Mapping[str, float]) -> str:
    """`teaching 62 %, neither 38 %`; a mean as a number."""
    if "mean" in shares:
        return f"{shares['mean']:.0f}"
    return ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares.items() if share)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", numbers: bool = True) -> str:
    """A table of ready HTML cells below its caption; with `numbers`, all columns but the first stand at the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kind = ' class="number"' if numbers else ""
        return "".join(f"<{tag}{kind if i else ''}>{cell}</{tag}>" for i, cell in enumerate(row))

    above = f'<p class="soft">{escape(caption)}</p>' if caption else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'{above}<div class="scroll{"" if numbers else " wide"}"><table><thead><tr>{cells("th", headings)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _facts(facts: Sequence[tuple[str, Any]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts)}</dl>"


def _name(label: str) -> str:
    return f'<span class="name {escape(label)}">{escape(label)}</span>'


def _write_head(record: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    losses = evaluation["result"]["models"]
    first, last = losses[0], losses[-1]
    text = (
        f"On {evaluation['result']['rows']} test rows that training never saw, the answer loss went from "
        f"{first['loss']:.3f} ({first['label']}) to {last['loss']:.3f} ({last['label']})."
    )
    trained, measured = (escape(item["finished"][:16].replace("T", " ")) for item in (record, evaluation))
    return (
        f"<h1>Run {escape(record['run'])}</h1>"
        f'<p class="soft">Course {escape(record["course"])}, trained {trained} UTC, measured {measured} UTC</p>'
        f'<p class="lead">{escape(text)}</p>'
    )


def _write_training(record: Mapping[str, Any]) -> str:
    result, train = record["result"], record["recipe"]["train"]
    keys = ("rank", "scale", "dropout", "num_layers", "batch_size", "grad_accumulation_steps", "learning_rate")
    facts = [
        ("base", record["base"]),
        ("system prompt", record["recipe"]["course"]["system_prompt"] or "none"),
        ("rows", f"{result['train_rows']} to train, {result['valid_rows']} to validate"),
        ("adapter", train["fine_tune_type"]),
        ("settings", ", ".join(f"{key} {train[key]:g}" for key in keys)),
        ("iterations", f"{result['iterations']} of {train['iters']}, {result['stopped']}"),
        (
            "validation loss",
            f"{result['base_loss']:.3f} to {result['best_loss']:.3f} at iteration {result['best_iteration']}",
        ),
        ("time", f"{result['seconds']:.0f} s"),
        ("peak memory", f"{result['peak_memory_gb']:.2f} GB"),
    ]
    return f"<h2>Training</h2>{_facts(facts)}"


def _write_losses(evaluation: Mapping[str, Any]) -> str:
    result = evaluation["result"]
    rows = [(_name(m["label"]), f"{m['loss']:.3f}", f"{m['perplexity']:,.2f}") for m in result["models"]]
    caption = f"All {result['rows']} test rows, {result['tokens']:,} answer tokens; nats a token."
    return f"<h2>Loss on the test rows</h2>{_table(('model', 'answer loss', 'perplexity'), rows, caption)}"


def _write_measures(answers: Mapping[str, Any]) -> str:
    models = answers["models"]
    rows = []
    for measure in answers["measures"]:
        cells = []
        for model in models:
            value, _, interval = write_value(measure["values"][model], measure["digits"]).partition(" ")
            cells.append(f'{value}<br><span class="interval">{interval.strip("()")}</span>')
        title = f'<span title="{escape(measure["meaning"])}">{escape(measure["title"])}</span>'
        rows.append((title, *cells, _draw_intervals(measure["values"])))
    caption = (
        f"{answers['questions']} of {answers['available']} test questions, temperature 0, at most "
        f"{answers['generate']['max_tokens']} tokens an answer. Below each value its 95 % interval: what other "
        f"questions of the same kind might have given ({answers['resamples']:,} resamples of the rows)."
    )
    headings = ("measure", *map(_name, models), "value and interval")
    signatures = "; ".join(f"{name}: {signature}" for name, signature in answers["signatures"].items())
    meanings = "".join(f"<dt>{escape(m['title'])}</dt><dd>{escape(m['meaning'])}</dd>" for m in answers["measures"])
    return (
        f"<h2>Answers, measured</h2>{_table(headings, rows, caption)}"
        f'<p class="soft">{escape(signatures)}</p><details><summary>What the measures mean</summary>'
        f"<dl>{meanings}</dl></details>"
    )


def _draw_intervals(values: Mapping[str, Mapping[str, float] | None]) -> str:
    """A line from low to high with a dot at the value, one below the other for each model, on one scale."""
    found = {label: value for label, value in values.items() if value is not None}
    if not found:
        return ""
    low, high = min(value["low"] for value in found.values()), max(value["high"] for value in found.values())
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(8 + 164 * (value - low) / span, 1)

    parts = []
    for i, (label, value) in enumerate(found.items()):
        y, kind = 8 + 11 * i, escape(label)
        left, right, middle = (place(value[key]) for key in ("low", "high", "value"))
        parts.append(f'<line class="axis" x1="4" y1="{y}" x2="176" y2="{y}"/>')
        parts.append(f'<line class="{kind}" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>')
        parts.append(f'<circle class="{kind}" cx="{middle}" cy="{y}" r="3.5"/>')
    height = 5 + 11 * len(found)
    return f'<svg width="180" height="{height}" viewBox="0 0 180 {height}" aria-hidden="true">{"".join(parts)}</svg>'


def _write_differences(answers: Mapping[str, Any]) -> str:
    pairs = list(dict.fromkeys((d["from"], d["to"]) for m in answers["measures"] for d in m["differences"]))
    rows = []
    for measure in answers["measures"]:
        found = {(d["from"], d["to"]): d for d in measure["differences"]}
        cells = []
        for pair in pairs:
            if pair not in found:
                cells.append("-")
                continue
            value, interval, verdict = write_difference(found[pair], measure["digits"])
            kind = verdict if verdict in ("better", "worse") else "soft"
            cells.append(
                f'{value} <span class="{kind}">{escape(verdict)}</span><br><span class="interval">{interval}</span>'
            )
        rows.append((escape(measure["title"]), *cells))
    headings = ("measure", *(f"{_name(before)} to {_name(after)}" for before, after in pairs))
    caption = (
        "Differences on the same questions, with their 95 % interval. A difference is called better or worse only when "
        "the interval leaves zero out; unclear means that chance could have made it. Of twenty comparisons without any "
        "difference, one would still be called one."
    )
    return f"<h2>Is it real?</h2>{_table(headings, rows, caption)}"


def _write_style(answers: Mapping[str, Any]) -> str:
    models = answers["models"]
    shown = [models[0], models[-1]]
    rows = [
        (
            f"<b>{escape(row['aspect'])}</b>",
            *(escape(write_shares(row["models"][model])).replace(" %", "&nbsp;%") for model in shown),
            f'<span class="soft">{escape(row["definition"])}</span>',
        )
        for row in answers["style"]
    ]
    headings = ("aspect", *map(_name, shown), "how it is measured")
    caption = (
        "Shares of the answers under each label. They count forms, and say nothing about whether an answer is right."
    )
    return f"<h2>Style</h2>{_table(headings, rows, caption, numbers=False)}"


def _write_samples(answers: Mapping[str, Any]) -> str:
    parts = ["<h2>Some answers</h2>"]
    for shown in answers["shown"]:
        parts.append(f"<h3>{escape(shown['question'])}</h3>")
        cells = [
            f'<div><h4>reference, line {shown["line"]}</h4><div class="text">{escape(shown["reference"])}</div></div>'
        ]
        for label, reply in shown["answers"].items():
            note = f"{reply['tokens']} tokens{', cut' if reply['cut'] else ''}"
            head = f'<h4>{_name(label)} <span class="soft">{note}</span></h4>'
            cells.append(f'<div>{head}<div class="text">{escape(reply["text"])}</div></div>')
        parts.append(f'<div class="answers">{"".join(cells)}</div>')
    return "".join(parts)


def _write_fuse(fuse: Mapping[str, Any]) -> str:
    def percent(share: float | None) -> str:
        return "-" if share is None else f"{100 * share:.1f} %"

    rows = []
    for tried in fuse["result"]["tried"]:
        bits = "full precision" if tried["bits"] is None else f"{tried['bits']}-bit"
        rows.append(
            (
                escape(bits),
                f"{tried['loss']:.3f}",
                percent(tried["retention"]),
                percent(tried["top1"]),
                f"{tried['kl']:.5f}",
                f"{tried['megabytes']:,.1f} MB",
                "kept" if tried["bits"] == fuse["result"]["bits"] else "",
            )
        )
    result = fuse["result"]
    caption = (
        f"Validation loss: base {result['loss_base']:.3f}, adapter {result['loss_adapter']:.3f}. Retention is the "
        "share of that gain that is left; same token: how often fused and adapter find the same token most likely; "
        "KL in nats."
    )
    headings = ("weights", "loss", "retention", "same token", "KL to adapter", "size", "")
    return f"<h2>Fused model</h2>{_table(headings, rows, caption)}"


def _write_machine(record: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    facts = []
    for title, environment in (("trained on", record["environment"]), ("measured on", evaluation["environment"])):
        packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
        text = f"{environment['device_name']}, {environment['system']}, Python {environment['python']}, {packages}"
        facts.append((title, text))
    facts.append(("mlx-tutor", evaluation["environment"]["mlx_tutor"]))
    answers = evaluation.get("answers")
    if answers is not None:
        facts.append(("measuring the answers", f"{answers['seconds']:.0f} s, {answers['peak_memory_gb']:.2f} GB"))
    return f"<h2>Machine and versions</h2>{_facts(facts)}"
