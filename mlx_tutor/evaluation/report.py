"""report.html of a run: losses, measures, checks and ratings on one page that needs no network."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlx_tutor.evaluation.html import draw, render_page, write_difference, write_shares
from mlx_tutor.evaluation.rate_report import prepare_ratings, read_summary
from mlx_tutor.evaluation.report_checks import (
    describe_answer,
    describe_references,
    draw_value,
    prepare_conditions,
    prepare_guards,
    prepare_learned,
    prepare_teaching,
    tabulate_speed,
)
from mlx_tutor.files import hash_value, read_json, write_text
from mlx_tutor.fuse.card import LEGEND, list_trials
from mlx_tutor.records import describe_end, describe_parameters, describe_share, split_question
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Course, Run

# The recipe keeps no test.
CHOSEN_ON = ", though the best adapter was chosen on them"


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
    result = evaluation["result"]
    first, last = result["models"][0], result["models"][-1]
    trained, measured = (item["finished"][:16].replace("T", " ") for item in (record, evaluation))
    share = describe_share(result["rows"], result.get("total_rows", result["rows"]))
    split = "test" if result.get("split", "test") == "test" else "validation"
    losses = f"{share[0].upper()}{share[1:]} of the {split} split, {result['tokens']:,} answer tokens; nats a token."
    lead = prepare_conditions(evaluation["learned"]) if "learned" in evaluation else None
    parts: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("learned", prepare_learned),
        ("guards", prepare_guards),
        ("answers", prepare_answers),
    )
    values = dict(
        title=f"Run {record['run']}",
        record=record,
        trained=trained,
        measured=measured,
        lead=f"On {result['rows']} {split} rows that training never saw{CHOSEN_ON if split == 'validation' else ''}, "
        f"the answer loss went from {first['loss']:.3f} ({first['label']}) to {last['loss']:.3f} ({last['label']}).",
        conditions=lead,
        training=list_training(record, rows),
        curve=None if curve is None else base64.b64encode(curve).decode("ascii"),
        losses=tabulate_losses(result),
        losses_caption=losses,
        ratings=None if ratings is None else prepare_ratings(ratings),
        trials=None if fuse is None else Table(*list_trials(fuse["result"]), numbers=True),
        trials_caption="" if fuse is None else _describe_trials(fuse["result"]),
        machine=list_machine(record, evaluation),
        **{name: prepare(evaluation[name]) if name in evaluation else None for name, prepare in parts},
    )
    return render_page("report.html.j2", values)


def list_training(record: Mapping[str, Any], rows: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """What was trained on what, how, and with which result."""
    result, train = record["result"], record["recipe"]["train"]
    keys = ("rank", "scale", "dropout", "num_layers", "batch_size", "grad_accumulation_steps", "learning_rate")
    system = record["recipe"]["course"]["system_prompt"] or "none"
    if any(imported["keep_system"] for imported in record["recipe"]["dataset"]["imports"]):
        system += " (imported rows kept their own)"
    return [
        ("base", record["base"]),
        ("system prompt", system),
        ("rows", f"{result['train_rows']} to train, {result['valid_rows']} to validate"),
        *(
            ()
            if rows is None
            else (("rows by file", _count(rows["sources"])), ("rows by kind", _count(rows["methods"])))
        ),
        ("adapter", train["fine_tune_type"]),
        ("trained", describe_parameters(result["trained_parameters"], result["parameters"])),
        ("settings", ", ".join(f"{key} {train[key]:g}" for key in keys)),
        ("iterations", f"{result['iterations']} of {train['iters']}, {result['stopped']}"),
        *((("remark", result["note"]),) if result.get("note") else ()),
        (
            "validation loss",
            f"{result['base_loss']:.3f} to {result['best_loss']:.3f} at iteration {result['best_iteration']}",
        ),
        ("time", f"{result['seconds']:.0f} s"),
        ("peak memory", f"{result['peak_memory_gb']:.2f} GB"),
    ]


def _count(counts: Mapping[str, int]) -> str:
    """`week1.pdf 120, week2.pdf 80`, most first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered)


def tabulate_losses(result: Mapping[str, Any]) -> Table:
    """Loss and perplexity of each model."""
    rows = [(model["label"], f"{model['loss']:.3f}", f"{model['perplexity']:,.2f}") for model in result["models"]]
    return Table(("model", "answer loss", "perplexity"), rows, numbers=True)


def prepare_answers(answers: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of the generated answers."""
    return {
        "questions": answers["questions"],
        "available": answers["available"],
        "max_tokens": answers["generate"]["max_tokens"],
        "resamples": answers["resamples"],
        "measures": _tabulate_measures(answers),
        "signatures": "; ".join(f"{name}: {signature}" for name, signature in answers["signatures"].items()),
        "meanings": [(measure["title"], measure["meaning"]) for measure in answers["measures"]],
        "differences": _tabulate_differences(answers),
        # Older records have no teaching measures.
        "teaching": prepare_teaching(answers) if "teaching" in answers else None,
        "teaching_caption": describe_references(answers) if "teaching" in answers else "",
        "speed": tabulate_speed(answers, answers["models"]) if "teaching" in answers else None,
        "style": _tabulate_style(answers),
        "samples": _list_samples(answers),
    }


def _tabulate_measures(answers: Mapping[str, Any]) -> Table:
    models = answers["models"]
    rows = [
        (
            draw("titled", measure["title"], measure["meaning"]),
            *(draw_value(measure["values"][model], measure["digits"]) for model in models),
            draw("intervals", measure["values"]),
        )
        for measure in answers["measures"]
    ]
    return Table(("measure", *models, "value and interval"), rows, numbers=True)


def _tabulate_differences(answers: Mapping[str, Any]) -> Table:
    pairs = list(dict.fromkeys((d["from"], d["to"]) for m in answers["measures"] for d in m["differences"]))
    rows = []
    for measure in answers["measures"]:
        found = {(d["from"], d["to"]): d for d in measure["differences"]}
        cells = [
            draw("difference", *write_difference(found[pair], measure["digits"])) if pair in found else "-"
            for pair in pairs
        ]
        rows.append((measure["title"], *cells))
    return Table(("measure", *(f"{before} to {after}" for before, after in pairs)), rows, numbers=True)


def _tabulate_style(answers: Mapping[str, Any]) -> Table:
    shown = (answers["models"][0], answers["models"][-1])
    rows = [
        (
            draw("strong", row["aspect"]),
            *(write_shares(row["models"][model]).replace(" %", "\u00a0%") for model in shown),
            draw("soft", row["definition"]),
        )
        for row in answers["style"]
    ]
    return Table(("aspect", *shown, "how it is measured"), rows)


def _list_samples(answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    measured = {(found["line"], found["question"]): found["models"] for found in answers.get("by_answer", ())}
    samples = []
    for shown in answers["shown"]:
        passages, question = split_question(shown["question"])
        values = measured.get((shown["line"], shown["question"]), {})
        replies = [
            {
                "label": label,
                "note": f"{reply['tokens']} tokens{describe_end(reply.get('ended', 'stop'))}",
                "text": reply["text"],
                "below": describe_answer(values[label]) if values.get(label) else "",
            }
            for label, reply in shown["answers"].items()
        ]
        sample = {"passages": passages, "question": question, "replies": replies}
        samples.append(sample | {key: shown[key] for key in ("line", "reference")})
    return samples


def _describe_trials(result: Mapping[str, Any]) -> str:
    # Older runs do not say on how many rows.
    decided = describe_share(result["rows"], result["total_rows"]) if "rows" in result else "the validation rows"
    return (
        f"Validation loss: base {result['loss_base']:.3f}, adapter {result['loss_adapter']:.3f}. Sizes are tried on "
        f"some rows and decided on {decided}; the last row is what was written. {LEGEND}"
    )


def list_machine(record: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Where and with what a run was trained and measured."""
    facts = []
    for title, environment in (("trained on", record["environment"]), ("measured on", evaluation["environment"])):
        packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
        text = f"{environment['device_name']}, {environment['system']}, Python {environment['python']}, {packages}"
        facts.append((title, text))
    facts.append(("mlx-tutor", evaluation["environment"]["mlx_tutor"]))
    answers = evaluation.get("answers")
    if answers is not None:
        facts.append(("measuring the answers", f"{answers['seconds']:.0f} s, {answers['peak_memory_gb']:.2f} GB"))
    return facts
