"""Learned facts, guards and teaching measures in words, for the terminal and report.html."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlx_tutor.evaluation.guards import CODE
from mlx_tutor.evaluation.html import draw, write_short, write_value
from mlx_tutor.tables import Table

# What each list of facts means to the reader.
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
        f"Recited: the answer is likelier a token than {learned['options'] - 1} near ones of the course, in each of "
        f"{learned['wordings']} wordings that no row trained (chance: at most 1 in {learned['options']}), or is said. "
        "Known: right also in kinds of questions that no row has: term from description, true or false with a near "
        "miss, a missing word.",
        f"By likelihood base {base['preferred']}, tuned {tuned['preferred']}; said base {base['said']}, "
        f"tuned {tuned['said']}; of {learned['asked']} facts.",
        f"{counts['learned']} learned against {counts['unlearned']} unlearned, {chance} "
        f"(exact sign test, p = {learned['p_value']:.2g}).",
    ]


def tabulate_guards(guards: Mapping[str, Any]) -> Table:
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
    rows += [
        (title, *(_write_code(of_model["kinds"], kinds) for of_model in words))
        for title, kinds in (
            ("answers with code", set(words[0]["kinds"]) - {CODE}),
            ("asked for code, with code", {CODE}),
        )
        if kinds & set(words[0]["kinds"])
    ]
    separates = [of_model["separates"] for of_model in words]
    if separates[0] is not None:
        rows.append(("refusal told apart (0.5: chance)", *(f"{value:.2f}" for value in separates)))
    runs = [max((kind["longest_run"] for kind in w["kinds"].values()), default=0) for w in words]
    rows.append(("longest run of source text, words", *map(str, runs)))
    for kind, title in (("course", "asked about it"), ("extraction", "asked to quote")):
        shares = [of_model["kinds"].get(kind, {}).get("copied_share") for of_model in words]
        cells = ("-" if share is None else f"{100 * share:.1f} %" for share in shares)
        rows.append((f"8-grams from the sources, {title}", *cells))
    return Table(("guards", *guards["models"]), rows, numbers=True)


def _write_code(kinds: Mapping[str, Any], counted: set[str]) -> str:
    found = [of_kind for kind, of_kind in kinds.items() if kind in counted]
    code, asked = (sum(of_kind[key] for of_kind in found) for key in ("code", "asked"))
    return f"{code} of {asked} ({100 * code / asked:.0f} %)"


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


def tabulate_learned(learned: Mapping[str, Any]) -> Table:
    """How many facts are on each of the four lists, and how many of those were in some training row."""
    trained = learned["by_training"]
    rows = [
        (name, str(count), *(str(trained.get(part, {}).get(name, 0)) for part in ("trained", "held out")))
        for name, count in learned["counts"].items()
    ]
    return Table(("facts of the course", "asked", "trained", "held out"), rows, numbers=True)


def tabulate_conditions(conditions: Mapping[str, Any]) -> Table:
    """A row for each measure, a column for base and tuned model, with search and without."""
    found = conditions["rows"]

    def count(key: str) -> list[str]:
        return [f"{row[key]} ({100 * row[f'{key}_share']:.0f} %)" if key in row else "-" for row in found]

    def part(key: str, of: str) -> list[str]:
        return [f"{row[key]} of {row[of]}" if row[of] else "-" for row in found]

    rows = [
        ("facts recited", *count("recited")),
        ("facts known", *count("known")),
        ("answers right", *part("right", "facts")),
        ("of these held out", *part("held_out_right", "held_out")),
        ("statements supported", *part("supported", "checked")),
        ("unanswerable refused", *part("refused", "unanswerable")),
        ("answerable refused", *part("refused_by_mistake", "facts")),
        ("words an answer", *(f"{row['words']:.0f}" for row in found)),
    ]
    return Table(("", *(f"{row['model']}{' + search' * row['search']}" for row in found)), rows, numbers=True)


def describe_conditions(learned: Mapping[str, Any]) -> list[str]:
    """What the columns mean, each kind of question by itself, and whether tuning helped beside search."""
    conditions = learned["conditions"]
    closed = [row for row in conditions["rows"] if not row["search"]]
    lines = [
        f"Recited and known: of {learned['asked']} facts closed-book, by likelihood; in brackets the share beyond what "
        "guessing gets. A known fact is right in the kinds of questions below too, two each. The rest is of answers "
        "in words: right ones name most of what the fact says and contradict nothing; held out are facts that no "
        "training row has."
    ]
    for kind in closed[0]["kinds"] if closed else ():
        found = [(row["model"], row["kinds"][kind]) for row in closed]
        texts = [f"{label} {of['right']} ({100 * of['share']:.0f} %)" for label, of in found]
        lines.append(f"{kind[0].upper()}{kind[1:]}, of {found[0][1]['asked']}: {', '.join(texts)}.")
    compared = conditions.get("with_search")
    if compared and compared["difference"]:
        change = compared["difference"]
        lines.append(
            f"Right answers with search, base to tuned: {change['value']:+.0f} points "
            f"({change['low']:+.0f} to {change['high']:+.0f}): {compared['verdict']}."
        )
    return lines


def prepare_conditions(learned: Mapping[str, Any]) -> dict[str, Any] | None:
    """The table that the page leads with; None in older records."""
    if "conditions" not in learned:
        return None
    return {"table": tabulate_conditions(learned["conditions"]), "remarks": describe_conditions(learned)}


def prepare_learned(learned: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows: the four lists of facts with their pages."""
    table = tabulate_learned(learned)
    strong = [(draw("strong", name), *cells) for name, *cells in table.rows]
    bars = [draw("share_bar", count / learned["asked"]) for count in learned["counts"].values()]
    columns = ("question", "answer in the course", "where", "margin, base to tuned")
    return {
        "asked": learned["asked"],
        "available": learned["available"],
        "counts": replace(table, rows=strong).with_column("", bars),
        "remarks": describe_learned(learned),
        "lists": [
            {
                "name": name,
                "open": len(facts) <= OPEN_FACTS,
                "meaning": meaning,
                "table": Table(columns, [_write_fact(fact) for fact in facts]),
            }
            for name, meaning in LISTS.items()
            if (facts := learned["lists"][name])
        ],
    }


def _write_fact(fact: Mapping[str, Any]) -> tuple[str, ...]:
    base, tuned = (min(fact[label]["margins"]) for label in ("base", "tuned"))
    said = " ".join(f"said by {label}" for label in ("base", "tuned") if fact[label]["said"] >= 0.5)
    margins = draw("tight", f"{base:+.2f} to {tuned:+.2f}")
    return fact["question"], fact["answer"], fact["place"], draw("noted", margins, said, "soft") if said else margins


def prepare_guards(guards: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows: what was forgotten, refused and copied, with every answer."""
    answers = zip(*(guards["words"][label]["answers"] for label in guards["models"]), strict=True)
    rows = [(pair[0]["kind"], pair[0]["question"], *map(_write_guarded, pair)) for pair in answers]
    return {
        "table": tabulate_guards(guards),
        "remarks": describe_guards(guards),
        "forgotten": guards["general"]["forgotten"],
        "answers": Table(("kind", "question", *guards["models"]), rows),
    }


def _write_guarded(answer: Mapping[str, Any]) -> str:
    copied = answer["copied"]["words"]
    notes = ["refused"] if answer["refused"] else []
    notes += [f"{copied} words copied"] if copied >= 8 else []
    notes += ["code"] if answer["code"] else []
    return draw("answer", answer["answer"], ", ".join(notes))


def prepare_teaching(answers: Mapping[str, Any]) -> Table:
    """The teaching measures, with intervals, the references and what became better or worse."""
    models: Sequence[str] = answers["models"]
    rows = []
    for measure in answers["teaching"]:
        values = (*(measure["values"][model] for model in models), measure["reference"])
        verdict = find_verdict(measure, models[0], models[-1])
        rows.append(
            (
                draw("noted", measure["title"], measure["meaning"]),
                *(draw_value(value, measure["digits"]) for value in values),
                draw("intervals", measure["values"]),
                draw("judged", verdict, verdict),
            )
        )
    columns = ("", *models, "references", "value and interval", f"{models[0]} to {models[-1]}")
    return Table(columns, rows, numbers=True)


def draw_value(value: Mapping[str, float] | None, digits: int) -> str:
    """A value above its interval."""
    text, _, interval = write_value(value, digits).partition(" ")
    return draw("noted", text, interval.strip("()"))


def find_verdict(measure: Mapping[str, Any], before: str, after: str) -> str:
    """What a measure says of a change, "" where it was not compared."""
    return next((d["verdict"] for d in measure["differences"] if (d["from"], d["to"]) == (before, after)), "")


def describe_references(answers: Mapping[str, Any]) -> str:
    """What the teaching measures mean, and what they do not."""
    level = answers["level"]
    text = (
        f"Reading grades from {level['low']:.0f} to {level['high']:.0f} fit, by {level['by']}. The references show "
        "what can be reached. Support and concepts are looked for by words: they tell an answer taken from the course "
        "from an invented one, and not a right from a wrong one."
    )
    return text if level["english"] else f"{text} Readability is left out: the course is not in English."


def describe_answer(values: Mapping[str, float | None]) -> str:
    """The teaching measures of one answer in a line: `reading ease 62, concepts 50 %, grounded 100 %`."""
    shares = (("coverage", "concepts"), ("grounding", "grounded"), ("copied", "word for word"))
    ease = values["ease"]
    parts = [] if ease is None else [f"reading ease {ease:.0f}"]
    parts += [f"{title} {100 * share:.0f} %" for key, title in shares if (share := values[key]) is not None]
    return ", ".join(parts)


def tabulate_speed(answers: Mapping[str, Any], models: Sequence[str]) -> Table:
    """Speed and memory of the models."""
    rows = [
        (title, *(f"{answers['speed'][model][key]:,.{digits}f}{unit}" for model in models))
        for title, key, unit, digits in (
            ("tokens a second", "tokens_per_second", "", 1),
            ("time to the first token", "first_token_seconds", " s", 2),
            ("peak memory", "peak_memory_gb", " GB", 2),
            ("weights in memory", "weights_gb", " GB", 3),
        )
    ]
    return Table(("", *models), rows, numbers=True)
