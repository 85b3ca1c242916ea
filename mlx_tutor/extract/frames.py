"""What a web page holds beside its text: the site around it, what only a screen reader says, numbers of lines.

Wikis, learning platforms, site generators and the programs that set formulas mark it by role, class or id.
"""

import re
from typing import Any

FRAME_ROLES = frozenset(["navigation", "banner", "search", "contentinfo"])
FRAME_CLASSES = frozenset(
    # Sites of documentation.
    "breadcrumb breadcrumbs wy-breadcrumbs pagination pager prev-next-area prev-next-footer bd-sidebar sphinxsidebar "
    "toctree-wrapper skip-link edit-this-page navbar page-toc quarto-title-breadcrumbs nav-footer md-footer "
    # MediaWiki, with its marks of references.
    "noprint mw-jump-link mw-editsection mw-cite-backlink mw-indicators vector-header-container vector-column-start "
    "vector-page-toolbar printfooter catlinks navbox hatnote toc "
    # Moodle and Canvas.
    "drawer accesshide questionflag screenreader-only "
    # Text for screen readers alone.
    "sr-only visually-hidden visuallyhidden screen-reader-text "
    # Numbers beside code and cells.
    "linenos lineno linenodiv rouge-gutter hljs-ln-numbers line-numbers-rows blob-num "
    "input_prompt output_prompt jp-InputPrompt jp-OutputPrompt ltx_eqn_eqno "
    # A formula that is still to be set.
    "MathJax_Preview".split()
)
FRAME_IDS = frozenset("mw-navigation mw-head mw-panel siteSub contentSub jump-to-nav catlinks".split())
# About the attempt, above a question of Moodle.
ATTEMPT = frozenset(["state", "grade"])
# Pictures of formulas, which say them in LaTeX.
PICTURED = frozenset(
    "mwe-math-fallback-image-inline mwe-math-fallback-image-display texrender latex tex math equation_image".split()
)
DISPLAYED = frozenset("mwe-math-mathml-display mwe-math-fallback-image-display katex-display equation display".split())
# What MediaWiki writes around each formula.
STYLED = re.compile(r"\{\\(?:display|text)style\s+(.*)\}", re.DOTALL)


def list_classes(element: Any) -> set[str]:
    """The classes of an element; none for None."""
    return set() if element is None else set((element.get("class") or "").split())


def is_frame(element: Any) -> bool:
    """Whether an element is no part of the text of its page."""
    classes = list_classes(element)
    if element.get("role") in FRAME_ROLES or element.get("id") in FRAME_IDS or not FRAME_CLASSES.isdisjoint(classes):
        return True
    if element.get("aria-hidden") == "true":
        # Icons, marks of headings, and formulas a second time.
        return bool(element.tag != "math")
    if "gutter" in classes or "reference" in classes:
        return bool(element.tag in ("td", "sup"))
    if "MathJax" in " ".join(classes):
        # Behind it stands the same formula as it was written.
        follower = element.getnext()
        return follower is not None and is_script_formula(follower)
    if element.tag == "div" and element.find("./p/a[@id]") is not None:
        # A remark of a reviewer, at the end of what Google Docs writes.
        return str(element.find("./p/a[@id]").get("id")).startswith("cmnt")
    return bool(classes & ATTEMPT) and "info" in list_classes(element.getparent())


def holds_no_table(table: Any) -> bool:
    """Whether a table only sets code beside the numbers of its lines, or a formula beside its own."""
    is_code = table.find(".//td//pre") is not None and any(is_frame(cell) for cell in table.iter("td"))
    return is_code or "ltx_eqn_table" in list_classes(table)


def is_script_formula(element: Any) -> bool:
    """Whether a script holds a formula, as MathJax 2 keeps them."""
    return element.tag == "script" and (element.get("type") or "").startswith("math/tex")


def write_formula(element: Any, tex: str) -> str:
    """A formula in LaTeX between dollars: two where it, or one of the two elements around it, is displayed."""
    tex = " ".join(tex.removeprefix("LaTeX:").split())
    tex = found[1] if (found := STYLED.fullmatch(tex)) else tex
    around = [element, *list(element.iterancestors())[:2]]
    is_display = (
        element.get("display") == "block"
        or "mode=display" in (element.get("type") or "")
        or any(DISPLAYED & {*list_classes(each), each.get("data-type")} for each in around)
    )
    dollars = "$$" if is_display else "$"
    return f"{dollars}{tex}{dollars}" if tex else ""


def read_picture(element: Any) -> str:
    """The formula that a picture shows, where it is not in the text a second time; "" for another picture."""
    tex = element.get("data-equation-content") or element.get("alt") or ""
    parent = element.getparent()
    is_second = parent is not None and parent.find(".//math") is not None
    return write_formula(element, tex) if tex and list_classes(element) & PICTURED and not is_second else ""


def read_code(element: Any) -> str:
    """The text of a `<pre>`, line by line, without what numbers the lines; it is changed."""
    for part in [each for each in element.iter() if isinstance(each.tag, str) and each is not element]:
        if part.tag == "br":
            part.tail = "\n" + (part.tail or "")
        elif is_frame(part):
            part.clear(keep_tail=True)
    return str(element.text_content()).strip("\n").rstrip()
