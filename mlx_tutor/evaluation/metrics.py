"""The measures of answers (ROUGE, BLEU, chrF, repetition, form), as sums over rows.

ROUGE by rouge-score (Lin, 2004: "ROUGE: A Package for Automatic Evaluation of Summaries"), BLEU (Papineni et al.,
2002) and chrF (Popović, 2015) by sacrebleu (Post, 2018), whose signatures say with which settings.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlx_tutor.evaluation.answers import Question, Reply
from mlx_tutor.evaluation.bootstrap import Array, Sample, score_percent, score_perplexity, score_ratio
from mlx_tutor.evaluation.style import measure_repetition

# Scripts without spaces between words: each letter is a word of its own.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is named and read: `better` is 1 when more is better, -1 when less is, 0 when neither."""

    key: str
    title: str
    better: int
    digits: int
    meaning: str


MEASURES = (
    Measure("answer_loss", "answer loss", -1, 3, "nats a token of the reference answers"),
    Measure("answer_perplexity", "answer perplexity", -1, 2, "e to the power of the answer loss"),
    Measure("text_loss", "whole-text loss", -1, 3, "nats a token of system prompt, question and reference answer"),
    Measure("text_perplexity", "whole-text perplexity", -1, 2, "e to the power of the whole-text loss"),
    Measure("rouge1", "ROUGE-1", 1, 1, "words shared with the reference, F1 of 100, mean over answers"),
    Measure("rouge2", "ROUGE-2", 1, 1, "pairs of neighbouring words shared with the reference, F1 of 100, mean"),
    Measure("rougeL", "ROUGE-L", 1, 1, "longest run of words in common order, gaps allowed, F1 of 100, mean"),
    Measure("bleu", "BLEU", 1, 1, "runs of one to four words shared with the references, of 100, over all answers"),
    Measure("chrf", "chrF", 1, 1, "runs of one to six characters shared with the references, of 100, over all"),
    Measure("tokens", "tokens an answer", 0, 1, "length of the generated answers"),
    Measure("repetition", "repeated 4-grams %", -1, 1, "share of runs of four words that stood in the answer before"),
    Measure("cut", "not ended by itself %", -1, 1, "share of answers that generate.max_tokens or a loop ended"),
    Measure(
        "format", "format kept %", 1, 1, "share that has the parts of a worked answer, where the reference has them"
    ),
)


class UnicodeTokenizer:
    """Words for ROUGE in every script; rouge-score's own knows only a to z and 0 to 9.

    A word is a run of letters, marks and digits after NFKC and case folding. Where a script has no spaces, a word is
    one letter with its marks.
    """

    def tokenize(self, text: str) -> list[str]:
        words: list[str] = []
        # The kind of the last character: none of a word, part of a word, or a word by itself.
        last = ""
        for character in unicodedata.normalize("NFKC", text).casefold():
            kind = unicodedata.category(character)[0]
            if kind not in "LMN":
                last = ""
                continue
            alone = kind != "M" and unicodedata.name(character, "").startswith(UNSPACED)
            if (last and kind == "M") or (last == "part" and not alone):
                words[-1] += character
            else:
                words.append(character)
                last = "alone" if alone else "part"
        return words


def make_samples(
    questions: Sequence[Question], replies: Sequence[Reply], losses: Array, has_format: Callable[[str], bool]
) -> dict[str, Sample]:
    """The statistics of every measure for one model, by key.

    Args:
        replies: What the model answered, in the same order.
        losses: (rows, 4) from `measure_rows`.
    """
    references = [question.reference for question in questions]
    texts = [reply.text for reply in replies]
    one = np.ones(len(texts))

    def mean(values: Sequence[float]) -> Array:
        return np.column_stack([np.asarray(values, float), one])

    asked = np.array([has_format(reference) for reference in references], float)
    kept = np.array([has_format(text) for text in texts], float)
    rouge = score_rouge(references, texts)
    return {
        "answer_loss": Sample(losses[:, :2], score_ratio),
        "answer_perplexity": Sample(losses[:, :2], score_perplexity),
        "text_loss": Sample(losses[:, 2:], score_ratio),
        "text_perplexity": Sample(losses[:, 2:], score_perplexity),
        **{name: Sample(mean(values), score_percent) for name, values in rouge.items()},
        **{name: sample_corpus(metric, references, texts) for name, metric in make_corpus_metrics().items()},
        "tokens": Sample(mean([reply.tokens for reply in replies]), score_ratio),
        "repetition": Sample(mean([measure_repetition(text) for text in texts]), score_percent),
        "cut": Sample(mean([reply.ended != "stop" for reply in replies]), score_percent),
        "format": Sample(np.column_stack([kept * asked, asked]), score_percent),
    }


def score_rouge(references: Sequence[str], texts: Sequence[str]) -> dict[str, list[float]]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L of each text, from 0 to 1, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    names = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(names, tokenizer=UnicodeTokenizer())
    scores = [scorer.score(reference, text) for reference, text in zip(references, texts, strict=True)]
    return {name: [score[name].fmeasure for score in scores] for name in names}


def make_corpus_metrics() -> dict[str, Any]:
    """BLEU and chrF with sacrebleu's defaults."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return {"bleu": BLEU(), "chrf": CHRF()}


def sample_corpus(metric: Any, references: Sequence[str], texts: Sequence[str]) -> Sample:
    """Statistics of a metric of sacrebleu, which scores their sums, not the mean over answers.

    sacrebleu's own bootstrap uses the same two methods.
    """
    statistics = np.asarray(metric._extract_corpus_statistics(texts, [references]), float)

    def score(sums: Array) -> Array:
        return np.array([metric._compute_score_from_stats(row.tolist()).score for row in sums])

    return Sample(statistics, score)


def write_signatures(references: Sequence[str]) -> dict[str, str]:
    """The signatures that sacrebleu asks to be printed beside its scores."""
    signatures = {}
    for name, metric in make_corpus_metrics().items():
        metric.corpus_score(references, [references])
        signatures[name] = str(metric.get_signature())
    return signatures
