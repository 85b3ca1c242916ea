"""Definitions of terms in bold type, in the forms that textbooks give them beside "X is a"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlx_tutor.dataset.language import is_whole_sentence, strip_bold, tells_story

TERM = r"\*\*(?P<term>[^*\n]{3,60}?)[,.:]?\*\*(?: \([\w& -]{2,12}\))?"
SUBJECT = (
    r"^(?:(?:(?P<article>An?|The)|In [a-z]+(?: [a-z]+)?,(?: (?:an?|the))?"
    r"|The(?: [a-z]+)? (?:theory|category|concept|idea|law|principle|practice|process|term) of) )?"
    rf"{TERM}(?:,? \([^()]{{3,60}}\)|, (?:like|such as|also called|also known as)\b[^,*]{{3,60}}(?=,))?,? "
    r"(?:(?:also|typically|usually|generally|often|primarily|simply) )?"
)
# "X combines many databases into one": what X does is what it is. Not what it did or does to the story.
_NO_DEED = (
    "publishes|says|has|is|was|does|puts|remains|becomes|continues|starts|begins|seems|appears|plays|faces|goes|comes|rises"
    "|falls"
)
_DEEDS = """
combine|involve|include|occur|hold|state|require|allow|enable|represent|reflect|exist|arise|happen|track|determine
provide|show|use|focus|help|contain|cover|give|specify|protect|come due|offer|compare|make|sell|buy|produce|handle
identify|control|seek|aim|call for|permit|guarantee|work|perform|supply|carry|own|have
""".strip().replace("\n", "|")
_MADE = r"(?:was|were) (?:established|created|developed|designed|formed|founded)"
# No noun: "X managers found".
_DOES = r"[a-z]{3,}s(?! (?:are|were|can|will|[a-z]+ed|" + _DEEDS + r")\b)"
# Of a plural, any verb will do.
_MANY = (
    r"(?<=s\*\* )(?!(?:have|were|will|must|should|could|would|from|with|that|this|which|such|also|into|over|while|when"
    r"|than|then|they|begin|become|remain|seem|appear|play|face|come|rise|fall|make up)\b)"
    r"[a-z]{4,}(?<!ed)(?<!ing)(?<!ly)"
)
DOES = re.compile(rf"{SUBJECT}(?!(?:{_NO_DEED})\b)(?:{_DOES}|{_DEEDS}|{_MADE}|{_MANY})\b(?!,)")
# "A firm with X sells …".
HAS = re.compile(
    r"^(?:An? |The )?[\w-]+ (?:with|in|that ha(?:s|ve)|who ha(?:s|ve)) (?:an? |the )?"
    rf"\*\*(?P<term>[a-z][^*\n]{{2,59}}?)\*\* (?:can|{_DOES}|{_DEEDS})\b"
)
# "When the government spends less than it takes in, it has X."
CONDITION = re.compile(
    r"^(?:If|When)\b[^*]{20,}\b(?:ha(?:s|ve)|runs?|experiences?|is|are) (?:said to have )?(?:an? |the )?"
    rf"{TERM}[.]$"
)
# "X are those that", "X is based on"; not "X is important", "X is not".
_NO_KIND = (
    r"not|no|just|also|important|popular|common|related|one(?! (?:in which|that|where)\b)|in|on|at|as|very|more|most"
    r"|less|often|likely|shown|used in|called|known|now"
)
IS_KIND = re.compile(
    rf"{SUBJECT}(?:is|are|can be) (?!(?:{_NO_KIND})\b)(?:typically |usually )?(?:[\w’'-]+,? ){{1,7}}?"
    r"(?:that|who|which|whose|where|of|used|designed|made|for|to|by|from|between|in|with|on)\b"
)
# "With a hard peg, the central bank sets …".
UNDER = re.compile(
    r"^(?:In|With|Under|Through|According to) (?:an? |the )?"
    r"\*\*(?P<term>[a-z][^*\n]{2,59}?)\*\*[^,*]{0,40}, [a-z]"
)
# "Firms that … are multinational corporations."
LAST = re.compile(rf"\b(?:is|are|would be) (?:an? |the |its |their )?{TERM}[.]$")
POINTS_ELSEWHERE = re.compile(r"\b(?:this|these|here|below|above|then|figure|table)\b")
TELLS_CASE = re.compile(r"\b(?:if|some|usually|always|there|it|we|you)\b")
LEAST_BEFORE, LEAST_UNDER = 6, 12
ONE_OF_MANY = re.compile(
    r"^(?:.*\b(?:most|important|factor)\b|The (?:best|major|main)\b|Even|Just|(?:An?|The|Some) (?:[\w-]+ ){0,3}?"
    r"(?:examples?|forms?|types?|kinds?|issues?|problems?|methods?|measures?|ways?"
    r"|concepts?|goals?|steps?|parts?|tools?|factors?|reasons?|characteristics?)\b)"
)
CALLS = re.compile(
    r"\b(?:calls?|(?<!now )called|termed|known as|considered|refer(?:s|red)? to(?: [^.*]{1,40})? as"
    rf"|defined? as)\b(?P<between>[^.*;]{{0,120}}?){TERM}(?=[.,;:—)]|$| (?:with|that|which|to|or|and|in|by|because)\b)"
)
# The thing called by a name was told in the sentence before, or in this one.
CALLS_THIS = re.compile(r"\b(?:calls?|refers? to|termed) (?:this|that|these|those|it|them)\b")
POINTS = re.compile(r"^(?:This|These|That|Those|Such|We|They|It)\b")
WE_CALL = re.compile(
    r"^We (?:also |sometimes )?(?:call|define|refer to|calculate) (?!(?:this|that|these|those|it|them)\b)"
)
# What follows a clause about something else.
_ENDS = (
    r"(?=[.]?$|[.](?!\d)|[;:—–]|, (?:is|are|was|were|has|have|had|can|could|will|would|may|might|must|do|does|did|also"
    r"|but|so|while|whereas|because|although|as|then|not)\b"
    r"|,? and (?:it|they|this|these|we|you|\*\*|the \*\*|an? \*\*))"
)
_NO_NOUN = (
    "that|each|all|which|who|means?|it|they|we|is|are|in|or|and|but|where|under|for|with|as|if|by|on|not"
    "|to|so|meaning|because|has|have|while|whereas|although"
)
_A_KIND = (
    r"(?=(?:an?|the|any|when|those)\b"
    rf"|(?!(?:{_NO_NOUN})\b)(?:[\w’'-]+ ){{1,8}}(?:that|who|whose|which)\b)"
)
# "banned X, the use of …", "X—that is, …", "and X is the …".
BESIDE = re.compile(
    rf"{TERM}(?:(?P<bare>,(?= ))|,(?: or| meaning| defined as| that is,)|; that is,) ?{_A_KIND}"
    rf"(?P<text>[a-z][^*;:—–]{{20,}}?){_ENDS}"
)
# "In X, the firm" and "X, the firm, sells": what follows goes on with the sentence.
OPENING = re.compile(
    r"^(?:(?:\S+ ){0,2}|(?:according to|in|with|under|for|by|at|on|as|when|if|while|because|since|after|through|from"
    r"|before|during|until|despite|like|unlike|without)\b(?!.*(?:\b(?:is|are)\b|, \S+ \S+ \S+)).*)$",
    re.IGNORECASE,
)
DASHED = re.compile(
    rf"{TERM}\s?[—–](?:that is, |or )?(?!(?:but|and|or|not|even|especially|in|for|from|which|who|with|such|as"
    r"|because|so|is|are|was|were|has|have|had|it|they|we|you|like|including|to|by|at|on|of|can|will|then|both|if|one|this|these|that|their|its|he|she|[a-z]+ing)\b)"
    r"(?P<text>(?:[\w’'-]+,? ){4,}[^*;:—–]{4,}?)(?=[—–]|[.]?$)"
)
CLAUSE = re.compile(
    rf"(?:, and|, whereas|, while|, but|;) (?:an? |the )?{TERM} (?:is|are) {_A_KIND}"
    rf"(?P<text>[a-z][^*;:—–]{{20,}}?){_ENDS}"
)
BRACKETS = re.compile(rf"{TERM} \((?P<text>(?:an?|the|how|any) [^()*]{{15,}})\)")
# "X, which holds that …" and "X, in which the firm …": the verb is theirs, or ours.
WHICH = re.compile(
    rf"{TERM}, (?:which|who) (?!(?:was|has|does|makes|means|in|the|this|its|is (?:not|why|also|how|what|one|then))\b)"
    rf"(?P<text>(?:[a-z]+s|are|have|describe|{_DEEDS})\b[^*;:—–]{{20,}}?){_ENDS}"
)
IN_WHICH = re.compile(rf"{TERM}, (?:in which|whereby) (?P<text>[a-z][^*;:—–]{{20,}}?){_ENDS}")
ALIAS = re.compile(
    r"\*\*([^*\n]{3,60})\*\*,? \(?(?:or|also (?:called|known as))(?: the| an?)? \*\*([^*\n]{3,60})\*\*\)?"
)
OPENER = re.compile(
    r"^(?:Finally|First|Second|Third|In addition|Additionally|However|Conversely|For example|Similarly|Thus|Therefore"
    r"|Moreover|Furthermore|In contrast|On the other hand|Instead|Likewise), (?=an? |the |[a-z*])"
)
HEAD = re.compile(r"^[A-Z][^:*.]{3,40}: (?=\*\*|An? |The )")
GOES_ON = re.compile(r", [a-z]+s (?:the|an?|up|out|over|that|how|to|its|their)\b")
SAYS_LITTLE = re.compile(r"\bfigure\b|\([^)]*\bcalled\b|example of \*\*", re.IGNORECASE)
MOST_CALLED = 45
NAME = re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)?")
NO_PLURAL = re.compile(r"(?:ss|us|is|ics|ias|series)$")


@dataclass(frozen=True, slots=True)
class Named:
    """A term in bold type, the text that defines it, and the piece of the paragraph that says so."""

    term: str
    text: str
    evidence: str
    plural: bool
    article: str = ""


def find_named(sentence: str, before: str, paragraph: str) -> Iterator[Named]:
    """Terms in bold type that a sentence of a paragraph defines; `before` is the sentence before it, or empty."""
    if sentence.endswith("?"):
        return
    said = OPENER.sub("", HEAD.sub("", sentence).replace("** **", " "))
    # The first letter may stand behind the mark of bold type.
    start = len(said) - len(said.lstrip("*"))
    said = said[:start] + said[start : start + 1].upper() + said[start + 1 :]
    # "X or Y refers to": once as X, once as Y.
    for form in dict.fromkeys(ALIAS.sub(rf"**\{i}**", said) for i in (1, 2)):
        if is_whole_sentence(said):
            yield from _find_subjects(form, said, sentence)
        yield from _find_beside(form, sentence)
        yield from _find_called(form, said, sentence, before, paragraph)


def _find_subjects(form: str, said: str, sentence: str) -> Iterator[Named]:
    """The sentence is about the term."""
    last = LAST.search(form)
    if last and (len(form[: last.start()].split()) < LEAST_BEFORE or ONE_OF_MANY.match(form)):
        last = None
    under = UNDER.match(form) if len(form.split()) >= LEAST_UNDER and not TELLS_CASE.search(form) else None
    does = None if tells_story(form) else DOES.match(form)
    told = () if POINTS_ELSEWHERE.search(form) else (does, IS_KIND.match(form), HAS.match(form), under)
    for match in (*told, last, CONDITION.match(form)):
        if match:
            article = match.groupdict().get("article")
            yield _name(match["term"], said, sentence, f"{article.lower()} " if article else "")


def _find_called(form: str, said: str, sentence: str, before: str, paragraph: str) -> Iterator[Named]:
    """Something is called by the term."""
    both = f"{before} {sentence}"
    for match in CALLS.finditer(form):
        if NAME.fullmatch(match["term"]) or SAYS_LITTLE.search(form) or len(form.split()) > MOST_CALLED:
            continue
        if (is_whole_sentence(said) and not CALLS_THIS.search(form)) or WE_CALL.match(said):
            yield _name(match["term"], said, sentence)
        elif POINTS.match(said) and before.endswith(".") and is_whole_sentence(before) and both in paragraph:
            yield _name(match["term"], both, both)


def _find_beside(form: str, sentence: str) -> Iterator[Named]:
    """What is said of the term inside a sentence about something else, as a sentence of its own."""
    for pattern, one, many in (
        (BESIDE, "is ", "are "),
        (DASHED, "is ", "are "),
        (CLAUSE, "is ", "are "),
        (BRACKETS, "is ", "are "),
        (WHICH, "", ""),
        (IN_WHICH, "means that ", "mean that "),
    ):
        for match in pattern.finditer(form):
            opening = match.groupdict().get("bare") and OPENING.match(form[: match.start()])
            if opening or GOES_ON.search(match["text"]) or NAME.fullmatch(match["term"]):
                continue
            given = re.search(r"\b(an?|the) $", form[: match.start("term") - 2], re.IGNORECASE)
            found = _name(match["term"], "", sentence, f"{given[1].lower()} " if given else "")
            text = f"{found.article}{found.term} {many if found.plural else one}{match['text'].strip(' ,')}."
            yield Named(found.term, text[0].upper() + text[1:], sentence, found.plural, found.article)


def _name(term: str, text: str, evidence: str, article: str = "") -> Named:
    name = clean_term(term)
    head = re.split(r" (?:of|to|in|for|on|with)\b", name)[0]
    plural = head.endswith("s") and not NO_PLURAL.search(head)
    return Named(name, strip_bold(text), evidence, plural, "" if plural else article)


def clean_term(term: str) -> str:
    """A term without its abbreviation in brackets."""
    return re.sub(r"\s*\(.*?\)", "", term).strip(" .,:")
