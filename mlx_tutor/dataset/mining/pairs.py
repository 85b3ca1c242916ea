"""Finding definitions over two sentences: "It needs X. This is the rate at which …"."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from mlx_tutor.dataset.mining.language import is_whole_sentence
from mlx_tutor.dataset.mining.patterns import OPENER
from mlx_tutor.records import Block
from mlx_tutor.text import split_sentences

# Terms in bold type by their first word, as `list_bold` finds them.
Known = Mapping[str, Mapping[str, str]]
BOLD = re.compile(
    r"(?:\b(?P<article>an?|the) )?\*\*(?P<term>[^*\n]{3,60}?)\*\*(?: \((?P<short>[\w& -]{2,12})\))?", re.IGNORECASE
)
TERM = re.compile(r"\*\*(?P<term>[^*\n]{3,60}?)\*\*(?: \((?P<short>[\w& -]{2,12})\))?")
SHORT = re.compile(r" \(([\w&-]{2,12})\)$")
NAME = re.compile(r"[A-Z][\w’'-]*")
# "This is the share of …", "They are plans that …"; not "This is the case", "It is a good example".
_KIND = (
    r"(?:an?|the|those|what|when|how|any|areas?|[a-z]+s (?:that|who|which|of))\b"
    r"(?! (?:\w+ )?(?:examples?|reasons?|case|same|most|first|only|results?|key|major|main|good|problems?|issues?"
    r"|opposite|way|part|kind|next|last|ones?)\b)"
)
_DOES = (
    r"represents?|involves?|consists?|measures?|includes?|describes?|refers?|combines?|uses?|shows?"
    r"|(?:is|are) (?:caused|calculated|measured|based|made)"
)
_ARRANGEMENT = (
    "strategy|approach|system|method|process|arrangement|plan|type|agreement|structure|strategies|systems|methods"
)
IS = re.compile(rf"^(?:This|These|It|They) (?P<verb>(?:is|are) (?={_KIND})|means? )")
DOES = re.compile(rf"^(?:It|They) (?P<verb>(?:{_DOES}) )")
HEAD = re.compile(r"^(?:This|These) (?P<head>[a-z]+) (?P<verb>[a-z]+ )")
UNDER = re.compile(rf"^(?P<word>With|In|Under) (?:this|these) (?:{_ARRANGEMENT})(?: of \w+)?, ")
WE_CALL = re.compile(r"^We (?:calculate|measure|define|compute) (?=it (?:by|as|when) )")
# The names of things that were just told.
THIS = re.compile(r"^(?:This|These|Called)\b|\b(?:calls?|refers? to|termed|named) (?:this|these)\b")
POINTS_BACK = re.compile(r"(?:\S+ ){0,6}(?:this|these|such)\b|(?:over time|later|at first)\b", re.IGNORECASE)
MOST_TOLD = 70
# Words between the ends of a sentence and the term that the next one goes on about.
FROM_START, FROM_END = 1, 3
MOST_WORDS = 6
BEGINNING = re.compile(r"(?:An? |The |We (?:calculate|measure|define|compute) )?(?P<first>[\w’'-]+) ")
# "Another form of it is X."
INTRODUCES = re.compile(
    r"^(?:Another|One|An?|The) (?!.*(?:est|most|examples?)\b)[^*,]{5,80} (?:is|are) (?:called )?(?:an? |the )?"
    r"\*\*(?P<term>[a-z][^*]+)\*\*[.]$"
)
TELLS_CASE = re.compile(r"\d|\b[A-Z]\w+ (?:is|was|has)\b|examples?\b|:$")
LONG_WORD = re.compile(r"[a-z]{5,}")


def resume(before: str, sentence: str) -> Iterator[str]:
    """A sentence with the term that the one before has in bold type as its subject, where it is clear that it is."""
    bold = [] if before.endswith("?") else list(BOLD.finditer(before))
    if len(bold) != 1:
        return
    [match] = bold
    ends = len(before[match.end() :].split()) <= FROM_END
    if not (ends or len(before[: match.start()].split()) <= FROM_START):
        return
    subject = f"{match['article'].lower()} " if match["article"] else ""
    subject += f"**{match['term']}**"
    many = re.search(r"[^s]s$", match["term"]) is not None
    found = IS.match(sentence) or DOES.match(sentence) or HEAD.match(sentence)
    of_another = found and found.re is HEAD and not match["term"].rstrip("s").endswith(found["head"].rstrip("s"))
    # "This" may be all that the sentence says.
    unclear = found and sentence.startswith("This ") and found.re is IS and not ends
    if found and not of_another and not unclear and found["verb"].split()[0] != ("is" if many else "are"):
        yield f"{begin(subject)} {sentence[found.start('verb') :]}"
    elif found := WE_CALL.match(sentence):
        yield f"{found[0]}{subject} {sentence[found.end() + 3 :]}"
    elif ends and (found := UNDER.match(sentence)):
        yield f"{found['word']} {subject}, {sentence[found.end() :]}"


def list_bold(blocks: Iterable[Block]) -> dict[str, dict[str, str]]:
    """Terms in bold type by their first word and by how a sentence may name them without it; no firms.

    The value is the term with its abbreviation where the key is that, and empty else.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for block in (block for block in blocks if "**" in block.text):
        for match in TERM.finditer(block.text):
            name = SHORT.sub("", match["term"].strip(" ,.:"))
            short = match["short"] or next(iter(SHORT.findall(match["term"])), "")
            # A capital behind a full stop says nothing.
            if not NAME.fullmatch(name) or re.search(r"(?:^|[.?!]|\n)\W*$", block.text[: match.start("term")]):
                low = name.lower().removesuffix("s")
                found[low.split(" ")[0]].setdefault(low, "")
            if short.isupper():
                found[short.lower()].setdefault(short, f"{name} ({short})")
    return found


def repeat(sentence: str, known: Known) -> str | None:
    """A sentence that begins with a known term or abbreviation, with that term in bold type."""
    start = BEGINNING.match(sentence)
    if start is None or not (names := known.get(start["first"].lower()) or known.get(start["first"].lower()[:-1])):
        return None
    words = sentence[start.start("first") :].split(" ")
    for count in range(min(MOST_WORDS, len(words) - 3), 0, -1):
        name = " ".join(words[:count])
        singular = name.removesuffix("s")
        key = next((key for key in (name, singular, singular.lower()) if key in names), None)
        if key is not None:
            full = name if not names[key] else names[key] if key == name else _pluralize(names[key])
            return begin(f"{sentence[: start.start('first')]}**{full}** {' '.join(words[count:])}")
    return None


def _pluralize(term: str) -> str:
    name = SHORT.sub("", term)
    return f"{name[:-1]}ies" if re.search("[^aeiou]y$", name) else f"{name}s"


def is_named(said: str, before: str) -> bool:
    """Whether the sentence before has in bold type what this one is about."""
    about = [SHORT.sub("", match["term"]).lower().removesuffix("s") for match in TERM.finditer(said)][:1]
    return any(match["term"].lower().startswith(name) for match in TERM.finditer(before) for name in about)


def introduce(before: str, sentence: str) -> tuple[str, str] | None:
    """A term that the sentence before only names and this one, with the same words, speaks of; and both as one text."""
    match = INTRODUCES.match(before)
    if match is None or not is_whole_sentence(sentence) or TELLS_CASE.search(sentence[1:]):
        return None
    named, said = ({word[:5] for word in LONG_WORD.findall(text.lower())} for text in (match["term"], sentence))
    return (match["term"], f"{re.sub('^Another', 'One', before)} {sentence}") if named & said else None


def begin(said: str) -> str:
    """A sentence with a capital; the first letter may stand behind the mark of bold type."""
    start = len(said) - len(said.lstrip("*"))
    return said[:start] + said[start : start + 1].upper() + said[start + 1 :]


def find_told(before: str, sentence: str, paragraph: str) -> str:
    """A sentence with the one or two before it that say what it speaks of; "" where they cannot stand alone."""
    both = f"{before} {sentence}"
    if not before.endswith(".") or both not in paragraph:
        return ""
    if is_whole_sentence(begin(OPENER.sub("", before))):
        return "" if POINTS_BACK.match(before) else both
    sentences = split_sentences(paragraph)
    index = sentences.index(before) if before in sentences else 0
    earlier = sentences[index - 1] if index and THIS.search(sentence) else ""
    told = f"{earlier} {both}"
    whole = earlier.endswith(".") and is_whole_sentence(earlier) and not POINTS_BACK.match(earlier)
    return told if whole and told in paragraph and len(told.split()) <= MOST_TOLD else ""
