"""The layout of the web page in Gradio; what it does is in `site`."""

from importlib.resources import files

import gradio as gr

from mlx_tutor.study.web.chat_tab import add_chat
from mlx_tutor.study.web.compare_tab import EVENT, add_compare
from mlx_tutor.study.web.guide_tab import add_guide
from mlx_tutor.study.web.markup import draw
from mlx_tutor.study.web.mock_tab import add_mock
from mlx_tutor.study.web.monitor_tab import add_monitor
from mlx_tutor.study.web.overview import draw_course, draw_upload
from mlx_tutor.study.web.progress_tab import add_progress
from mlx_tutor.study.web.quiz_tab import add_quiz
from mlx_tutor.study.web.rate_tab import add_rate
from mlx_tutor.study.web.site import MAX_SESSIONS, Site
from mlx_tutor.study.web.trial_tab import add_trial, describe_who


def build_page(site: Site) -> gr.Blocks:
    """The page of a site, to be mounted; its style sheet is `read_style`."""
    title = f"{site.course.name} · mlx-tutor"
    with gr.Blocks(title=title, analytics_enabled=False, fill_width=True, elem_id="tutor") as page:
        header = draw("header", site.course.name, describe_who(site), site.is_starter, site.exam, site.courses)
        gr.HTML(header, apply_default_css=False)
        with gr.Tab("Chat"):
            add_trial(site, add_chat(site, page))
        # What these answer would not be in the record.
        if site.exam is None:
            with gr.Tab("Quiz") as quiz:
                add_quiz(site, quiz)
            with gr.Tab("Mock exam") as mock:
                add_mock(site, mock)
            with gr.Tab("Progress") as progress:
                add_progress(site, progress)
            with gr.Tab("Guide") as guide:
                add_guide(site, guide)
            with gr.Tab("Compare"):
                add_compare(site)
            with gr.Tab("Rate"):
                add_rate(site)
            with gr.Tab("Monitor") as monitor:
                add_monitor(site, monitor)
        with gr.Tab("Course") as tab:
            if site.takes_files:
                gr.HTML(draw_upload(site.course), apply_default_css=False)
            course = gr.HTML(elem_id="course", apply_default_css=False)
            refresh = gr.Button("Look again", elem_id="course-refresh", visible="hidden")
            for event in (tab.select, refresh.click):
                event(lambda: draw_course(site.course), None, course, **EVENT)

        def leave(request: gr.Request) -> None:
            site.close_session(str(request.session_hash))

        page.unload(leave)
    # Gradio keeps a third of a megabyte for each page, of ten thousand if nobody says otherwise.
    page.state_session_capacity = MAX_SESSIONS
    return page


def make_theme() -> gr.themes.Default:
    """Gradio's own look. Of the fonts that come with it, the half-bold ones lack most letters."""
    sans = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.themes.Default(font=[sans, "system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def read_style() -> str:
    """The style sheets of the page."""
    folder = files("mlx_tutor.study.web")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "study.css"))


def read_script() -> str:
    """What stands in the head of the page: its keys and drafts, what its copy buttons take, and files."""
    folder = files("mlx_tutor.study.web")
    names = ("page.js", "copy.js", "back.js", "upload.js")
    scripts = (folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return "".join(f"<script>{script}</script>" for script in scripts)
