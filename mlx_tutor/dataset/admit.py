"""What may join training rows after the split: nothing that a held-out row or a held-out exam says."""

from collections.abc import Callable, Mapping, Sequence

from mlx_tutor.dataset.balance import normalize
from mlx_tutor.dataset.firewall import NEAR, build_firewall
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document, Example, Message, Place

# Words in a row that an answer may share with a held-out row only when a training row has them too; and the fewest
# that a whole held-out answer must have to be looked for.
RUN, SHORTEST = 8, 4


class Admission:
    """Tells which further rows may be trained on. The course's own rows keep their split.

    Args:
        recipe: The recipe of the course.
        documents: The documents of the course, with those of held-out exams.
        splits: Its rows.
        count_tokens: Length of a rendered row.
    """

    def __init__(
        self,
        recipe: Recipe,
        documents: Sequence[Document],
        splits: Mapping[str, Sequence[Example]],
        count_tokens: Callable[[Sequence[Message]], int],
    ) -> None:
        held_out = [example for split in ("valid", "test") for example in splits[split]]
        self.trained = {(example.origin.source, example.origin.section) for example in splits["train"]}
        self.questions = {normalize(example.qa_pair.question) for example in held_out}
        self.secret = _cut_runs(held_out, whole=True) - _cut_runs(splits["train"])
        self.known = {_find_key(row) for row in splits["train"]}
        self.holdout = recipe.dataset.holdout
        exams = [example for example in splits["test"] if example.origin.source in self.holdout]
        self.firewall = build_firewall(self.holdout, documents, exams)
        self.count_tokens, self.longest = count_tokens, recipe.train.max_seq_length

    def refuse(self, example: Example, place: Place | None) -> str | None:
        """Why a row must not be trained; None when it may. `place` is the section that it was made from, if any.

        Its section is held out, it repeats a held-out exam, asks what a held-out row asks, or holds eight words in a
        row of what such a row answers (all of it, when that is four to seven words) that no training row holds.
        """
        if place is not None and place not in self.trained:
            return "asked from a held-out section"
        if self.holdout and self.firewall.measure(example) >= NEAR:
            return "repeats the holdout"
        if normalize(example.qa_pair.question) in self.questions or _cut_runs([example]) & self.secret:
            return "the same as a held-out row"
        if _find_key(example) in self.known:
            return "an exact duplicate"
        if self.count_tokens(example.messages) > self.longest:
            return f"longer than {self.longest} tokens"
        return None


def _find_key(row: Example) -> tuple[str, str, bool]:
    qa = row.qa_pair
    return normalize(qa.question), normalize(qa.answer), bool(qa.context)


def _cut_runs(examples: Sequence[Example], *, whole: bool = False) -> set[str]:
    """Runs of `SHORTEST` to `RUN` words in answers and evidence; with `whole`, of `RUN` or else the whole text."""
    runs = set()
    for example in examples:
        for text in (example.qa_pair.answer, example.origin.evidence):
            words = normalize(text).split()
            for size in range(SHORTEST, RUN + 1):
                if not whole or size == min(RUN, len(words)):
                    runs |= {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}
    return runs
