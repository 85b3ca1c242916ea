"""What the tabs for studying share: the questions of the course as it is now, and parts of the page."""

from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import gradio as gr
from markupsafe import Markup

from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.errors import TutorError
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion, list_questions
from mlx_tutor.study.web.markup import draw_note, open_fragments, write_plain_markdown
from mlx_tutor.study.web.owners import name_owner
from mlx_tutor.study.web.site import Site
from mlx_tutor.workspace import Course

# Longer ones do not fit into an address.
LONGEST_PASSAGE = 1000
# What changes is read to those who do not see it.
LIVE = "element.setAttribute('role', 'status')"
# Opens the chat with a question in its box, as if it had been typed there.
LEAD_TO_CHAT = """(text) => {
  [...document.querySelectorAll('button[role=tab]')].find(tab => tab.textContent.trim() === 'Chat').click();
  const fill = tries => {
    const box = document.querySelector('#question textarea');
    if (!box || !box.offsetParent) { if (tries) setTimeout(() => fill(tries - 1), 50); return; }
    // What was typed stays above it; another question of the quiz takes the place of the one before.
    const own = box.value === box.dataset.handed ? box.dataset.own : box.value;
    box.value = own.trim() ? `${own}\n${text}` : text;
    [box.dataset.own, box.dataset.handed] = [own, box.value];
    box.dispatchEvent(new Event('input', {bubbles: true}));
    box.focus();
  };
  fill(100);
}"""
VERDICTS = {"right": "Right", "partly": "Partly right", "wrong": "Wrong"}


def load_questions(site: Site) -> tuple[StudyQuestion, ...]:
    """The questions of a site's course; read again only when its rows have changed. Raises DatasetError."""
    course = site.course
    paths = [course.dataset / f"{split}.jsonl" for split in SPLITS]
    stamp = tuple((found.st_mtime_ns, found.st_size) if (found := _stat(path)) else None for path in paths)
    return _load(course, site.recipe.dataset.holdout, stamp)


def _stat(path: Any) -> Any:
    return path.stat() if path.is_file() else None


@lru_cache(maxsize=4)
def _load(course: Course, holdout: tuple[str, ...], stamp: tuple[Any, ...]) -> tuple[StudyQuestion, ...]:
    return tuple(list_questions(course, holdout))


def serve_owner(site: Site, kind: type[Any], name: str, *last: Any) -> Any:
    """An event of the page: the method `name` of handlers for whoever asks, with `last` behind the values."""

    def act(request: gr.Request, *values: Any) -> Any:
        return getattr(kind(site, name_owner(site, request)), name)(*values, *last)

    return act


def draw_part(name: str, *values: Any) -> Markup:
    """A part of these tabs, by the macro of that name in `study.html.j2`."""
    return Markup(getattr(open_fragments().get_template("study.html.j2").module, name)(*values))


def link_place(reference: Reference) -> str:
    """The address of the place in the reader, with the passage marked; "" of a row of a table."""
    if reference.row:
        return ""
    place = {"passage": reference.quote[:LONGEST_PASSAGE], "page": reference.page, "cell": reference.cell}
    query = urlencode({name: value for name, value in place.items() if value})
    return f"read/{quote(reference.source)}{f'?{query}' if query else ''}#cited"


def draw_place(reference: Reference) -> Markup:
    """Where the course says it, as a link to the reader."""
    return draw_part("place", reference.place, link_place(reference))


def write_place(reference: Reference) -> str:
    """The same as Markdown."""
    name, target = write_plain_markdown(reference.place), link_place(reference)
    return f"[{name}]({target})" if target else name


def draw_problem(err: TutorError) -> Markup:
    """An error as the status line shows it."""
    return draw_note("problem", str(err))


def add_status(name: str, text: str = "") -> gr.HTML:
    """A line that says what happened."""
    return gr.HTML(text, elem_id=name, elem_classes="status", apply_default_css=False, js_on_load=LIVE)
