"""report.html of a run: losses, measures, checks and ratings on one page that needs no network."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlx_tutor.evaluation.html import (
    draw_intervals,
    escape,
    write_difference,
    write_facts,
    write_name,
    write_page,
    write_shares,
    write_table,
    write_value,
)
from mlx_tutor.evaluation.rate_report import read_summary, write_ratings
from mlx_tutor.evaluation.report_checks import describe_answer, write_guards, write_learned, write_teaching
from mlx_tutor.files import hash_value, read_json, write_text
from mlx_tutor.fuse.fuse import list_trials
from mlx_tutor.records import describe_end, describe_share, split_question
from mlx_tutor.workspace import Course, Run


def write_report(run: Run) -> Path:
    """Write `adapters/<run>/report.html` from what lies beside it, fuse.json and the journal; returns its path."""
    fuse = read_json(run.fused / "fuse.json") if run.is_fused else None
    picture = run.adapter / "loss.png"
    curve = picture.read_bytes() if picture.is_file() else None
    record = run.read()
    ratings = read_summary(run, record["course"])
    rows = read_manifest(run, record)
    page = render_report(record, read_json(run.adapter / "evaluation.json"), fuse, curve, ratings, rows)
    path = run.adapter / "report.html"
    write_text(path, page)
    return path


def read_manifest(run: Run, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What manifest.json says of the rows; None where there is none, or it is of other rows than the run's."""
    path = Course(run.workspace, record["course"]).dataset / "manifest.json"
    if not path.is_file():
        return None
    manifest = read_json(path)
    trained = hash_value([manifest["files"].get(f"{split}.jsonl") for split in ("train", "valid")])
    rows: dict[str, Any] | None = manifest["rows"] if trained == record["inputs"]["rows"] else None
    return rows


def render_report(
    record: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    fuse: Mapping[str, Any] | None,
    curve: bytes | None,
    ratings: Mapping[str, Any] | None = None,
    rows: Mapping[str, Any] | None = None,
) -> str:
    """The page as text; whatever models and sources wrote is escaped.

    Args:
        record: run.json.
        evaluation: evaluation.json, with "answers" or without.
        fuse: fuse.json, where the run is fused.
        curve: The loss curve as PNG.
        ratings: What raters gave, where there are ratings.
        rows: Of manifest.json, how many rows came from which file and were made in which way.
    """
    answers = evaluation.get("answers")
    parts = [_write_head(record, evaluation), _write_training(record, rows)]
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
        parts += [_write_measures(answers), _write_differences(answers)]
        parts += [write_teaching(answers)] if "teaching" in answers else []
        parts += [_write_style(answers), _write_samples(answers)]
    for name, write in (("learned", write_learned), ("guards", write_guards)):
        if name in evaluation:
            parts.append(write(evaluation[name]))
        else:
            parts.append(f'<p class="soft">Not measured yet: mlx-tutor evaluate --{name}</p>')
    if ratings is not None:
        parts.append(write_ratings(ratings))
    if fuse is not None:
        parts.append(_write_fuse(fuse))
    parts.append(_write_machine(record, evaluation))
    return write_page(f"Run {record['run']}", parts)


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


def _write_training(record: Mapping[str, Any], rows: Mapping[str, Any] | None) -> str:
    result, train = record["result"], record["recipe"]["train"]
    keys = ("rank", "scale", "dropout", "num_layers", "batch_size", "grad_accumulation_steps", "learning_rate")
    system = record["recipe"]["course"]["system_prompt"] or "none"
    if any(imported["keep_system"] for imported in record["recipe"]["dataset"]["imports"]):
        system += " (imported rows kept their own)"
    facts = [
        ("base", record["base"]),
        ("system prompt", system),
        ("rows", f"{result['train_rows']} to train, {result['valid_rows']} to validate"),
        *(
            ()
            if rows is None
            else (("rows by file", _count(rows["sources"])), ("rows by kind", _count(rows["methods"])))
        ),
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
    return f"<h2>Training</h2>{write_facts(facts)}"


def _count(counts: Mapping[str, int]) -> str:
    """`week1.pdf 120, week2.pdf 80`, most first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered)


def _write_losses(evaluation: Mapping[str, Any]) -> str:
    result = evaluation["result"]
    rows = [(write_name(m["label"]), f"{m['loss']:.3f}", f"{m['perplexity']:,.2f}") for m in result["models"]]
    share = describe_share(result["rows"], result.get("total_rows", result["rows"]))
    caption = f"{share[0].upper()}{share[1:]} of the test split, {result['tokens']:,} answer tokens; nats a token."
    return f"<h2>Loss on the test rows</h2>{write_table(('model', 'answer loss', 'perplexity'), rows, caption)}"


def _write_measures(answers: Mapping[str, Any]) -> str:
    models = answers["models"]
    rows = []
    for measure in answers["measures"]:
        cells = []
        for model in models:
            value, _, interval = write_value(measure["values"][model], measure["digits"]).partition(" ")
            cells.append(f'{value}<br><span class="interval">{interval.strip("()")}</span>')
        title = f'<span title="{escape(measure["meaning"])}">{escape(measure["title"])}</span>'
        rows.append((title, *cells, draw_intervals(measure["values"])))
    caption = (
        f"{answers['questions']} of {answers['available']} test questions, temperature 0, at most "
        f"{answers['generate']['max_tokens']} tokens an answer. Below each value its 95 % interval: what other "
        f"questions of the same kind might have given ({answers['resamples']:,} resamples of the rows)."
    )
    headings = ("measure", *map(write_name, models), "value and interval")
    signatures = "; ".join(f"{name}: {signature}" for name, signature in answers["signatures"].items())
    meanings = "".join(f"<dt>{escape(m['title'])}</dt><dd>{escape(m['meaning'])}</dd>" for m in answers["measures"])
    return (
        f"<h2>Answers, measured</h2>{write_table(headings, rows, caption)}"
        f'<p class="soft">{escape(signatures)}</p><details><summary>What the measures mean</summary>'
        f"<dl>{meanings}</dl></details>"
    )


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
    headings = ("measure", *(f"{write_name(before)} to {write_name(after)}" for before, after in pairs))
    caption = (
        "Differences on the same questions, with their 95 % interval. A difference is called better or worse only when "
        "the interval leaves zero out; unclear means that chance could have made it. Of twenty comparisons without any "
        "difference, one would still be called one."
    )
    return f"<h2>Is it real?</h2>{write_table(headings, rows, caption)}"


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
    headings = ("aspect", *map(write_name, shown), "how it is measured")
    caption = (
        "Shares of the answers under each label. They count forms, and say nothing about whether an answer is right."
    )
    return f"<h2>Style</h2>{write_table(headings, rows, caption, numbers=False)}"


def _write_samples(answers: Mapping[str, Any]) -> str:
    parts = ["<h2>Some answers</h2>"]
    measured = {(found["line"], found["question"]): found["models"] for found in answers.get("by_answer", ())}
    for shown in answers["shown"]:
        passages, question = split_question(shown["question"])
        parts.append(f"<h3>{escape(question)}</h3>")
        if passages:
            parts.append(f'<div class="text soft question">{escape(passages)}</div>')
        cells = [
            f'<div><h4>reference, line {shown["line"]}</h4><div class="text">{escape(shown["reference"])}</div></div>'
        ]
        for label, reply in shown["answers"].items():
            note = f"{reply['tokens']} tokens{describe_end(reply.get('ended', 'stop'))}"
            head = f'<h4>{write_name(label)} <span class="soft">{note}</span></h4>'
            values = measured.get((shown["line"], shown["question"]), {}).get(label, {})
            below = f'<p class="soft">{escape(describe_answer(values))}</p>' if values else ""
            cells.append(f'<div>{head}<div class="text">{escape(reply["text"])}</div>{below}</div>')
        parts.append(f'<div class="answers">{"".join(cells)}</div>')
    return "".join(parts)


def _write_fuse(fuse: Mapping[str, Any]) -> str:
    result = fuse["result"]
    headings, rows = list_trials(result)
    # Older runs do not say on how many rows.
    decided = describe_share(result["rows"], result["total_rows"]) if "rows" in result else "the validation rows"
    caption = (
        f"Validation loss: base {result['loss_base']:.3f}, adapter {result['loss_adapter']:.3f}. Sizes are tried on "
        f"some rows and decided on {decided}; the last row is what was written. Bits: the mean over the layers with an "
        "adapter; layers: how many of them have how many. Kept: the share of the training's gain in loss. Top-1: how "
        "often fused and adapter find the same token most likely. KL from the adapter, in nats."
    )
    cells = [[escape(cell) for cell in row] for row in rows]
    return f"<h2>Fused model</h2>{write_table(headings, cells, caption)}"


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
    return f"<h2>Machine and versions</h2>{write_facts(facts)}"
