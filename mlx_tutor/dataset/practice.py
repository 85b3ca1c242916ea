"""Further rows for facts that a trained model does not know: `mlx-tutor build --from-learned`.

Each fact is asked in further wordings, and in the one kind of question in which `evaluate --learned` does not ask it,
whichever model it measures (`mlx_tutor.evaluation.kinds`). So what is called known is never what was practised: neither
those wordings nor the other kinds are trained. All that rows say stands in training rows already.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlx_tutor.dataset.admit import Admission
from mlx_tutor.dataset.balance import normalize
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.mining.language import UNSPACED, list_stems, rank
from mlx_tutor.dataset.tables.mixes import GENERAL, REFUSAL
from mlx_tutor.languages.defining import ARTICLE, find_asked
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import GAP, RECALL, REVERSE, TRUE_FALSE, Document, Example, Message, QaPair

METHOD = "practice"
MOST_BLANKS = 2
# Kinds of rows that are asked from memory too, where they name the term of a fact; the longest such answer, in words.
OF_TERMS, LONGEST_ANSWER = frozenset({"reason", "comparison", "distinction", "correction"}), 60
# Two answers that share so many of their words may say the same.
ALIKE = 0.6
WORD = re.compile(r"[^\W\d_]{4,}(?:-[^\W\d_]+)*")
BLANK = "____"


@dataclass(frozen=True, slots=True, order=True)
class Weak:
    """A fact that is not known: its answer, as `normalize` gives it, and the kind of question that may be trained."""

    answer: str
    kind: str


@dataclass(frozen=True, slots=True)
class PracticeReport:
    """How many facts are not known, how many of them got rows, how many are held out of training, and the rows."""

    facts: int
    practised: int
    held_out: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Fact:
    """A training row that states a fact; `term`, with its article, is what a definition is of, else empty."""

    row: Example
    table: Language
    term: str

    @property
    def asked(self) -> str:
        """The term as a question names it: where the course gives it no article, an English one says that it is one."""
        is_bare = self.term == self.name and f"the term {self.term}" in self.row.qa_pair.question
        return f"the term {self.term}" if is_bare else self.term

    @property
    def name(self) -> str:
        return ARTICLE.sub("", self.term)

    def hide_term(self) -> str:
        """The answer with an ellipsis for its term."""
        answer = self.row.qa_pair.answer
        hidden = re.sub(rf"(?<!\w)(?:(?:an?|the)\s+)?{re.escape(self.name)}s?(?!\w)", "…", answer, flags=re.IGNORECASE)
        # Chinese has no blanks between words.
        return hidden if hidden != answer else answer.replace(self.name, "…")


def pick_practice(
    weak: Sequence[Weak],
    recipe: Recipe,
    documents: Sequence[Document],
    splits: Mapping[str, Sequence[Example]],
    count_tokens: Callable[[Sequence[Message]], int],
) -> tuple[list[Example], list[tuple[Example, str]], PracticeReport]:
    """Rows for `weak` facts that may join the training rows, those that may not with the reason, and what came of it.

    They pass the same curation as mined rows, and `Admission`.
    """
    if not weak:
        return [], [], PracticeReport(0, 0, 0, 0)
    train = splits["train"]
    known = _Known(train)
    found = {one.answer: known.facts[one.answer] for one in weak if one.answer in known.facts}
    made = [row for one in weak if one.answer in found for row in _practise(one.kind, found[one.answer], known, recipe)]
    made += _ask_from_memory([fact for fact in found.values() if fact.term], train, recipe)
    curated, refused = curate_examples([*train, *made], count_tokens, recipe.train.max_seq_length)
    admission = Admission(recipe, documents, splits, count_tokens)
    kept: list[Example] = []
    dropped = [(row, f"{METHOD}, but {reason}") for row, reason in refused if is_practice(row)]
    for row in filter(is_practice, curated):
        reason = admission.refuse(row, (row.origin.source, row.origin.section))
        if reason is None:
            kept.append(row)
        else:
            dropped.append((row, f"{METHOD}, but {reason}"))
    evidence = {row.origin.evidence for row in kept}
    practised = sum(fact.row.origin.evidence in evidence for fact in found.values())
    held = {normalize(row.qa_pair.answer) for split in ("valid", "test") for row in splits[split]}
    held_out = sum(one.answer in held and one.answer not in found for one in weak)
    return kept, dropped, PracticeReport(len(weak), practised, held_out, len(kept))


def is_practice(row: Example) -> bool:
    """Whether a row was made here."""
    return row.origin.method.startswith(METHOD)


class _Known:
    """The facts of the training rows by their answers, a definition before other questions; and their words."""

    def __init__(self, train: Sequence[Example]) -> None:
        self.facts: dict[str, _Fact] = {}
        for row in train:
            qa = row.qa_pair
            language, term = find_asked(qa.question) or (row.language, "")
            table = read_language(language)
            is_other = row.origin.method in (GENERAL, REFUSAL)
            if table is None or is_other or qa.context or qa.thought_process or "\n" in qa.answer:
                continue
            answer = normalize(qa.answer)
            if answer not in self.facts or (term and not self.facts[answer].term):
                self.facts[answer] = _Fact(row, table, term)
        self.stems = {answer: list_stems(fact.hide_term(), fact.table.code) for answer, fact in self.facts.items()}
        self.holders: dict[str, list[str]] = defaultdict(list)
        for answer, stems in self.stems.items():
            for stem in stems if self.facts[answer].term else ():
                self.holders[stem].append(answer)
        words = ({word.casefold() for word in WORD.findall(fact.row.qa_pair.answer)} for fact in self.facts.values())
        self.counts = Counter(word for some in words for word in some)

    def find_near(self, fact: _Fact, seed: int) -> _Fact | None:
        """The definition of another term that has most words in common with this one and does not say the same."""
        answer, name = normalize(fact.row.qa_pair.answer), set(normalize(fact.name).split())
        own = self.stems[answer]
        shared = Counter(other for stem in own for other in self.holders[stem])
        for other, count in sorted(shared.items(), key=lambda item: (-item[1], rank(seed, fact.term, item[0]))):
            near = self.facts[other]
            other_name = set(normalize(near.name).split())
            # What is said of a sample mean may hold for a mean too.
            alike = other_name <= name or name <= other_name or normalize(fact.name) in other
            if near.table.code == fact.table.code and not alike and count < ALIKE * len(own | self.stems[other]):
                return near
        return None

    def choose_blanks(self, fact: _Fact) -> list[str]:
        """Content words of the answer that the question does not give, the rarest of the course first."""
        code, answer = fact.table.code, fact.row.qa_pair.answer
        given = list_stems(f"{fact.term} {fact.row.qa_pair.question}", code)
        words = {word for word in WORD.findall(answer) if (stems := list_stems(word, code)) and not stems & given}
        spaced = (word for word in words if not UNSPACED.search(word))
        return sorted(spaced, key=lambda word: (self.counts[word.casefold()], -len(word), word))[:MOST_BLANKS]


def _practise(kind: str, fact: _Fact, known: _Known, recipe: Recipe) -> Iterator[Example]:
    """The rows for a fact: further wordings, and its one further kind of question."""
    answer, words, seed = fact.row.qa_pair.answer, fact.table.questions, recipe.dataset.seed
    for question in _list_wordings(fact):
        yield _write(fact, "wording", question, answer, recipe, fact.row.qa_pair.type)
    if kind == REVERSE and fact.term:
        for wording in _choose(fact, "practice_term", seed):
            named = f"{fact.term[0].upper()}{fact.term[1:]}"
            yield _write(fact, kind, wording.format(text=fact.hide_term()), named, recipe)
    if kind == TRUE_FALSE and fact.term and (near := known.find_near(fact, seed)):
        said = (words["practice_yes"][0], words["practice_no"][0].format(answer=answer))
        for wording, shown, verdict in zip(_choose(fact, "practice_true", seed), (fact, near), said, strict=True):
            yield _write(fact, kind, wording.format(term=fact.asked, text=shown.hide_term()), verdict, recipe)
    if kind == GAP:
        for wording, word in zip(_choose(fact, "practice_gap", seed), known.choose_blanks(fact), strict=False):
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", BLANK, answer)
            yield _write(fact, kind, wording.format(text=text), word, recipe)


def _choose(fact: _Fact, key: str, seed: int) -> list[str]:
    """The wordings of a kind, in the fixed random order of this fact."""
    return sorted(fact.table.questions.get(key, ()), key=lambda text: rank(seed, fact.row.qa_pair.answer, text))


def _list_wordings(fact: _Fact) -> list[str]:
    """Further questions for a fact."""
    questions = fact.table.questions
    if not fact.term:
        return [wording.format(fact.row.qa_pair.question) for wording in questions.get("practice_question", ())]
    return [wording.format(term=fact.asked) for wording in questions.get("practice_definition", ())]


def _ask_from_memory(facts: Sequence[_Fact], train: Sequence[Example], recipe: Recipe) -> Iterator[Example]:
    """Reasons and comparisons that the course gives of a term, asked without the passage that they stand in."""
    of_source: dict[str, list[tuple[set[str], _Fact]]] = defaultdict(list)
    for fact in facts:
        of_source[fact.row.origin.source].append((list_stems(fact.name, fact.table.code), fact))
    for row in train:
        qa = row.qa_pair
        if qa.type not in OF_TERMS or not qa.context or len(qa.answer.split()) > LONGEST_ANSWER:
            continue
        asked = list_stems(qa.question, row.language)
        named = next((fact for stems, fact in of_source[row.origin.source] if stems and stems <= asked), None)
        if named is not None:
            yield _write(replace(named, row=row), "from memory", qa.question, qa.answer, recipe)


def _write(fact: _Fact, what: str, question: str, answer: str, recipe: Recipe, kind: str = RECALL) -> Example:
    row = fact.row
    # What is asked for is no related concept.
    related = row.qa_pair.related_concepts if kind != RECALL else ()
    qa = QaPair(question, (), answer, kind, related)
    origin = replace(row.origin, method=f"{METHOD}, {what}")
    return replace(row, messages=write_messages(qa, recipe.course, "", fact.table.code), origin=origin, qa_pair=qa)
