"""Rows that explain what a section is about, in neighbouring sentences of its text."""

import re
from collections.abc import Iterator, Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import clean_heading, name_question, name_topic
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.dataset.mining.prose import (
    cut_run,
    find_subject,
    list_paragraph,
    lower_first,
    stands_alone,
    stem_content,
    take_run,
)
from mlx_tutor.dataset.passage import is_passage, quote_whole, read_from
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import strip_bold

# An explanation has at least so many sentences and words, and no more words than these.
LEAST_SENTENCES, LEAST_WORDS, MOST_WORDS = 2, 30, 110
# What a passage says of a concept is at most so much of the passage.
MOST_SHARE = 0.6


def make_explanations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "Explain TOPIC", where the text begins a paragraph about it, and what a passage says about a concept."""
    table = read_language(chunk.language)
    if table is None or "explanation" not in table.questions:
        return
    topic = name_topic(chunk) or name_question(chunk)
    heading = clean_heading(chunk.heading[-1])
    # Under "Training" stands a part of what the heading above it names.
    if topic is not None and (topic in heading or table.patterns["sums_up"].match(heading)):
        yield from _explain_topic(chunk, topic, concepts, table, seed)
    yield from _explain_mention(chunk, concepts, table, seed)


def _explain_topic(
    chunk: Chunk, topic: str, concepts: Concepts, table: Language, seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    """The sentences from the one on that begins with the topic; what comes before it is about something else."""
    for block in chunk.blocks:
        sentences = list_paragraph(block, chunk.language)
        for start, sentence in enumerate(sentences[:2]):
            if not _begins_with(sentence, topic, table) or not stands_alone(sentence, table):
                continue
            run = _leave_topics(take_run(sentences, start, MOST_WORDS, table), topic, concepts)
            if not _is_enough(run):
                continue
            evidence = cut_run(block, run)
            wording = pick(table.questions["explanation"], seed, topic)
            asked = topic if topic.endswith("?") else wording.format(topic=concepts.refer(topic))
            qa = QaPair(asked, (), strip_bold(evidence), "explain", concepts.relate(evidence, topic))
            yield qa, "explanation", evidence
            return


def _explain_mention(chunk: Chunk, concepts: Concepts, table: Language, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """What a passage says about one of its concepts, which is not what the passage begins with."""
    whole = quote_whole(chunk)
    for number, block in enumerate(chunk.blocks):
        sentences = list_paragraph(block, chunk.language)
        passage = strip_bold(block.text) if is_passage(block) else whole
        for start, sentence in enumerate(sentences if passage else []):
            if (start == 0 and number == 0) or not stands_alone(sentence, table):
                continue
            name = find_opening(sentence, concepts, table)
            run = [sentence, *_follow(take_run(sentences, start, MOST_WORDS, table)[1:], name, table)]
            around = [*sentences[:start], *sentences[start + len(run) :]]
            if not name or not _is_enough(run) or any(_names(other, name, table) for other in around):
                continue
            evidence = cut_run(block, run)
            if passage is None or len(evidence.split()) > MOST_SHARE * len(passage.split()):
                continue
            asked = pick(table.questions["explanation in passage"], seed, name).format(concept=name)
            qa = QaPair(asked, (), strip_bold(evidence), "explain", ())
            yield read_from(qa, passage, concepts), "explanation in passage", evidence
            return


def _follow(sentences: Sequence[str], name: str, table: Language) -> Iterator[str]:
    """The sentences that go on about a concept: they name it, or begin with "It"."""
    for sentence in sentences:
        if not _names(sentence, name, table) and not table.patterns["continues"].match(strip_bold(sentence)):
            return
        yield sentence


def _leave_topics(run: Sequence[str], topic: str, concepts: Concepts) -> Sequence[str]:
    """A run without what it says about another concept at its end."""
    for end, sentence in enumerate(run[1:], 1):
        other = next((name for name in concepts.find_longest(sentence) if _opens_with(sentence, name)), "")
        if other and other.lower() not in " ".join([topic, *run[:end]]).lower():
            return run[:end]
    return run


def find_opening(sentence: str, concepts: Concepts, table: Language) -> str:
    """The concept that a sentence begins with and says something about; no person, firm or office."""
    subject = find_subject(strip_bold(sentence), table)
    named = concepts.find_longest(subject)
    words = named[0].split() if len(named) == 1 else []
    article = len(subject.split()) - len(words)
    is_office = any(word[0].isupper() and not word.isupper() for word in words[1:])
    if not words or article > 1 or is_office or not _opens_with(sentence, named[0]):
        return ""
    # As the sentence writes it: the list of concepts has lost some capitals.
    return " ".join(subject.split()[1:]) if article else lower_first(subject, concepts)


def _is_enough(run: Sequence[str]) -> bool:
    """Whether so many sentences explain something."""
    return len(run) >= LEAST_SENTENCES and sum(len(sentence.split()) for sentence in run) >= LEAST_WORDS


def _begins_with(sentence: str, topic: str, table: Language) -> bool:
    """Whether the first words of a sentence that mean something are those of a topic."""
    words = stem_content(topic, table.code)
    return bool(words) and set(words) == set(stem_content(strip_bold(sentence), table.code)[: len(words)])


def _names(sentence: str, concept: str, table: Language) -> bool:
    """Whether a sentence uses the words of a concept."""
    return set(stem_content(concept, table.code)) <= set(stem_content(strip_bold(sentence), table.code))


def _opens_with(sentence: str, name: str) -> bool:
    """Whether a sentence begins with a concept, after at most one small word, and goes on with a small one."""
    opening = rf"(?:[^\W\d_]{{1,3}}[\s’'])?(?i:{re.escape(name)})\w{{0,2}}(?:\s\([^)]*\))?,?\s[^\W\d_A-Z]"
    return re.match(opening, strip_bold(sentence)) is not None
