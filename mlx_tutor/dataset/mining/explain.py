"""Rows that explain what a section is about, in neighbouring sentences of its text."""

import re
from collections.abc import Iterator, Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.defining import find_definitions
from mlx_tutor.dataset.mining.headings import clean_heading, name_question, name_topic
from mlx_tutor.dataset.mining.language import ends_subject, pick, tells_story
from mlx_tutor.dataset.mining.prose import cut_run, list_paragraph, stands_alone, stem_content, take_run
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import strip_bold

# An explanation has at least so many sentences and words, and no more words than these.
LEAST_SENTENCES, LEAST_WORDS, MOST_WORDS = 2, 30, 110


def make_explanations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "Explain TOPIC", where the text begins a paragraph about it."""
    table = read_language(chunk.language)
    if table is None or "explanation" not in table.questions:
        return
    topic = name_topic(chunk) or name_question(chunk)
    heading = clean_heading(chunk.heading[-1])
    # Under "Training" stands a part of what the heading above it names.
    if topic is not None and (topic in heading or table.patterns["sums_up"].match(heading)):
        yield from _explain_topic(chunk, topic, concepts, table, seed)


def _explain_topic(
    chunk: Chunk, topic: str, concepts: Concepts, table: Language, seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    """The sentences from the one on that begins with the topic and says what it is; those before are about others."""
    definitions = find_definitions(chunk)
    for block in chunk.blocks:
        sentences = list_paragraph(block, chunk.language)
        for start, sentence in enumerate(sentences[:2]):
            if not _begins_with(sentence, topic, table):
                continue
            # Parts, history and use explain nothing to those who are not told what it is.
            said = table.patterns["says_what"].match(strip_bold(sentence)) is not None
            if not said and not any(sentence in found.evidence for found in definitions):
                break
            # Where it cannot be quoted, what follows it leaves out what matters most.
            if not stands_alone(sentence, table) or table.patterns["no_effect"].match(strip_bold(sentence)):
                break
            run = _leave_topics(take_run(sentences, start, MOST_WORDS, table), topic, concepts)
            run = _leave_story(run, sentences[start:])
            if len(run) < LEAST_SENTENCES or sum(len(sentence.split()) for sentence in run) < LEAST_WORDS:
                continue
            evidence = cut_run(block, run)
            wording = pick(table.questions["explanation"], seed, topic)
            asked = topic if topic.endswith("?") else wording.format(topic=concepts.refer(topic))
            qa = QaPair(asked, (), strip_bold(evidence), "explain", concepts.relate(evidence, topic))
            yield qa, "explanation", evidence
            return


def _leave_topics(run: Sequence[str], topic: str, concepts: Concepts) -> Sequence[str]:
    """A run without what it says about another concept at its end."""
    for end, sentence in enumerate(run[1:], 1):
        other = next((name for name in concepts.find_longest(sentence) if _opens_with(sentence, name)), "")
        if other and other.lower() not in " ".join([topic, *run[:end]]).lower():
            return run[:end]
    return run


def _leave_story(run: Sequence[str], sentences: Sequence[str]) -> Sequence[str]:
    """A run without the beginning of an example, whose end it does not have."""
    while 0 < len(run) < len(sentences) and tells_story(run[-1]):
        run = run[:-1]
    return run


def _begins_with(sentence: str, topic: str, table: Language) -> bool:
    """Whether the first words of a sentence that mean something are those of a topic."""
    words, plain = stem_content(topic, table.code), strip_bold(sentence)
    # "The loss function of style transfer", "The Lost Generation writer": about a part of the topic, or another thing.
    named = re.search(rf"{re.escape(topic)}\w{{0,2}}(?P<after> [^ ]+)", plain, re.IGNORECASE)
    narrower = named is not None and not ends_subject(named["after"].strip(), table.code)
    return bool(words) and not narrower and set(words) == set(stem_content(plain, table.code)[: len(words)])


def _opens_with(sentence: str, name: str) -> bool:
    """Whether a sentence begins with a concept, after at most one small word, and goes on with a small one."""
    opening = rf"(?:[^\W\d_]{{1,3}}[\s’'])?(?i:{re.escape(name)})\w{{0,2}}(?:\s\([^)]*\))?,?\s[^\W\d_A-Z]"
    return re.match(opening, strip_bold(sentence)) is not None
