"""A teacher's reply, in short labelled lines, read as far as it is whole; what it says is checked in `examples`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

# Thoughts, with or without their opening tag, which some chat templates write themselves.
THOUGHTS = re.compile(r"\A.*?</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL)
# "**Q:** ...", "2. Q2: ...", "### KIND: why"
LABEL = re.compile(
    r"^[\s>#*_\-]*(?:\d+[.)]\s*)?[*_]*(?P<label>KIND|TYPE|QUESTION|Q|STEP|ANSWER|A|CONCEPTS|FROM|ITEM)"
    r"[*_]*(?:[ \t]*\d{1,2})?[*_]*\s*[:：][*_]*[ \t]*(?P<rest>.*)$",
    re.IGNORECASE,
)
NAMES = {"TYPE": "KIND", "QUESTION": "Q", "ANSWER": "A"}
# "2-4", "2 to 4"; a number alone is both ends.
NUMBERS = re.compile(r"(\d+)(?:\s*(?:-|–|to)\s*(\d+))?")
LONGEST_RANGE = 20
SCORE = re.compile(r"^[^\w\n]*(?:ITEM\W*)?(\d+)[*_]*\s*[:：.)\-=]+\s*[^\d\n]{0,20}(\d+(?:\.\d+)?)", re.MULTILINE | re.I)
FENCE = re.compile(r"\s*```")
# A student who asks the tutor sees no passage.
UNSEEN = re.compile(
    r"\b(?:the|this|that|given|provided|above) (?:passage|excerpt|snippet|piece of text)\b"
    r"|\b(?:this|provided|above|given) (?:text|paragraph|section|code)\b"
    r"|\b(?:according to|does|as|in|from|of|by) the (?:text|section|sentences?)\b(?! (?:of|is|are)\b)"
    r"|\bthe (?:piece|text) (?:says?|states?|mentions?|describes?)\b|\baccording to the (?:piece|author|material)\b"
    r"|\bsentences? \[?\d|\[\d+\]",
    re.IGNORECASE,
)
CUT = "reply cut at teacher.max_tokens"
LOOPED = "the reply began to repeat itself"
BLIND = "the question is about a text that the student does not see"


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a teacher wrote and nobody will be taught; `answer` is the whole reply when it could not be read."""

    type: str
    question: str
    answer: str
    evidence: str
    reason: str


@dataclass(frozen=True, slots=True)
class Item:
    """One fact as a teacher writes it, with several questions; `code`, in fences, stands below them.

    `cited` are the numbers of the sentences that it names, `evidence` what these say, word for word.
    """

    type: str
    questions: tuple[str, ...]
    thought_process: tuple[str, ...]
    answer: str
    related_concepts: tuple[str, ...]
    cited: tuple[int, ...] = ()
    evidence: str = ""
    code: str = ""

    def reject(self, reason: str) -> Rejected:
        """The item as `dropped.jsonl` keeps it."""
        question = self.questions[0] if self.questions else ""
        cited = ", ".join(map(str, self.cited))
        return Rejected(self.type, question, self.answer, self.evidence or cited, reason)

    def ground(self, evidence: str, code: str) -> "Item":
        """The item with its evidence as it stands in the source, and the code that it is about."""
        return replace(self, evidence=evidence, code=code)


def read_items(
    text: str, kinds: Sequence[str], wordings: int, *, cut: bool = False, looped: bool = False
) -> tuple[list[Item], list[Rejected]]:
    """The items of a reply that are whole, and the others with the reason.

    `cut`: the reply ends too early, `looped`: where it began to repeat itself; either way its last item is not whole.
    """
    found = list(_read_blocks(THOUGHTS.sub("", text)))
    ended = LOOPED if looped else CUT if cut else ""
    if not found:
        reason = ended or ("no labelled lines in the reply" if text.strip() else "empty reply")
        return [], [Rejected("reply", "", text[:2000], "", reason)]
    items: list[Item] = []
    rejected: list[Rejected] = []
    seen: set[tuple[str, str]] = set()
    for number, fields in enumerate(found, 1):
        item = _make_item(fields, kinds)
        last = number == len(found) and ended
        if problem := last or _find_problem(item, kinds):
            rejected.append(item.reject(problem))
            continue
        alone = tuple(question for question in item.questions if not UNSEEN.search(question))
        blind = [question for question in item.questions if question not in alone]
        rejected += [replace(item, questions=(question,)).reject(BLIND) for question in blind]
        if alone and (alone[0].casefold(), item.answer.casefold()) in seen:
            rejected.append(item.reject("it says the same as one before"))
        elif alone:
            seen.add((alone[0].casefold(), item.answer.casefold()))
            items.append(replace(item, questions=alone[:wordings]))
    return items, rejected


def read_scores(text: str) -> dict[int, float]:
    """The ratings in a judge's reply, by the number of the item."""
    return {int(match[1]): float(match[2]) for match in SCORE.finditer(THOUGHTS.sub("", text))}


def _read_blocks(text: str) -> Iterator[dict[str, list[str]]]:
    """The labelled lines of each item. A new item begins with its kind, or with a question behind an answer.

    A line without a label goes on with the line before, unless an empty line or a citation ended that.
    """
    fields: dict[str, list[str]] = {}
    current = ""
    in_code = False
    for line in text.split("\n"):
        fence = FENCE.match(line) is not None
        match = LABEL.match(line)
        # In code, only a citation or the next item ends what was never closed.
        if in_code and match and match["label"].upper() not in ("FROM", "KIND"):
            match = None
        if match is None:
            is_text = line.strip() or in_code
            if is_text and current == "A":
                fields[current][-1] += f"\n{line.rstrip() if in_code or fence else line.strip()}"
                in_code ^= fence
            elif is_text and current and not fence:
                fields[current][-1] += f" {line.strip()}"
            elif not is_text and current != "A":
                current = ""
            continue
        in_code = False
        name = NAMES.get(match["label"].upper(), match["label"].upper())
        if name in ("KIND", "ITEM") or (name == "Q" and "A" in fields):
            if fields:
                yield fields
            fields = {}
        current = name
        fields.setdefault(name, []).append(match["rest"])
    if fields:
        yield fields


def _make_item(fields: dict[str, list[str]], kinds: Sequence[str]) -> Item:
    questions = [_join(text) for text in fields.get("Q", ())]
    steps = [re.sub(r"^(?:step )?\d+[.):]\s+", "", _join(text), flags=re.I) for text in fields.get("STEP", ())]
    concepts = re.split(r"[;,]", "; ".join(fields.get("CONCEPTS", ())))
    named = _join(" ".join(fields.get("KIND", ()))).strip(" .*_`[]()").lower().replace(" ", "-")
    answer = "\n".join(fields.get("A", ())).encode(errors="ignore").decode().strip()
    return Item(
        named or _guess_kind(questions, kinds),
        tuple(dict.fromkeys(filter(None, questions))),
        tuple(filter(None, steps)),
        answer,
        tuple(filter(None, map(_join, concepts)))[:4],
        tuple(_read_numbers(" ".join(fields.get("FROM", ())))),
    )


def _join(text: str) -> str:
    # Half of a surrogate pair cannot be written to a file.
    plain = text.encode(errors="ignore").decode().strip()
    return plain if "```" in plain else " ".join(plain.split())


def _read_numbers(text: str) -> Iterator[int]:
    for match in NUMBERS.finditer(text):
        first, last = int(match[1]), int(match[2] or match[1])
        yield from range(first, min(last, first + LONGEST_RANGE) + 1)


def _guess_kind(questions: Sequence[str], kinds: Sequence[str]) -> str:
    """The kind of a question whose line is missing, by its first words; empty when it was not asked for."""
    begins = questions[0].casefold() if questions else ""
    pattern = {"what-if": r"what (?:if|would|happens)\b", "why": r"why\b", "how": r"how\b", "what": r"wh"}
    guessed = (kind for kind, words in pattern.items() if kind in kinds and re.match(words, begins))
    return next(guessed, "")


def _find_problem(item: Item, kinds: Sequence[str]) -> str:
    """Why an item cannot be used; empty when it can."""
    problems = {
        "a kind that was not asked for": item.type not in kinds,
        "no question": not item.questions,
        "no answer": not item.answer,
        "the answer repeats the question": item.answer.casefold() in {asked.casefold() for asked in item.questions},
        "it cites nothing": not item.cited,
        "an explanation without steps": item.type == "explain" and not item.thought_process,
        "a relation without its two concepts": item.type == "relation" and len(item.related_concepts) < 2,
    }
    return next((problem for problem, holds in problems.items() if holds), "")
