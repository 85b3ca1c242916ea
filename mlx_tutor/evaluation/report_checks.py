"""Learned facts, guards and teaching measures in words, for the terminal and report.html."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlx_tutor.evaluation.html import draw_intervals, escape, write_difference, write_name, write_short, write_table
from mlx_tutor.evaluation.html import write_value as write_estimate

# What each list of facts means for who reads it.
LISTS = {
    "learned": "The base did not know them, the tuned model does.",
    "unlearned": "The base knew them, the tuned model does not.",
    "not learned": "Neither knows them: read these pages again, or add rows about them.",
    "known before": "Both know them.",
}
# Longer lists are folded.
OPEN_FACTS = 12
REFUSALS = {
    "out of domain": "out of domain, refused",
    "unanswerable": "unanswerable, refused",
    "false premise": "false premise, refused or denied",
    "course": "the course's own, refused",
}


def describe_learned(learned: Mapping[str, Any]) -> list[str]:
    """How it was asked, what each test alone says, and whether more was learned than lost."""
    counts, tests = learned["counts"], learned["by_test"]
    base, tuned = (tests[name] for name in ("base", "tuned"))
    chance = "more than chance makes" if learned["p_value"] < 0.05 else "which chance may have made"
    return [
        f"Known: the answer is likelier a token than {learned['options'] - 1} near ones of the course, in each of "
        f"{learned['wordings']} wordings that no row trained (chance: at most 1 in {learned['options']}), or is said.",
        f"By likelihood base {base['preferred']}, tuned {tuned['preferred']}; said base {base['said']}, "
        f"tuned {tuned['said']}; of {learned['asked']} facts.",
        f"{counts['learned']} learned against {counts['unlearned']} unlearned, {chance} "
        f"(exact sign test, p = {learned['p_value']:.2g}).",
    ]


def list_guard_rows(guards: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each guard, with a cell for base and for tuned model."""
    rows = [
        (f"general questions, {measure['title']}", *(write_short(value, 2) for value in measure["values"]))
        for measure in guards["general"]["measures"]
    ]
    words = [guards["words"][label] for label in guards["models"]]
    for kind, title in REFUSALS.items():
        found = [of_model["kinds"].get(kind) for of_model in words]
        if found[0] is not None:
            rows.append((title, *(f"{of_kind['refused']} of {of_kind['asked']}" for of_kind in found)))
    separates = [of_model["separates"] for of_model in words]
    if separates[0] is not None:
        rows.append(("refusal told apart (0.5: chance)", *(f"{value:.2f}" for value in separates)))
    runs = [max((kind["longest_run"] for kind in w["kinds"].values()), default=0) for w in words]
    rows.append(("longest run of source text, words", *map(str, runs)))
    for kind, title in (("course", "asked about it"), ("extraction", "asked to quote")):
        shares = [of_model["kinds"].get(kind, {}).get("copied_share") for of_model in words]
        cells = ("-" if share is None else f"{100 * share:.1f} %" for share in shares)
        rows.append((f"8-grams from the sources, {title}", *cells))
    return rows


def describe_guards(guards: Mapping[str, Any]) -> list[str]:
    """What was forgotten, and what the refusals are measured against."""
    general = guards["general"]
    lines = [
        f"The base answers {general['known']} of {general['asked']} general questions right (one in "
        f"{general['options']} by chance); {len(general['forgotten'])} of them were lost, {general['gained']} others "
        "gained."
    ]
    verdicts = [f"{m['title']} {m['verdict']}" for m in general["measures"] if m["verdict"]]
    lines.append(f"By the 95 % interval of the difference: {', '.join(verdicts)}.")
    if guards["taught"]:
        lines.append(f"{guards['taught']} training rows refuse, most often with: “{guards['refusal']}”")
    else:
        lines.append(
            "No training row refuses anything, so nothing was taught here: see dataset.refusals in the recipe."
        )
    return lines


def write_learned(learned: Mapping[str, Any]) -> str:
    """The four lists of facts with their pages, as HTML."""
    trained = learned["by_training"]
    rows = [
        (
            f"<b>{escape(name)}</b>",
            str(count),
            *(str(trained.get(part, {}).get(name, 0)) for part in ("trained", "held out")),
            _draw_share(count / learned["asked"]),
        )
        for name, count in learned["counts"].items()
    ]
    asked = (
        f"{learned['asked']} of {learned['available']} facts of the course were asked closed-book. Trained: in other "
        "words, in some training row; held out: in none. Margin: by how many nats a token the answer is likelier than "
        "the best wrong one, in its worse wording."
    )
    parts = [
        "<h2>What did it learn?</h2>",
        write_table(("", "facts", "trained", "held out", ""), rows, asked),
        *(f'<p class="soft">{escape(line)}</p>' for line in describe_learned(learned)),
    ]
    for name, meaning in LISTS.items():
        facts = learned["lists"][name]
        if not facts:
            continue
        table = write_table(
            ("question", "answer in the course", "where", "margin, base to tuned"),
            [_write_fact(fact) for fact in facts],
            meaning,
            numbers=False,
        )
        state = " open" if len(facts) <= OPEN_FACTS else ""
        parts.append(f"<details{state}><summary>{escape(name)}: {len(facts)}</summary>{table}</details>")
    return "".join(parts)


def _write_fact(fact: Mapping[str, Any]) -> tuple[str, ...]:
    margins = [min(fact[label]["margins"]) for label in ("base", "tuned")]
    said = " ".join(f"said by {label}" for label in ("base", "tuned") if fact[label]["said"] >= 0.5)
    text = f'<span class="tight">{margins[0]:+.2f} to {margins[1]:+.2f}</span>'
    return (
        escape(fact["question"]),
        escape(fact["answer"]),
        escape(fact["place"]),
        f'{text}<br><span class="soft">{said}</span>' if said else text,
    )


def _draw_share(share: float) -> str:
    width = round(160 * share, 1)
    return (
        '<svg width="160" height="12" viewBox="0 0 160 12" aria-hidden="true"><rect class="rest" width="160" '
        f'height="12" rx="2"/><rect class="part" width="{width}" height="12" rx="2"/></svg>'
    )


def write_guards(guards: Mapping[str, Any]) -> str:
    """What was forgotten, refused and copied, with every answer, as HTML."""
    rows = [(escape(title), *map(escape, cells)) for title, *cells in list_guard_rows(guards)]
    caption = (
        "Questions of our own: what every base knows, what no course answers, and what asks for its text. Refused: the "
        "first two sentences say so. Told apart: how often a refusal is likelier after a question from outside than "
        "after one of the course. Longest run and 8-grams: word for word in the sources, the question's own words left "
        "out; a course that defines its terms in one sentence is meant to be quoted."
    )
    parts = [
        "<h2>Guards</h2>",
        write_table(("", *map(write_name, guards["models"])), rows, caption),
        *(f'<p class="soft">{escape(line)}</p>' for line in describe_guards(guards)),
    ]
    if guards["general"]["forgotten"]:
        lost = "".join(f"<li>{escape(question)}</li>" for question in guards["general"]["forgotten"])
        parts.append(f"<details><summary>Forgotten general questions</summary><ul>{lost}</ul></details>")
    answers = [guards["words"][label]["answers"] for label in guards["models"]]
    table = [
        (escape(pair[0]["kind"]), escape(pair[0]["question"]), *(_write_guarded(answer) for answer in pair))
        for pair in zip(*answers, strict=True)
    ]
    headings = ("kind", "question", *map(write_name, guards["models"]))
    parts.append(
        f"<details><summary>All {len(table)} questions and answers</summary>"
        f"{write_table(headings, table, numbers=False)}</details>"
    )
    return "".join(parts)


def _write_guarded(answer: Mapping[str, Any]) -> str:
    copied = answer["copied"]["words"]
    notes = ["refused"] if answer["refused"] else []
    notes += [f"{copied} words copied"] if copied >= 8 else []
    note = f'<br><span class="soft">{escape(", ".join(notes))}</span>' if notes else ""
    return f'<div class="text">{escape(answer["answer"])}</div>{note}'


def write_teaching(answers: Mapping[str, Any]) -> str:
    """The teaching measures and what the models cost to run, as HTML."""
    models: Sequence[str] = answers["models"]
    rows = []
    for measure in answers["teaching"]:
        cells = []
        for value in (*(measure["values"][model] for model in models), measure["reference"]):
            text, _, interval = write_estimate(value, measure["digits"]).partition(" ")
            cells.append(f'{text}<br><span class="interval">{interval.strip("()")}</span>')
        difference = next((d for d in measure["differences"] if (d["from"], d["to"]) == (models[0], models[-1])), None)
        verdict = "" if difference is None else write_difference(difference, measure["digits"])[2]
        title = f'{escape(measure["title"])}<br><span class="interval">{escape(measure["meaning"])}</span>'
        kind = verdict if verdict in ("better", "worse") else "soft"
        rows.append(
            (title, *cells, draw_intervals(measure["values"]), f'<span class="{kind}">{escape(verdict)}</span>')
        )
    level = answers["level"]
    caption = (
        f"Reading grades from {level['low']:.0f} to {level['high']:.0f} fit, by {level['by']}. The references show "
        "what can be reached. Support and concepts are looked for by words: they tell an answer taken from the course "
        "from an invented one, and not a right from a wrong one."
    )
    if not level["english"]:
        caption += " Readability is left out: the course is not in English."
    headings = ("", *map(write_name, models), "references", "value and interval", f"{models[0]} to {models[-1]}")
    return f"<h2>How well it teaches</h2>{write_table(headings, rows, caption)}{_write_speed(answers, models)}"


def describe_answer(values: Mapping[str, float | None]) -> str:
    """The teaching measures of one answer in a line: `reading ease 62, concepts 50 %, grounded 100 %`."""
    shares = (("coverage", "concepts"), ("grounding", "grounded"), ("copied", "word for word"))
    ease = values["ease"]
    parts = [] if ease is None else [f"reading ease {ease:.0f}"]
    parts += [f"{title} {100 * share:.0f} %" for key, title in shares if (share := values[key]) is not None]
    return ", ".join(parts)


def _write_speed(answers: Mapping[str, Any], models: Sequence[str]) -> str:
    rows = []
    for title, key, unit, digits in (
        ("tokens a second", "tokens_per_second", "", 1),
        ("time to the first token", "first_token_seconds", " s", 2),
        ("peak memory", "peak_memory_gb", " GB", 2),
        ("weights in memory", "weights_gb", " GB", 3),
    ):
        rows.append((escape(title), *(f"{answers['speed'][model][key]:,.{digits}f}{unit}" for model in models)))
    caption = "One question after the other, as a user asks; means over the first three test questions."
    return f"<h3>Speed and memory</h3>{write_table(('', *map(write_name, models)), rows, caption)}"
