"""Regular expressions for the forms in which textbooks define a term in bold type; `forms` uses them."""

import re

_TERM = r"\*\*(?P<term>[^*\n]{3,60}?)\*\*(?: \((?:or |also )?[\w&’ -]{1,40}\))?"
_THE = r"(?:an? |the )?"
_WORD = r"[\w’'-]+"
_ASIDE = (
    r"(?:,? \([^()]{3,60}\)|, (?:like|such as|also called|also known as|or|as the|as its|first|founded|created|launched"
    r"|introduced|invented)\b[^,*]{3,60}(?=,))"
)
_SUBJECT = (
    r"^(?:(?:(?P<article>An?|The)|In [a-z]+(?: [a-z]+)?,(?: (?:an?|the))?"
    r"|The(?: [a-z]+)? (?:theory|category|concept|idea|law|principle|practice|process|term) of) )?"
    rf"{_TERM}{_ASIDE}?,? (?:(?:also|typically|usually|generally|often|primarily|simply) )?"
)

# 1. The sentence is about the term, and is the answer as it stands.

# "X combines many databases into one": what X does is what it is. Not what it did or does to the story.
_NO_DEED = (
    "publishes|says|has|is|was|does|puts|remains|becomes|continues|starts|begins|seems|appears|plays|faces|goes|comes|rises"
    "|falls"
)
_DEEDS = """
combine|involve|include|occur|hold|state|require|allow|enable|represent|reflect|exist|arise|happen|track|determine
provide|show|use|focus|help|contain|cover|give|specify|protect|come due|offer|compare|make|sell|buy|produce|handle
identify|control|seek|aim|call for|permit|guarantee|work|perform|supply|carry|own|have|impose|define
""".strip().replace("\n", "|")
_MADE = r"(?:was|were) (?:established|created|developed|designed|formed|founded)"
_BEHIND_VERB = "the|an?|to|in|by|on|for|from|that|with|its|their|as"
# No noun: "X managers found", "X systems go"; and plurals have other verbs.
_DOES = (
    rf"(?<![^scui]s\*\* )[a-z]{{3,}}s"
    rf"(?! (?:are|were|can|will|go|come|get|do|take|[a-z]+ed (?:{_BEHIND_VERB})|{_DEEDS})\b)"
)
# Of a plural, any verb will do.
_MANY = (
    r"(?<=s\*\* )(?!(?:have|were|will|must|should|could|would|from|with|that|this|which|such|also|into|over|while|when"
    r"|than|then|they|begin|become|remain|seem|appear|play|face|come|rise|fall|make up)\b)"
    r"[a-z]{4,}(?<!ed)(?<!ing)(?<!ly)(?<![^su]s)"
)
DOES = re.compile(rf"{_SUBJECT}(?!(?:{_NO_DEED})\b)(?:{_DOES}|{_DEEDS}|{_MADE}|{_MANY})\b(?!,)")
# "The X of something, in simple terms, holds that …".
STATES = re.compile(
    rf"{_SUBJECT}(?:(?:of|on|about) (?:{_WORD} ){{0,3}}{_WORD},? )?(?:(?:as|in|according|at least)\b[^,*]{{3,60}}, )?"
    r"(?:(?:(?:hold|state|say|argue|assert|suggest|propose|posit|predict|claim|point out)s?|points out) that\b"
    r"|(?:means?(?! the same)|emphasizes?|refers? to|denotes?|involves|accounts? for|consists? of"
    r"|(?:is|are|can be|may be) (?:best |often |usually |generally |also |sometimes )?"
    r"(?:defined|thought of|described|understood|viewed|measured|calculated|used to (?:describe|mean|refer)))\b(?!,))"
)
_KIND = r"(?: (?:an?|the|what|those|any|each|every|when|where|how|anything|something)\b(?! same)|: “)"
# "X is usually a day at which …".
IS = re.compile(rf"{_SUBJECT}(?:is|are)(?: (?:usually|typically|generally|basically|essentially|simply))?{_KIND}")
# "A manager's X is the number of …".
POSSESSED = re.compile(rf"^An? \w+[’']s {_TERM}{_ASIDE}?,? (?:is|are){_KIND}")
# "X are those that", "X is based on"; not "X is important", "X is not".
_NO_KIND = (
    r"not|no|just|also|similar|like|important|popular|common|related|one(?! (?:in which|that|where)\b)|in|on|at|as|very"
    r"|more|most|less|often|likely|shown|used in|called|known|now|useful|easy|hard|difficult|good|better|able"
)
IS_KIND = re.compile(
    rf"{_SUBJECT}(?:is|are|can be) (?!(?:{_NO_KIND})\b)(?:typically |usually )?(?:{_WORD},? ){{1,7}}?"
    r"(?:that|who|which|whose|where|of|used|designed|made|for|to|by|from|between|in|with|on|after|when|minus|plus|divided|times)\b"
)
_NO_ADJECTIVE = (
    "not|now|also|used|in|on|at|by|from|of|for|with|as|to|the|more|less|very|often|always|usually|like|such|such as"
)
# "X are private networks."
IS_MANY = re.compile(
    rf"{_SUBJECT}(?<=s\*\* )are (?![a-z]+ing\b)(?:(?!(?:{_NO_ADJECTIVE})\b)[a-z-]+ ){{1,4}}?[a-z-]{{3,}}(?<![sui])s"
    r"(?=[.,—–;]| (?:or|and|such|like)\b)"
)
# "X does not own a shop but rents one."
DOES_NOT = re.compile(
    rf"{_SUBJECT}(?:do not|does not|ha(?:s|ve) no) (?!mean\b)[a-z][^*]{{5,}},? but (?!not\b)[^*]{{20,}}[.]$"
)
# "The goal of X is to …".
GOAL_OF = re.compile(
    r"^The (?:\w+ )?(?:features|elements|components|characteristics|goals?|purpose|aim|objectives?|role|function) of "
    rf"{_THE}{_TERM} (?:is|are) (?!not\b)[^*]{{25,}}[.]$"
)
# "A firm with X sells …".
HAS = re.compile(
    r"^(?:An? |The )?[\w-]+ (?:with|in|that ha(?:s|ve)|who ha(?:s|ve)) (?:an? |the )?"
    rf"\*\*(?P<term>[a-z][^*\n]{{2,59}}?)\*\* (?:can|{_DOES}|{_DEEDS})\b"
)
# "A country has X when it can …".
HAS_WHEN = re.compile(
    rf"^(?:An?|The) (?:{_WORD} ){{1,3}}(?:has|have|is in|faces?|runs?|experiences?|enjoys?) {_THE}"
    rf"{_TERM}[^*,.;]{{0,70}} (?:when|if) [^*]{{15,}}[.]$"
)
# "When the government spends less than it takes in, it has X."
CONDITION = re.compile(
    r"^(?:If|When)\b[^*]{20,}\b(?:ha(?:s|ve)|runs?|experiences?|is|are|get|use the term|refer to it as)"
    rf" (?:said to have )?{_THE}{_TERM}(?: in [^.*]{{3,30}}|,? (?:or|also)\b[^.]{{3,60}})?[.]”?$"
)
# "With a hard peg, the central bank sets …".
UNDER = re.compile(
    r"^(?:In|With|Under|Through|According to) (?:an? |the )?"
    r"\*\*(?P<term>[a-z][^*\n]{2,59}?)\*\*[^,*]{0,40}, (?:you can )?[a-z]"
)
# "Many firms use X to connect …", "Building X involves …".
PURPOSE = re.compile(
    r"^(?:(?:As|To) [^,*]+, )?(?:(?:[Mm]any|[Mm]ost|[Ss]ome) )?[A-Za-z][a-z]+(?: [a-z]+)?s? "
    rf"(?:use|set up|elect|create|appoint|establish|adopt) {_THE}{_TERM} to [a-z]+ [^*]{{25,}}[.]$"
)
DOING = re.compile(rf"^[A-Z][a-z]+ing {_THE}{_TERM} (?:involves?|means|requires?)\b")
# "Firms that … are multinational corporations."
LAST = re.compile(
    r"\b(?:is|are|makes? up|constitutes?|falls? under the category of|(?:is|are) (?:listed|spelled out) in)"
    rf" (?:an? |the |its |their )?(?:\w+[’']s )?{_TERM}(?:, (?:or|also|sometimes|commonly)\b[^.]{{3,70}})?[.]$"
)
# "Those who buy a share become owners, or X."
OR_LAST = re.compile(rf"^[^*,]*\b(?:who|that)\b[^*]*, or {_TERM}[.]$")
# "People act with X: they look at the past …".
COLON_SAYS = re.compile(
    r"^(?!.*\b(?:types?|kinds?|ways?|parts?|two|three|four|five|following)\b)"
    rf".*\b(?:as|with|on|by|under|in|is|are|of) {_THE}{_TERM}: "
    r"(?:they|it|the|an?|when|if|people|each|every) (?!.*[:;*])[^:]{40,}[.]$"
)
ONE_OF_MANY = re.compile(
    r"^(?:.*\b(?:most|important|factor)\b|The (?:best|major|main)\b|Even|Just|(?:An?|The|Some) (?:[\w-]+ ){0,3}?"
    r"(?:examples?|forms?|types?|kinds?|issues?|problems?|methods?|measures?|ways?"
    r"|concepts?|goals?|steps?|parts?|tools?|factors?|reasons?|characteristics?)\b)"
)
TELLS_CASE = re.compile(r"\b(?:if|some|usually|always|there|it|we|you)\b")
# What a sentence must say that goes on about the term of the sentence before.
GOES_ON = re.compile(
    rf"{_SUBJECT}(?<!also )(?:(?:{_DEEDS.replace('|have', '').replace('|use', '')}|receive|collect|integrate|limit"
    r"|prohibit|transfer|convert|explain)s?|holds|means|points out|emphasizes"
    r"|uses (?=(?:an? |the )?(?:[\w-]+ ){1,4}to [a-z])|can be (?:thought|seen|viewed|defined|described)"
    r"|is (?:based|calculated|measured|caused))\b"
)

# 2. Something is called by the term, in this sentence or in the one before.

CALLS = re.compile(
    r"\b(?:calls?|(?<!now )[Cc]alled|named|use the term|termed|known as|considered"
    rf"|refer(?:s|red)? to(?: [^.*]{{1,90}})? as|defined? as)\b(?:[^.*;]|i\.e\.|e\.g\.){{0,220}}?{_TERM}"
    r"(?=[.,;:—)]|$| (?:with|that|which|to|or|and(?! [a-z]+ing\b)|in|by|because|but|when|if)\b)"
)
CALLS_THIS = re.compile(r"\b(?:calls?|refers? to|termed|named) (?:this|that|these|those|it|them|such)\b")
CASE = re.compile(r"^(?:If|When) (?!it\b|they\b|this\b|these\b)[^*]{15,}, (?:we|economists|this is|it is) ")
POINTS = re.compile(r"^(?:This|These|That|Those|Such|We|They|It|Called)\b")
IS_THIS = re.compile(rf"^(?:This|These|They|It) (?:is|are) {_THE}{_TERM}[.]$")
WE_CALL = re.compile(
    r"^We (?:may |can |often )?(?:also |sometimes )?(?:call|define|refer to|calculate|obtain|compute|measure) "
    r"(?!(?:this|that|these|those|it|them)\b)"
)
# "These costs of changing prices are called X": what they are stands there.
THESE = re.compile(
    r"^(?:This|These) (?=\w+ (?:of|that|who|in which|where|between) (?:\S+ ){1,20}"
    r"(?:is|are) (?:called|known as|termed) )"
)
# "We calculate X by taking …".
COMPUTED = re.compile(rf"\b(?:calculate|compute|obtain|get|find|measure|define)s? {_THE}{_TERM} (?:by|when|as one)\b")

# 3. The term and what it is stand inside a sentence about something else: `text` becomes the predicate.

# What follows a clause about something else.
_ENDS = (
    r"(?=[.]?$|(?<!\b[A-Z])[.](?!\w)|[;:—–]|, (?:is|are|was|were|has|have|had|can|could|will|would|should|may|might"
    r"|must|do|does|did|also|but|so|while|whereas|because|although|as|then|not)\b"
    r"|,? and (?:it|they|this|these|we|you|(?:one or more |the |an? )?\*\*))"
)
_TEXT = rf"(?P<text>[a-z][^*;:—–]{{20,}}?){_ENDS}"
_NO_NOUN = (
    "that|each|all|which|who|means?|it|they|we|is|are|in|or|and|but|where|under|for|with|as|if|by|on|not"
    "|whose|whereby|this|these|there|you|your|our|refers?|includes?|consists?|to|so|meaning|because|has|have|while|whereas|although"
)
_A_KIND = (
    r"(?=(?:an?|the|any|when|those)\b"
    rf"|(?!(?:{_NO_NOUN})\b|(?<=s\*\*, )[a-z]+ing (?:an?|the|[a-z]+s)\b)(?:{_WORD} ){{1,8}}(?:that|who|whose|which)\b"
    rf"|(?!(?:{_NO_NOUN})\b)(?:(?!is|are|was|were|be|been|not|most|can|will){_WORD} ){{1,5}}?"
    r"(?:[a-z]{3,}ed|made|set|held|paid|given|sold) (?:to|by|in|on|for|from|with|as|between)\b)"
)
# "banned X, the use of …", "X—that is, …", "and X is the …".
_BESIDE = rf"{_TERM}(?:(?P<bare>,(?= ))|,(?: or| meaning| defined as| that is,)|; that is,) ?{_A_KIND}{_TEXT}"
# "In X, the firm" and "X, the firm, sells": what follows goes on with the sentence.
OPENING = re.compile(
    r"^(?:(?:(?:an?|the) )?(?:(?!\w+ (?:used?|have|need|offer)\b)\S+ )?|(?:according to|in|with|under|for|by|at|on|as"
    r"|when|if|while|because|since|after|through|from|before|during|until|despite|like|unlike|without)\b"
    r"(?!.*(?:\b(?:is|are)\b|, \S+ \S+ \S+)).*)$",
    re.IGNORECASE,
)
_DASHED = (
    rf"{_TERM}\s?[—–](?:that is, |or )?(?!(?:but|and|or|not|even|especially|in|for|from|which|who|with|such|as|because"
    r"|so|is|are|was|were|has|have|had|it|they|we|you|like|including|to|by|at|on|of|can|will|then|both|if|one|this|these"
    r"|that|their|its|he|she|refers?|[a-z]+ing)\b)(?P<text>(?:[\w’'-]+,? ){4,}[^*;:—–]{4,}?)(?=[—–]|[.]?$)"
)
# "X, an action in which all agree, can …".
_APPOSED = (
    rf"^(?:An? |The )?{_TERM}(?:, |\s?[—–]\s?)(?:literally )?"
    r"(?P<text>(?:[a-z]+ing|an?|the|those|any) [^*;:—–]{15,}?)"
    r"(?:, ?|\s?[—–]\s?)(?:is|are|was|were|can|has|have|may|will)\b"
)
# "A program that copies itself, an X can …".
_BEFORE = (
    rf"^(?P<text>An? (?=[^,]* (?:that|who|which|of|for|to)\b)(?:{_WORD},? ){{5,20}}?{_WORD}), {_THE}{_TERM},? "
    r"(?:is|are|was|were|can|may|became|has|have|will|[a-z]+s)\b"
)
# "Firms make X that say …".
_THAT = (
    rf"\b(?:uses?|develop(?:ed)?|offers?|create|become|are) (?=\*\*[^*]*s\*\*){_TERM} (?:that|who) "
    rf"(?!(?:were|was|had|did|would|has|is|it|they|we|you|the|he|she|an?|will|could)\b)(?P<text>[a-z]+[^*;:—–]{{20,}}?){_ENDS}"
)
# "is X: the chance that …".
_COLON = (
    rf"\b(?:is|are|called|as|of|on|by|to|in|with|or) {_THE}{_TERM}: ?"
    rf"(?=(?:an?|the|any|those) (?:{_WORD} ){{1,3}}(?:that|who|of|to|for|in|between|by|with)\b){_TEXT}"
)
_OR_DOING = rf"{_TERM}, or (?P<text>(?:(?<=ing\*\*, or )[a-z]+ing|what (?:is|are)) [^*;:—–]{{15,}}?){_ENDS}"
_WHOSE = rf"(?=\*\*[a-z]){_TERM}, (?P<text>whose {_WORD} [^*;:—–]{{20,}}?){_ENDS}"
_CLAUSE = rf"(?:, and|, whereas|, while|, but|;) {_THE}{_TERM} (?:is|are) {_A_KIND}{_TEXT}"
_BRACKETS = rf"{_TERM} \((?P<text>(?:an?|the|how|any) [^()*]{{15,}})\)"
_DEFINED = (
    rf"{_TERM}(?:, which (?:we (?:can )?define as|is defined as|[^,*]{{3,30}}, is)"
    rf"| (?:in|of|for) {_WORD}, which (?:is|are)) {_A_KIND}{_TEXT}"
)
# "X, which holds that …" and "X, in which the firm …": the verb is theirs, or ours.
_WHICH = (
    rf"{_TERM}, (?:which|who) (?!(?:was|has|does|makes|means that|in|the|this|its"
    r"|is (?:not|why|also|how|what|one|then))\b)"
    rf"(?P<text>(?:[a-z]+s|are|have|describe|{_DEEDS}|(?<=s\*\*, which )[a-z]{{4,}}(?<!ed))\b[^*;:—–]{{20,}}?){_ENDS}"
)
_MEANS = (
    rf"\b(?:is|are|as|called|practice|use|of)(?: an?| the)? {_TERM}, which (?P<text>means that [^*;:—–]{{20,}}?){_ENDS}"
)
_MEANING = rf"\b(?:is|are|becomes?|called) {_THE}{_TERM}, meaning that {_TEXT}"
_WHERE = rf"(?=\*\*[a-z]){_TERM}, where (?!(?:they|it|there|we|you|the \*\*)\b){_TEXT}"
_IN_WHICH = rf"{_TERM}, (?:in which|whereby) {_TEXT}"
# Each with the words that join a term, or several things, to what is said of it.
INSIDE = tuple(
    (re.compile(pattern), one, many)
    for patterns, one, many in (
        (
            (_BESIDE, _DASHED, _APPOSED, _COLON, _OR_DOING, _CLAUSE, _BEFORE, _BRACKETS, _DEFINED),
            "is ",
            "are ",
        ),
        ((_WHICH, _MEANS, _THAT), "", ""),
        ((_WHOSE,), "is one ", "are those "),
        ((_WHERE,), "is where ", "are where "),
        ((_IN_WHICH, _MEANING), "means that ", "mean that "),
    )
    for pattern in patterns
)
# The clause went on, or was cut too early.
GOES_FURTHER = re.compile(
    r"^(?:(?!(?:that|who|which|where|when|how|what)\b)[\w’'-]+ )+(?:is|are) (?:an?|the)\b|"
    r", [a-z]+s (?:the|an?|up|out|over|that|how|to|its|their)\b|\b(?:and|or|hence|but|both|that|which),?$"
)

# How a sentence is made ready: "X or Y refers to" is read once as X, once as Y.

ALIAS = re.compile(
    r"\*\*([^*\n]{3,60})\*\*,? \(?(?:or|also (?:called|known as))(?: the| an?)? \*\*([^*\n]{3,60})\*\*\)?"
)
OPENER = re.compile(
    r"^(?:Finally|First|Second|Third|In addition|Additionally|However|Conversely|For example|Similarly|Thus|Therefore"
    r"|Moreover|Furthermore|In contrast|On the other hand|Instead|Likewise|For this reason|In general|In short), "
    r"(?=an? |the |[a-z*])|^(?:Recall|Remember|Note|Notice) that (?=the |an? )"
    r"|^According to (?:\*\*)?[A-Z][\w. ’-]+(?:\*\*)?, (?=\*\*)"
)
HEAD = re.compile(r"^[A-Z][^:*.]{3,40}: (?=\*\*|An? |The )")
# "While A is this, X is that".
INTRO = re.compile(
    r"^(?:While|Although|(?:Even )?[Tt]hough|Whereas|Unlike|Like|Just as|As (?:the|its) (?:name|term)|Another|Named"
    r"|In contrast to|In addition to|By contrast|Historically|Traditionally|Often|Also|Taken|Taking|According to)\b"
    r"[^*]{0,140}?,”? (?=(?:an? |the )?\*\*)"
)
COMMA = re.compile(r"^((?:An? |The )?\*\*[^*]+\*\*(?: \([^()]*\))?), ")
THIS_THEORY = re.compile(
    r"^(?:This|(?:\*\*)?[A-Z]\w+(?:\*\*)?[’']s) "
    r"(?=(?:theory|category|concept|idea|law|principle|practice) of (?:the )?\*\*)"
)
AS_FIGURE = re.compile(
    r", as (?:shown in |seen in )?(?:the )?(?:figure|table)\b(?: or table| [\d.]+)?(?: shows?| depicts?| illustrates?)?"
    r"(?:,|(?= (?:is|an?|the)\b))",
    re.IGNORECASE,
)
ENDS_INSIDE = re.compile(r"(\*\*[^*\n]{2,60}?)([,.:;])\*\*")
QUOTED = re.compile(r"[“\"](\*\*[^*\n]{2,60}\*\*)([,.]?)[”\"]")

# What a sentence must not say.

ELSEWHERE = re.compile(
    r"\b(?:here|(?:below|above)(?! (?:the|an?|its|their|that)\b)|(?<!and )(?<!, )then|figure|table(?= \d| shows?\b))\b"
)
BACK = re.compile(r"\b(?:this|these)(?: (?P<noun>\w+)|\b)")
SAYS_LITTLE = re.compile(r"\bfigure\b|\([^)]*\bcalled\b|example of \*\*", re.IGNORECASE)
OF_THESE = re.compile(r"\b(?:one|some|all|any|each) of (?:these|those)\b")
EXAMPLE = re.compile(r"\b(?:for (?:example|instance)|suppose|imagine)\b", re.IGNORECASE)
COMPANY = re.compile(
    r"\b(?:company|retailer|maker|manufacturer|firm|corporation|chain|store|start-?up|based in|headquartered|brand"
    r"|founder|initiator|author|professor|engineer|researcher|scientist|president|director|chair|CEO)\b"
)
