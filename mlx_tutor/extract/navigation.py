"""Navigation lines of a page: previous and next, back to top, breadcrumbs, edit this page."""

import re

# Mark the text of a link until its paragraph is complete.
LINK, END_LINK = "\ue003", "\ue004"
# After LINK if the target is on the same page.
ANCHOR = "\ue005"
LINKS = re.compile(f"[{LINK}{END_LINK}{ANCHOR}]")
ANCHORED = re.compile(f"(?:{LINK}{ANCHOR}[^{LINK}{END_LINK}]*{END_LINK}[\\W\\d]*)+")
LINKED = re.compile(f"{LINK}[^{LINK}{END_LINK}]*{END_LINK}")
SEPARATORS = re.compile(r"\s*(?:[|·•/«»‹›←→⬅➡⇐⇒◀▶↑⬆]|<<?|>>?|(?:^|(?<=\s))(?:--?>?|–|—)(?=\s|$))+\ufe0f?\s*")
_DIRECTIONS = (
    r"prev(?:ious)?|next|back|home|up|top|index|contents?|toc|zurück|weiter|vorherige[rs]?|nächste[rs]?|startseite|inhalt"
    r"|précédente?|suivante?|accueil|retour|anterior|siguiente|inicio|próxim[oa]|início|precedente|successiv[oa]|vorige"
    r"|volgende|上一[页章节]|下一[页章节]|首页|目录|назад|вперёд|далее"
)
_UNITS = r"page|chapter|lesson|section|lecture|unit|topic|part|seite|kapitel|lektion|chapitre|capítulo|lección|home"
DIRECTION = re.compile(rf"(?:{_DIRECTIONS})(?: (?:{_UNITS}))?", re.IGNORECASE)
TITLED = re.compile(rf"(?:{_DIRECTIONS})(?: (?:{_UNITS}))?\s*:\s*\S.*", re.IGNORECASE)
SENTENCE = re.compile(
    r"(?:go )?back to (?:the )?(?:top|start|home(?: ?page)?|(?:course |main )?(?:index|page|overview|contents)"
    r"|table of contents)|return to (?:the )?(?:top|index|table of contents|home(?: ?page)?)|table of contents"
    r"|skip to (?:main )?content|last (?:updated|modified)(?: on|:) .{4,40}"
    r"|(?:edit|view|improve|suggest edits? (?:to|on)|report an issue|open an issue|show|see)(?: (?:this|the))?"
    r"(?: (?:page|source|file|chapter|notebook))?(?: (?:on|in|with|at) (?:github|gitlab|bitbucket|colab|binder))?"
    r"|(?:open|launch|run|try)(?: (?:it|this notebook|this page))? (?:in|on|with) (?:google )?"
    r"(?:colab|binder|kaggle|deepnote)"
    r"|(?:diese )?seite (?:auf github )?bearbeiten|nach oben|zum (?:seiten)?anfang|inhaltsverzeichnis"
    r"|modifier cette page",
    re.IGNORECASE,
)
LONGEST = 200


def is_anchored(text: str) -> bool:
    """Whether a text is only links to places on its own page, as in a table of contents."""
    return bool(ANCHORED.fullmatch(text.strip()))


def is_navigation(text: str) -> bool:
    """Whether a paragraph, its links marked by LINK and END_LINK, is only navigation."""
    plain = LINKS.sub("", text).strip()
    if not plain or len(plain) > LONGEST:
        return False
    parts = [part for part in SEPARATORS.split(plain) if part.strip()]
    if all(SENTENCE.fullmatch(part) for part in parts):
        # "Edit" or "view" alone may be course text.
        return len(parts) > 1 or " " in plain
    leads = [bool(DIRECTION.fullmatch(part) or SENTENCE.fullmatch(part)) for part in parts]
    if len(parts) > 1 and all(leads):
        return True
    only_links = not SEPARATORS.sub("", LINKED.sub("", text)).strip()
    if LINK in text and only_links:
        return any(leads) or any(TITLED.fullmatch(part) for part in parts)
    # A breadcrumb, whose last part is the page itself.
    return len(parts) > 2 and leads[0] and bool(re.search(r"[>›»/]", plain)) and LINK in text
