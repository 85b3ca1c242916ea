"""Rows that compare two terms of the course, and those that set a misconception right."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.defining import Definition, find_definitions
from mlx_tutor.dataset.mining.headings import has_prose, name_context
from mlx_tutor.dataset.mining.language import dangles, list_sentences, pick, points_back, tells_story
from mlx_tutor.dataset.passage import find_passage
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.languages.words import list_stopwords, stem_words
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import split_sentences, strip_bold

# Pairs that a term may stand in, and how many sections may lie between two terms.
MOST_PAIRS, FAR = 2, 2
MOST_WORDS = 45
# Words of a definition from its verb on.
LEAST_PREDICATE = 4
# Terms of so many siblings are a list, of which two by two would be chance.
MOST_SIBLINGS = 6

Row = tuple[QaPair, str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """A definition and the chunk that it stands in; `words` are those of the term in small letters."""

    chunk: Chunk
    found: Definition
    words: tuple[str, ...]


def make_comparisons(
    chunks: Sequence[Chunk], concepts: Concepts, seed: int
) -> Iterator[tuple[Chunk, QaPair, str, str]]:
    """ "What is the difference between A and B?" for two terms that the course defines and that are of one kind.

    They share all but one word of their names ("primary market", "secondary market") and stand near each other, or a
    sentence names both and sets one against the other. Their definitions are built
    alike and say something of one thing.
    """
    known = list(_list_known(chunks))
    pairs: Counter[int] = Counter()
    for one, other in [*_find_contrasted(known, chunks), *_find_siblings(known)]:
        table = read_language(known[other].chunk.language)
        if table is None or "comparison" not in table.questions or max(pairs[one], pairs[other]) >= MOST_PAIRS:
            continue
        if not _are_alike(known[one], known[other], table):
            continue
        pairs.update((one, other))
        yield known[other].chunk, *_compare(known[one], known[other], table, concepts, seed)


def _list_known(chunks: Sequence[Chunk]) -> Iterator[Known]:
    """The first definition of each term that names it and stands alone."""
    seen = set()
    for chunk in chunks:
        for found in find_definitions(chunk) if has_prose(chunk) else ():
            words = tuple(word.removesuffix("s") for word in re.findall(r"\w+", found.term.lower()))
            text = found.text.rstrip()
            stands = found.term.lower() in text.lower()[:80] and text.endswith(".") and not tells_story(text)
            if words and words not in seen and stands and len(text.split()) <= MOST_WORDS:
                seen.add(words)
                yield Known(chunk, found, words)


def _find_siblings(known: Sequence[Known]) -> Iterator[tuple[int, int]]:
    """Pairs of neighbours of one kind, neither of which is explained by the other, the nearest first.

    The word for their kind ends both names ("primary market"), or begins them in Romance languages.
    """
    groups: dict[tuple[str, int, tuple[str, ...]], list[int]] = defaultdict(list)
    for number, item in enumerate(known):
        table = read_language(item.chunk.language)
        head = table.words.get("comparison_head", ()) if table is not None else ()
        left_out = range(len(item.words) - 1) if "last" in head else range(1, len(item.words)) if head else ()
        for place in left_out:
            rest = (*item.words[:place], "", *item.words[place + 1 :])
            groups[item.chunk.source, len(item.words), rest].append(number)
    near = []
    for members in groups.values():
        for one, other in combinations(members, 2) if len(members) <= MOST_SIBLINGS else ():
            apart = known[other].chunk.section - known[one].chunk.section
            if apart <= FAR:
                near.append((apart, other - one, one, other))
    yield from dict.fromkeys((one, other) for _, _, one, other in sorted(near))


def _are_alike(one: Known, other: Known, table: Language) -> bool:
    """Whether two definitions say something of the same thing with the same verb, and none of one term by the other.

    Where the names have no word in common, their kind has to be the same.
    """
    if _names(one, other) or _names(other, one) or {*one.words} <= {*other.words} or {*other.words} <= {*one.words}:
        return False
    parts = [_part_predicate(known, table) for known in (one, other)]
    if any(len(words) < LEAST_PREDICATE for words in parts):
        return False
    (verb, *first), (other_verb, *second) = ([word.lower() for word in words] for words in parts)
    forms = stem_words([verb, other_verb], table.code)
    same = len({*forms}) == 1 or {verb, other_verb} <= table.words["comparison_copula"]
    names = {*stem_words([*one.words, *other.words], table.code)}
    one_stems, other_stems = _stem(first, table), _stem(second, table)
    of_one_kind = {*one.words} & {*other.words} or one_stems[:1] == other_stems[:1]
    return same and bool(of_one_kind and {*one_stems} & {*other_stems} - names) and first != second


def _part_predicate(known: Known, table: Language) -> list[str]:
    """The words of a definition from its verb on, where its first sentence begins with the term and the verb."""
    text = split_sentences(known.found.text, table.code)[0]
    begin = table.patterns["comparison_article"].sub("", text)
    rest = begin[len(known.found.term) :]
    is_named = begin.lower().startswith(known.found.term.lower())
    # A term in the plural is defined in the singular, and what stands in brackets behind it is another name.
    words = re.sub(r"^(?:\w*\s?\([^()]*\))?", "", rest).split()
    return words if is_named and words and words[0].lower() in table.words["verbs"] else []


def _stem(words: Sequence[str], table: Language) -> list[str]:
    plain = re.findall(r"[^\W\d_]{3,}", " ".join(words))
    small = list_stopwords(table.code) | table.words["comparison_empty"]
    return stem_words([word for word in plain if word not in small], table.code)


def _names(one: Known, other: Known) -> bool:
    """Whether one definition uses the other's term."""
    return other.found.term.lower().removesuffix("s") in one.found.text.lower()


def _find_contrasted(known: Sequence[Known], chunks: Sequence[Chunk]) -> Iterator[tuple[int, int]]:
    """Pairs that one sentence sets against each other."""
    names = {" ".join(one.words): number for number, one in enumerate(known)}
    longest = max((len(one.words) for one in known), default=0)
    for chunk in chunks:
        table = read_language(chunk.language)
        pattern = table.patterns.get("comparison_sets") if table is not None else None
        for sentence in _list_plain(chunk) if pattern is not None else ():
            if pattern is None or pattern.search(sentence) is None:
                continue
            words = [word.removesuffix("s") for word in re.findall(r"\w+", sentence.lower())]
            found = list(dict.fromkeys(_find_names(words, names, longest)))
            if len(found) == 2:
                one, other = sorted(found)
                if known[one].chunk.source == known[other].chunk.source == chunk.source:
                    yield one, other


def _find_names(words: Sequence[str], names: dict[str, int], longest: int) -> Iterator[int]:
    i = 0
    while i < len(words):
        size = next((s for s in range(longest, 0, -1) if " ".join(words[i : i + s]) in names), 0)
        if size:
            yield names[" ".join(words[i : i + size])]
        i += size or 1


def _list_plain(chunk: Chunk) -> Iterator[str]:
    for block in chunk.blocks if has_prose(chunk) else ():
        for sentence in list_sentences(block, chunk.language):
            yield strip_bold(sentence)


def _compare(one: Known, other: Known, table: Language, concepts: Concepts, seed: int) -> Row:
    names = [f"{known.found.article}{concepts.lower(known.found.term)}" for known in (one, other)]
    first, second = (split_sentences(known.found.text, table.code)[0].rstrip(" .") for known in (one, other))
    joined, apart = table.questions["comparison_answer"][0], "{one}. {other}."
    if table.patterns["comparison_sets"].search(f"{first} {second}"):
        joined = apart
    if joined != apart:
        word, _, rest = second.partition(" ")
        second = f"{concepts.lower(word)} {rest}"
    question = pick(table.questions["comparison"], seed, *names).format(one=names[0], other=names[1])
    related = concepts.relate(f"{first} {second}", *names)
    qa = QaPair(question, (), joined.format(one=first, other=second), "comparison", related)
    return qa, "comparison", other.found.evidence


def make_corrections(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[Row]:
    """A mistake that the text calls common, or a belief that it calls wrong, with what is right; with the passage."""
    table = read_language(chunk.language)
    if table is None or "mistake_is" not in table.questions:
        return
    topic = name_context(chunk)
    for block in chunk.blocks:
        for sentence, following in pairwise([*list_sentences(block, chunk.language), ""]):
            made = _correct(sentence, following, table, concepts.lower(topic) if topic else "")
            passage = find_passage(chunk, [sentence]) if made is not None else None
            if made is not None and passage is not None:
                kind, fields, answer = made
                question = pick(table.questions[kind], seed, sentence).format(**fields)
                related = concepts.relate(passage, question)
                yield QaPair(question, (), answer, "correction", related, passage), "correction", sentence


def _correct(sentence: str, following: str, table: Language, topic: str) -> tuple[str, dict[str, str], str] | None:
    """Which question a sentence answers, its fields, and the answer."""
    plain, after = strip_bold(sentence), strip_bold(following)
    goes_on = after.endswith(".") and not tells_story(following) and len(after.split()) <= MOST_WORDS
    believed, right = table.patterns["mistake_believed"].match(plain), table.patterns["mistake_right"].match(after)
    if believed and right and goes_on:
        wrong, rest = believed["wrong"], right["rest"]
        alone = not any(test(text, table.code) for test in (dangles, points_back) for text in (wrong, rest))
        no = table.questions["mistake_no"][0]
        return ("mistake_believed", {"wrong": wrong}, f"{no} {rest[0].upper()}{rest[1:]}") if alone else None
    if topic and goes_on and plain.endswith(".") and table.patterns["mistake_is"].match(plain):
        return "mistake_is", {"topic": topic}, f"{plain} {after}"
    match = table.patterns["mistake_confused"].match(plain)
    if match and not any(dangles(match[key], table.code) for key in ("one", "other")):
        return "mistake_confused", {"one": match["one"]}, f"{match['other'][0].upper()}{match['other'][1:]}."
    return None
