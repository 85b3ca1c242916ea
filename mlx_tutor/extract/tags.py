"""Tags of template languages in Markdown (Liquid, Jinja, Hugo): what they are around, and what they say."""

import re
from dataclasses import dataclass

CLOSERS = {"{%": "%}", "{{<": ">}}", "{{%": "%}}"}
FORMULAS = frozenset("math m katex mathjax latex".split())
CODE = frozenset("highlight code codeblock sourcecode".split())
# Boxes with a title, which unfold or stand out.
BOXES = frozenset(
    "notice hint alert callout admonition expand details spoiler accordion collapse solution exercise hideable".split()
)
# Tags that have an end.
AROUND = FORMULAS | CODE | BOXES | {"raw", "comment"}
# The text of a tag stands between quotes.
# Attributes that are no text.
SETTING = re.compile(
    r"\b(?:style|type|class|id|src|href|url|link|width|height|lang|color|icon|align)\s*=\s*(?:'[^']*'|\"[^\"]*\")"
)
QUOTED = re.compile(r"'((?:[^'\\]|\\.|'(?=\w))*)'|\"([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag in braces: its name, what follows the name, and its end in the text; `opener` is how it begins."""

    opener: str
    name: str
    rest: str
    end: int

    def find_end(self, text: str) -> re.Match[str] | None:
        """The tag that closes this one: `endmath`, `em` for `m`, or Hugo's `/math`."""
        if self.opener == "{%":
            ender = {"m": "em"}.get(self.name, f"end{self.name}")
            return re.compile(rf"\{{%-?\s*{ender}\s*-?%\}}").search(text, self.end)
        first, last = self.opener, CLOSERS[self.opener]
        return re.compile(rf"{re.escape(first)}\s*/\s*{re.escape(self.name)}\s*{last}").search(text, self.end)

    @property
    def texts(self) -> list[str]:
        """What stands between quotes."""
        return [single or double for single, double in QUOTED.findall(SETTING.sub("", self.rest))]


def read_tag(text: str, opener: str, start: int, close: int) -> Tag:
    """The tag whose inside is from `start` to `close`."""
    name, _, rest = text[start:close].strip("-% \n").partition(" ")
    return Tag(opener, name.lower(), rest, close + len(CLOSERS[opener]))
