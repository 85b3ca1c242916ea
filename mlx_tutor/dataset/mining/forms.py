"""Finding definitions of terms in bold type, in the forms that textbooks use beside "X is a"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlx_tutor.dataset.mining import patterns
from mlx_tutor.dataset.mining.language import is_whole_sentence, tells_story
from mlx_tutor.dataset.mining.pairs import Known, begin, find_told, introduce, is_named, repeat, resume
from mlx_tutor.text import strip_bold

# Words before "are X", in "With X, …", in "… is called X", behind "call this" so that it says what "this" is, and in a
# sentence that goes on.
LEAST_BEFORE, LEAST_UNDER, MOST_CALLED, LONG, LEAST_RESUMED, LEAST_TOLD = 6, 12, 45, 10, 10, 5
NAME = re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)?")
FULL_NAME = re.compile(r"[A-Z][\w’'-]*(?: (?:[A-Z][\w’'-]*|of|for|and|in|the))+")
NO_PLURAL = re.compile(r"(?:ss|us|is|ics|ias|series)$")


@dataclass(frozen=True, slots=True)
class Named:
    """A term in bold type, the text that defines it, and the piece of the paragraph that says so."""

    term: str
    text: str
    evidence: str
    plural: bool
    article: str = ""


def find_named(sentence: str, before: str, paragraph: str, known: Known | None = None) -> Iterator[Named]:
    """Terms in bold type that a sentence of a paragraph defines.

    `before` is the sentence before it, or empty, and `known` are terms that stand in bold type elsewhere.
    """
    if sentence.endswith("?"):
        return
    if "**" not in sentence:
        yield from _find_further(sentence, before, paragraph, known or {})
        return
    plain = _unify(sentence)
    said = patterns.OPENER.sub("", patterns.HEAD.sub("", plain).replace("** **", " "))
    said = begin(patterns.THESE.sub("", said))
    for form in dict.fromkeys(patterns.ALIAS.sub(rf"**\{i}**", said) for i in (1, 2)):
        intro = patterns.INTRO.match(form)
        main = patterns.COMMA.sub(r"\1 ", begin(form[intro.end() :])) if intro else form
        if is_whole_sentence(begin(main)):
            yield from _find_subjects(main, main if intro else said, sentence)
        yield from _find_inside(form, sentence, paragraph)
        yield from _find_called(form, said, sentence, before, paragraph)


def _find_further(sentence: str, before: str, paragraph: str, known: Known) -> Iterator[Named]:
    """Terms that stand in bold type elsewhere, and that the sentence is about."""
    both = f"{before} {sentence}"
    follows = "**" in before and both in paragraph
    unified = _unify(before) if follows else ""
    resumed = [(said, both) for said in (resume(unified, sentence) if follows else ())]
    repeated = repeat(sentence, known) if known else None
    for said, evidence in [*resumed, *([(repeated, sentence)] if repeated else [])]:
        if patterns.WE_CALL.match(said) and (computed := patterns.COMPUTED.search(said)):
            yield _name(computed["term"], said, evidence)
            continue
        # What a term does says what it is only where it has just been named.
        tells = patterns.IS.match(said) or (follows and is_named(said, before) and _goes_on(said))
        if tells and is_whole_sentence(said) and len(said.split()) >= LEAST_RESUMED:
            yield from _find_subjects(said, said, evidence)
    if follows and (told := introduce(unified, sentence)):
        yield _name(*told, both)


def _unify(sentence: str) -> str:
    """A sentence with its bold type written in one way: not in italics or quotation marks, commas behind it."""
    if sentence.startswith("(") and sentence.endswith(")"):
        sentence = sentence[1:-1]
    said = patterns.THIS_THEORY.sub("The ", patterns.AS_FIGURE.sub("", sentence.replace("***", "**")))
    return patterns.QUOTED.sub(r"\1\2", patterns.ENDS_INSIDE.sub(r"\1**\2", said))


def _goes_on(said: str) -> bool:
    kinds = (patterns.GOES_ON, patterns.IS_KIND, patterns.IS_MANY, patterns.DOES_NOT, patterns.UNDER)
    return " can be " not in said[:80] and any(kind.match(said) for kind in kinds)


def _find_subjects(form: str, said: str, sentence: str) -> Iterator[Named]:
    """The sentence is about the term."""
    found = [patterns.CONDITION.match(form)]
    last = patterns.LAST.search(form)
    if last and not (patterns.ONE_OF_MANY.match(form) or patterns.SAYS_LITTLE.search(form)):
        found.append(last if len(form[: last.start()].split()) >= LEAST_BEFORE else None)
    if not _points(form):
        found += [patterns.OR_LAST.match(form), patterns.COLON_SAYS.match(form)]
        kinds = (patterns.IS, patterns.POSSESSED, patterns.STATES, patterns.DOES_NOT, patterns.GOAL_OF)
        found += [None if _is_firm(match, form) else match for match in (kind.match(form) for kind in kinds)]
        if len(form.split()) >= LEAST_UNDER and not patterns.TELLS_CASE.search(form.replace(", you can ", " ")):
            found.append(patterns.UNDER.match(form))
        others = [patterns.IS_KIND, patterns.IS_MANY, patterns.HAS, patterns.DOING]
        others += [] if tells_story(form) else [patterns.DOES, patterns.HAS_WHEN, patterns.PURPOSE]
        found += [None if _is_name(match) else match for match in (other.match(form) for other in others)]
    for match in found:
        if match:
            article = match.groupdict().get("article")
            yield _name(match["term"], said, sentence, f"{article.lower()} " if article else "")


def _points(form: str) -> bool:
    """Whether a sentence speaks of something that stands elsewhere; "these imports" may stand in it."""
    back = patterns.BACK.finditer(form)
    return patterns.ELSEWHERE.search(form) is not None or any(
        match["noun"] is None or match["noun"][:5].lower() not in form[: match.start()].lower() for match in back
    )


def _is_name(match: re.Match[str] | None) -> bool:
    """Whether the subject is somebody's name: what firms and offices do says little."""
    return match is not None and not match.groupdict().get("article") and FULL_NAME.fullmatch(match["term"]) is not None


def _is_firm(match: re.Match[str] | None, form: str) -> bool:
    return _is_name(match) and patterns.COMPANY.search(form) is not None


def _find_called(form: str, said: str, sentence: str, before: str, paragraph: str) -> Iterator[Named]:
    """Something is called by the term."""
    computed = patterns.COMPUTED.search(form)
    ours = patterns.WE_CALL.match(said) is not None
    whole = (is_whole_sentence(said) or ours) and not said.startswith("Called")
    if computed and whole:
        yield _name(computed["term"], said, sentence)
    points = patterns.POINTS.match(said) is not None
    told = find_told(before, sentence, paragraph) if points or patterns.CALLS_THIS.search(form) else ""
    told = "" if patterns.EXAMPLE.search(told) else told
    for match in patterns.CALLS.finditer(form):
        little = patterns.SAYS_LITTLE.search(form) or len(form.split()) > MOST_CALLED or _calls_step(form, match)
        little = little or patterns.OF_THESE.search(form) is not None
        if NAME.fullmatch(match["term"]) or little:
            continue
        # "When a firm sells shares, we call it X": what it is stands here.
        this = None if patterns.CASE.match(form) else patterns.CALLS_THIS.search(form)
        if whole and (this is None or len(match.group().split()) - len(match["term"].split()) >= LONG):
            yield _name(match["term"], said, sentence)
        elif told and (points or this) and not patterns.CONDITION.match(form):
            yield _name(match["term"], begin(patterns.OPENER.sub("", told)), told)
    if told and (is_this := patterns.IS_THIS.match(form)):
        yield _name(is_this["term"], begin(patterns.OPENER.sub("", told)), told)


def _calls_step(form: str, match: re.Match[str]) -> bool:
    """Whether all that is said of what is called so is "The fifth step"."""
    before = form[: match.start()].split()
    ends = form[match.end() :] == "." and before[-1:] in (["is"], ["are"])
    return ends and before[0] == "The" and len(before) < LEAST_TOLD


def _find_inside(form: str, sentence: str, paragraph: str) -> Iterator[Named]:
    """What is said of the term inside a sentence about something else, as a sentence of its own."""
    for pattern, one, many in patterns.INSIDE:
        for match in pattern.finditer(form):
            term, text = match["term"], match["text"].strip(" ,.")
            opening = match.groupdict().get("bare") and patterns.OPENING.match(form[: match.start()])
            # A noun that begins the sentence looks like a name.
            named = NAME.fullmatch(term) and not term.endswith("ing") and term.lower() not in paragraph
            if opening or named or patterns.GOES_FURTHER.search(text) or patterns.SAYS_LITTLE.search(text):
                continue
            given = re.search(r"\b(an?|the) $", form[: match.start("term") - 2], re.IGNORECASE)
            found = _name(term, "", sentence, f"{given[1].lower()} " if given else "")
            text = re.sub(r"^An?\b", lambda article: article.group().lower(), text)
            text = f"{found.article}{found.term} {many if found.plural else one}{text}."
            yield Named(found.term, text[0].upper() + text[1:], sentence, found.plural, found.article)


def _name(term: str, text: str, evidence: str, article: str = "") -> Named:
    name = clean_term(term)
    head = re.split(r" (?:of|to|in|for|on|with)\b", name)[0]
    plural = head.endswith("s") and not NO_PLURAL.search(head)
    return Named(name, strip_bold(text), evidence, plural, "" if plural else article)


def clean_term(term: str) -> str:
    """A term without its abbreviation in brackets."""
    return re.sub(r"\s*\(.*?\)", "", term).strip(" .,:")
