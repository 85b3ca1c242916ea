"""The Guide tab of the web page: the study guide, to read, to print and to keep as Markdown."""

from typing import Any

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.study.quiz.guide import Guide, make_guide, write_guide
from mlx_tutor.study.web.compare_tab import EVENT
from mlx_tutor.study.web.markup import LATEX, write_safe_markdown
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.study_parts import add_status, draw_problem, load_questions, write_place

ALL = ""
# A page of more entries is slow to draw: one file at a time is shown first.
MOST_SHOWN = 1500
# Gradio keeps style sheets to what is below its container, which would cut off the end on paper.
PAPER = """<style>@media print {
  html, body, gradio-app, :has(#guide) {
    display: block !important; height: auto !important; min-height: 0 !important; overflow: visible !important;
    background: #fff !important; max-width: none !important; padding: 0 !important;
  }
}</style>"""
PRINT = "() => window.print()"
SAVE = """(text, name) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/markdown'}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""


def add_guide(site: Site, tab: gr.Tab) -> None:
    """Which file, what to do with it, and the guide."""
    with gr.Row(elem_classes="study-row", elem_id="guide-tools"):
        source = gr.Dropdown([("All files", ALL)], value=ALL, label="File", elem_id="guide-source", scale=4)
        paper = gr.Button("Print or save as PDF", elem_id="guide-print", min_width=150)
        save = gr.Button("Save as Markdown", elem_id="guide-save", min_width=150)
    status = add_status("guide-status")
    gr.HTML(head=PAPER, apply_default_css=False)
    shown = gr.Markdown(elem_id="guide", latex_delimiters=LATEX, line_breaks=False)
    text, name = gr.Textbox(visible=False), gr.Textbox(visible=False)
    handlers = GuideHandlers(site)
    tab.select(handlers.open, source, [source, status, shown], **EVENT)
    source.input(handlers.show, source, [status, shown], **EVENT)
    paper.click(None, None, None, js=PRINT, **EVENT)
    save.click(handlers.write, source, [text, name, status], trigger_mode="once", **EVENT).then(
        None, [text, name], None, js=SAVE, **EVENT
    )


class GuideHandlers:
    """What the tab does."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def make(self, source: str) -> Guide:
        """The guide as the course is now."""
        course = self.site.course
        return make_guide(course, load_questions(self.site), self.site.recipe.dataset.holdout, source)

    def open(self, source: str) -> list[Any]:
        """Show the tab; of a large course the first file."""
        try:
            guide = self.make(ALL)
        except TutorError as err:
            return [gr.skip(), draw_problem(err), ""]
        names = list(dict.fromkeys(topic.source for topic, _ in guide.questions))
        entries = len(guide.terms) + sum(len(texts) for _, texts in guide.questions)
        if source not in names:
            source = names[0] if entries > MOST_SHOWN and names else ALL
        choices = gr.update(choices=[("All files", ALL), *((name, name) for name in names)], value=source)
        return [choices, *self.show(source)]

    def show(self, source: str) -> list[Any]:
        """The guide of a file, or of all."""
        try:
            guide = self.make(source)
        except TutorError as err:
            return [draw_problem(err), ""]
        return ["", write_guide(guide, self.name(source), write_safe_markdown, write_place)]

    def write(self, source: str) -> list[Any]:
        """The same as a file."""
        try:
            guide = self.make(source)
        except TutorError as err:
            return ["", "", draw_problem(err)]
        return [write_guide(guide, self.name(source)), f"{self.site.course.name}-guide.md", ""]

    def name(self, source: str) -> str:
        """The heading."""
        return f"Study guide: {self.site.course.name}{f', {source}' if source else ''}"
