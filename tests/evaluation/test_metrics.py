"""Measures on hand-made cases, and how sure they are."""

import math
from pathlib import Path

import numpy as np
import pytest

from mlx_tutor.dataset.messages import has_format
from mlx_tutor.evaluation.answers import Question, Reply
from mlx_tutor.evaluation.bootstrap import (
    MIN_ROWS,
    Estimate,
    Sample,
    draw_weights,
    estimate_difference,
    estimate_value,
    judge,
    score_perplexity,
    score_ratio,
)
from mlx_tutor.evaluation.measure import choose_questions, measure_rows
from mlx_tutor.evaluation.metrics import (
    MEASURES,
    UnicodeTokenizer,
    make_corpus_metrics,
    make_samples,
    sample_corpus,
    score_rouge,
    write_signatures,
)
from mlx_tutor.models import load_model, render_tokens
from mlx_tutor.training.batches import TokenRow
from mlx_tutor.training.loss import measure_loss

FORMATTED = "Step by step:\n1. Sort.\n\nAnswer: The middle one."


@pytest.mark.parametrize(
    "text",
    ["Was ist Größe?", "中位数是中间的值", "Медиана выборки", "माध्य क्या है", "قيمة الوسيط", "ค่าเฉลี่ย", "中央値とは"],
)
def test_a_text_in_any_script_is_like_itself(text: str) -> None:
    assert score_rouge([text], [text]) == {"rouge1": [1.0], "rouge2": [1.0], "rougeL": [1.0]}
    assert score_rouge([text], ["zzz"])["rouge1"] == [0.0]


def test_words() -> None:
    split = UnicodeTokenizer().tokenize
    assert split("The p-value, STRASSE/straße x² ﬁt") == ["the", "p", "value", "strasse", "strasse", "x2", "fit"]
    assert split("中位数 = median 值") == ["中", "位", "数", "median", "值"]
    assert split("माध्य क्या") == ["माध्य", "क्या"]
    assert split("か\u3099x") == ["が", "x"]
    assert split(" - ") == []


def test_rouge_by_hand() -> None:
    # Shared: four of five and six words, all in common order; one of four and five pairs.
    scores = score_rouge(["the cat on the mat"], ["the cat is on a mat"])
    assert scores["rouge1"] == [pytest.approx(2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6))]
    assert scores["rouge2"] == [pytest.approx(2 * (1 / 4) * (1 / 5) / (1 / 4 + 1 / 5))]
    assert scores["rougeL"] == scores["rouge1"]


def test_corpus_scores_are_those_of_sacrebleu() -> None:
    references = ["the mean is the sum of all values", "a median is the middle value", "ein Mittelwert"]
    texts = ["the mean is a sum of values", "a median is the middle value", "der Modus"]
    weights = np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    for metric in make_corpus_metrics().values():
        sample = sample_corpus(metric, references, texts)
        drawn = [0, 0, 1]
        expected = [
            metric.corpus_score([texts[i] for i in drawn], [[references[i] for i in drawn]]).score,
            metric.corpus_score(texts, [references]).score,
        ]
        assert sample.score(weights @ sample.statistics) == pytest.approx(expected)
        assert 0 < expected[0] < 100
    signatures = write_signatures(references)
    assert signatures["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert signatures["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_samples_of_answers() -> None:
    token_row = TokenRow((1, 2, 3), 1)
    questions = [Question(1, (), FORMATTED, token_row), Question(2, (), "Free text.", token_row)]
    replies = [Reply(FORMATTED, 10, "stop"), Reply("a b c d a b c d", 30, "length")]
    losses = np.array([[2.0, 2, 6, 3], [6.0, 2, 6, 3]])
    samples = make_samples(questions, replies, losses, has_format)
    assert set(samples) == {measure.key for measure in MEASURES}
    weights = draw_weights(2, 0)
    found = {key: estimate_value(sample, weights) for key, sample in samples.items()}
    values = {key: estimate.value for key, estimate in found.items() if estimate is not None}
    assert values["answer_loss"] == 2.0
    assert values["answer_perplexity"] == pytest.approx(math.exp(2))
    assert values["text_loss"] == 2.0
    assert values["tokens"] == 20.0
    assert values["cut"] == 50.0
    # One of five runs of four words came before; the other answer repeats none.
    assert values["repetition"] == pytest.approx(10.0)
    # Only the first reference has the format.
    assert values["format"] == 100.0
    assert values["rouge1"] == pytest.approx(50.0)
    none = make_samples(questions[1:], replies[1:], losses[1:], has_format)
    assert estimate_value(none["format"], draw_weights(1, 0)) is None


def test_losses_of_rows_are_those_of_training(tiny_model: Path) -> None:
    loaded = load_model(tiny_model)
    rows = []
    for words in (3, 40, 11, 90):
        answer = " ".join(["mean"] * words)
        messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": answer}]
        tokens, offset = render_tokens(loaded.tokenizer, messages)  # type: ignore[arg-type]
        rows.append(TokenRow(tuple(tokens), offset))
    losses = measure_rows(loaded, rows)
    assert losses[:, 1].tolist() == [row.supervised for row in rows]
    assert losses[:, 3].tolist() == [len(row.tokens) - 1 for row in rows]
    for row, (nats, count, all_nats, all_count) in zip(rows, losses.tolist(), strict=True):
        assert nats / count == pytest.approx(measure_loss(loaded.model, [row], 1), abs=1e-5)
        whole = TokenRow(row.tokens, 1)
        assert all_nats / all_count == pytest.approx(measure_loss(loaded.model, [whole], 1), abs=1e-5)


def make_sample(rows: int, mean: float = 0.0, seed: int = 0) -> Sample:
    values = np.random.default_rng(seed).normal(mean, 1.0, rows)
    return Sample(np.column_stack([values, np.ones(rows)]), score_ratio)


def test_intervals_hold_the_mean_and_shrink() -> None:
    widths = []
    for rows in (20, 80, 320):
        found = estimate_value(make_sample(rows), draw_weights(rows, 1))
        assert found is not None and found.low < found.value < found.high
        widths.append(found.high - found.low)
        # What the normal distribution says of a mean.
        assert widths[-1] == pytest.approx(2 * 1.96 / math.sqrt(rows), rel=0.25)
    assert widths[0] > widths[1] > widths[2]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    weights = draw_weights(40, 0, 400)
    found = [estimate_value(make_sample(40, 5.0, seed), weights) for seed in range(200)]
    held = sum(estimate is not None and estimate.low <= 5.0 <= estimate.high for estimate in found)
    assert 178 <= held <= 198


def test_a_difference_on_the_same_rows_is_surer_than_the_values() -> None:
    before = make_sample(50)
    after = Sample(before.statistics + np.column_stack([np.full(50, 0.2), np.zeros(50)]), score_ratio)
    weights = draw_weights(50, 0)
    difference = estimate_difference(before, after, weights)
    value = estimate_value(before, weights)
    assert difference is not None and value is not None
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.2, 0.2, 0.2))
    assert value.high - value.low > 0.4
    assert weights.tolist() == draw_weights(50, 0).tolist() != draw_weights(50, 1).tolist()


def test_verdicts() -> None:
    rise, fall, nothing = Estimate(0.2, 0.1, 0.3), Estimate(-0.2, -0.3, -0.1), Estimate(0.1, -0.1, 0.3)
    assert [judge(rise, better, 50) for better in (1, -1, 0)] == ["better", "worse", "more"]
    assert [judge(fall, better, 50) for better in (1, -1, 0)] == ["worse", "better", "less"]
    assert judge(nothing, 1, 50) == judge(Estimate(0, 0, 0), 1, 50) == "unclear"
    assert judge(rise, 1, MIN_ROWS - 1) == "too few rows"


def test_scores_that_cannot_be() -> None:
    assert estimate_value(Sample(np.zeros((3, 2)), score_ratio), draw_weights(3, 0)) is None
    huge = estimate_value(Sample(np.array([[1e6, 1.0]]), score_perplexity), draw_weights(1, 0))
    assert huge is not None and math.isfinite(huge.value)


def test_a_limit_chooses_by_the_seed() -> None:
    questions = [Question(line, (), "", TokenRow((1, 2), 1)) for line in range(100)]
    chosen = choose_questions(questions, 10, 3)
    assert chosen == choose_questions(questions, 10, 3) == sorted(chosen, key=lambda question: question.line)
    assert len({question.line for question in chosen}) == 10
    assert chosen != choose_questions(questions, 10, 4)
    assert choose_questions(questions, 500, 3) == choose_questions(questions, None, 3) == questions
