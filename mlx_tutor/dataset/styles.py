"""Teaching styles: what each adds to the system prompt, in training and in chat, and which one a row has."""

import re

from mlx_tutor.languages.table import read_frame
from mlx_tutor.records import QaPair
from mlx_tutor.text import split_sentences

STYLES = ("socratic", "steps", "direct", "analogy", "inquiry")
NAMES = {
    "step by step": "steps",
    "step-by-step": "steps",
    "analogies": "analogy",
    "inquiry-based": "inquiry",
    "inquiry-based learning": "inquiry",
}
ANALOGY = re.compile(
    r"\b(?:imagine|think of|picture|it is like|works like|as if|just like|is like an?|by analogy)\b", re.IGNORECASE
)
# Asks the student to expect, try and observe something, not only for the answer.
INQUIRY = re.compile(
    r"\b(?:what (?:do|would|did) you (?:expect|predict|notice|observe)|(?:make|write down) (?:a|your) prediction"
    r"|(?:form|state) (?:a|your) hypothesis|test your (?:guess|idea|hypothesis|prediction)"
    r"|(?:try|find|work) (?:it|this|that)? ?out (?:yourself|for yourself|what happens))\b",
    re.IGNORECASE,
)
LISTED = re.compile(r"^\s*(?:\d+[.)]|step \d+)", re.IGNORECASE | re.MULTILINE)
MOST_DIRECT_SENTENCES = 2


def find_style(qa: QaPair, taught: str) -> str:
    """The style of STYLES that a row is written in: what its metadata says, else what its answer does; "" for none."""
    named = NAMES.get(taught.strip().lower(), taught.strip().lower())
    if named in STYLES:
        return named
    if ANALOGY.search(qa.answer):
        return "analogy"
    if INQUIRY.search(qa.answer):
        return "inquiry"
    if qa.thought_process or len(LISTED.findall(qa.answer)) > 1:
        return "steps"
    sentences = [sentence for line in qa.answer.split("\n") for sentence in split_sentences(line)]
    if sentences and sentences[-1].endswith("?"):
        return "socratic"
    return "direct" if len(sentences) <= MOST_DIRECT_SENTENCES and "\n" not in qa.answer.strip() else ""


def write_system(system_prompt: str, style: str, level: str = "", language: str = "en") -> str:
    """The system prompt with a style of STYLES and a student's level; "" for either adds nothing."""
    frame = read_frame(language)
    parts = [system_prompt, frame[f"style_{style}"] if style else "", frame["level"].format(level) if level else ""]
    return " ".join(part for part in parts if part)
