"""The Mock exam tab of the web page: a past paper or questions of the course against the clock, and the reports."""

import secrets
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.quiz.grade import Verdict
from mlx_tutor.study.quiz.mock import (
    MOST_MINUTES,
    MockExam,
    begin_exam,
    change_verdict,
    find_running,
    hand_in,
    list_exams,
    read_exam,
    save_answer,
)
from mlx_tutor.study.quiz.papers import SHORT_MINUTES, Paper, draw_paper, read_paper
from mlx_tutor.study.quiz.topics import Topic, find_topic
from mlx_tutor.study.search.index import Index
from mlx_tutor.study.web.compare_tab import EVENT
from mlx_tutor.study.web.markup import LATEX, draw_note, escape_text, write_safe_markdown
from mlx_tutor.study.web.mock_report import describe_exam, write_report
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.study_parts import VERDICTS, add_status, draw_part, draw_problem, load_questions, serve_owner

COURSE = "course"
QUESTIONS, MOST_QUESTIONS = 10, 50
INTRODUCTION = (
    "Answers are kept as you type, the clock goes on when the page is closed, and at its end the exam is graded."
)
CLOCK = """
element.setAttribute('role', 'timer');
const two = number => String(number).padStart(2, '0');
let seen = '', ends = 0, over = true;
setInterval(() => {
  const clock = element.querySelector('[data-left]');
  if (!clock) { seen = ''; over = true; return; }
  if (clock.dataset.left !== seen) {
    seen = clock.dataset.left; ends = Date.now() + 1000 * Number(seen); over = false;
  }
  const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000)), minutes = Math.floor(left / 60);
  const hours = Math.floor(minutes / 60);
  clock.textContent = (hours ? hours + ':' + two(minutes % 60) : minutes) + ':' + two(left % 60) + ' left';
  if (!left && !over) { over = true; trigger('submit'); }
}, 250);
"""


def add_mock(site: Site, tab: gr.Tab) -> None:
    """What to sit, the exam that runs with its clock, and the reports of those before."""
    status = add_status("mock-status")
    with gr.Column(elem_id="mock-setup", elem_classes="study-card") as setup:
        gr.HTML(draw_note("hint", INTRODUCTION), apply_default_css=False)
        own = [("Questions of the course", COURSE)]
        paper = gr.Dropdown(own, value=COURSE, label="Paper", elem_id="mock-paper")
        with gr.Row(elem_classes="study-row"):
            count = gr.Number(QUESTIONS, label="Questions", elem_id="mock-count", **_limit(MOST_QUESTIONS))
            minutes = gr.Number(
                SHORT_MINUTES * QUESTIONS, label="Minutes", elem_id="mock-minutes", **_limit(MOST_MINUTES)
            )
            begin = gr.Button("Begin", variant="primary", elem_id="mock-begin", min_width=100)
    with gr.Column(visible=False, elem_id="mock-running", elem_classes="study-card") as running:
        clock = gr.HTML(elem_id="mock-clock", apply_default_css=False, js_on_load=CLOCK)
        # Travels with the text of the box, so that no late event saves it under another question.
        place = gr.Textbox(visible=False)
        with gr.Row(elem_classes="study-row"):
            jump = gr.Dropdown(label="Question", elem_id="mock-jump", scale=1, filterable=False)
        question = gr.Markdown(elem_id="mock-question", latex_delimiters=LATEX, line_breaks=True)
        answer = gr.Textbox(label="Your answer", elem_id="mock-answer", lines=5, max_lines=20)
        saved = add_status("mock-saved")
        with gr.Row(elem_classes="study-row"):
            back = gr.Button("Back", elem_id="mock-back", min_width=90)
            following = gr.Button("Next", variant="primary", elem_id="mock-next", min_width=90)
            end = gr.Button("Hand in", elem_id="mock-end", min_width=90)
            sure = gr.Button("Yes, hand in", variant="stop", visible=False, elem_id="mock-sure", min_width=120)
    with gr.Column(elem_id="mock-reports") as reports:
        earlier = gr.Dropdown(label="Exams that were handed in", elem_id="mock-earlier", visible=False)
        report = gr.Markdown(elem_id="mock-report", latex_delimiters=LATEX, line_breaks=True)
        with gr.Column(visible=False, elem_id="mock-overrule", elem_classes="study-card") as overrule:
            gr.HTML("<p>Grades are proposals by words. Overrule one:</p>", apply_default_css=False)
            judged = gr.Dropdown(label="Question", elem_id="mock-judged", filterable=False)
            with gr.Row(elem_classes="study-row"):
                judges = [gr.Button(name, elem_id=f"mock-{kind}", min_width=130) for kind, name in VERDICTS.items()]

    def act(name: str, *last: Any) -> Any:
        return serve_owner(site, MockHandlers, name, *last)

    sat = [running, clock, place, jump, question, answer, sure]
    shown = [status, setup, *sat, reports, earlier, report, overrule, judged]
    tab.select(act("open"), None, [*shown, paper], **EVENT)
    paper.input(act("choose"), [paper, count], [count, minutes, status], **EVENT)
    count.input(lambda count: max(1, SHORT_MINUTES * int(count or 1)), count, minutes, **EVENT)
    begin.click(act("begin"), [paper, count, minutes], shown, trigger_mode="once", **EVENT)
    # Not `input`: Gradio leaves the first one out after it has filled the box itself.
    answer.change(act("save"), [place, answer], saved, trigger_mode="always_last", **EVENT)
    for button, step in ((back, -1), (following, 1)):
        button.click(act("step", step), [place, answer], shown, trigger_mode="once", **EVENT)
    jump.input(act("jump"), [place, answer, jump], shown, **EVENT)
    end.click(act("ask_end"), [place, answer], [*shown], trigger_mode="once", **EVENT)
    for event in (sure.click, clock.submit):
        event(act("end"), [place, answer], shown, trigger_mode="once", **EVENT)
    earlier.input(act("show_earlier"), earlier, shown, **EVENT)
    for kind, button in zip(VERDICTS, judges, strict=True):
        button.click(act("judge", kind), [earlier, judged], shown, trigger_mode="once", **EVENT)


def _limit(most: int) -> dict[str, Any]:
    """Of a box for whole numbers."""
    return {"minimum": 1, "maximum": most, "precision": 0, "scale": 1, "min_width": 110}


class MockHandlers:
    """What the tab does. Most give the status, the set-up, the exam that runs and the report."""

    def __init__(self, site: Site, owner: str = "") -> None:
        self.site = site
        self.owner = owner

    def open(self) -> list[Any]:
        """Show the exam that runs, else what can be sat and the newest report."""
        try:
            papers = gr.update(choices=[("Questions of the course", COURSE), *self.list_papers()])
            exam = find_running(self.site.course, owner=self.owner)
            shown = self.show_question(exam, 0, "") if exam is not None else self.show_reports(None, "")
        except TutorError as err:
            return [*self.show_problem(err), gr.skip()]
        return [*shown, papers]

    def list_papers(self) -> list[tuple[str, str]]:
        """The past papers with what they hold."""
        choices = []
        for name in self.site.recipe.dataset.holdout:
            paper = self.read_paper(name)
            if paper is not None:
                missing = f", {paper.unanswered} without an answer" if paper.unanswered else ""
                choices.append((f"{name}: {len(paper.questions)} questions, {paper.points} points{missing}", name))
        return choices

    def read_paper(self, name: str) -> Paper | None:
        """A past paper; None where it has no question, or is a table."""
        documents = read_documents(self.site.course)
        document = next((document for document in documents if document.source == name), None)
        if document is None:
            return None
        with self.site.open_index() as index:
            return read_paper(document, documents, lambda text: self.find_chapter(index, text))

    def find_chapter(self, index: Index, text: str) -> Topic | None:
        """The topic of the passage that a question of an exam finds."""
        found = next(iter(index.search(text, 1)), None)
        return find_topic(clean_text(found.source), tuple(map(clean_text, found.heading))) if found else None

    def choose(self, name: str, count: float | None) -> list[Any]:
        """How long a paper takes; the number of questions is that of the paper."""
        if name == COURSE:
            return [gr.update(visible=True), SHORT_MINUTES * int(count or QUESTIONS), ""]
        try:
            paper = self.read_paper(name)
        except TutorError as err:
            return [gr.skip(), gr.skip(), draw_problem(err)]
        if paper is None:
            return [gr.skip(), gr.skip(), draw_note("problem", f"{name} has no questions that are recognized.")]
        said = ""
        if paper.unanswered:
            said = (
                f"{paper.unanswered} of its questions come without an answer: you judge those yourself in the report."
            )
        return [gr.update(visible=False), min(paper.minutes, MOST_MINUTES), draw_note("hint", said)]

    def begin(self, name: str, count: float | None, minutes: float | None) -> list[Any]:
        """Start the clock."""
        course = self.site.course
        try:
            if name == COURSE:
                questions = load_questions(self.site)
                number = min(max(1, int(count or 1)), MOST_QUESTIONS)
                paper: Paper | None = draw_paper(questions, number, secrets.randbits(32))
            else:
                paper = self.read_paper(name)
            if paper is None:
                raise TutorError(f"{name} has no questions that are recognized.")
            exam = begin_exam(course, paper, int(minutes or 0), owner=self.owner)
            return self.show_question(exam, 0, "The clock runs.")
        except TutorError as err:
            return self.show_problem(err)

    def save(self, place: str, answer: str) -> Any:
        """Keep what is typed."""
        if not place:
            return ""
        try:
            number, index = _read_place(place)
            kept = save_answer(self.site.course, number, index, answer or "", owner=self.owner)
        except TutorError as err:
            return draw_problem(err)
        return ("Saved." if answer else "") if kept else "The time is over."

    def step(self, place: str, answer: str, by: int) -> list[Any]:
        """The question before or after this one."""
        return self.move(place, answer, _read_place(place)[1] + by)

    def jump(self, place: str, answer: str, index: int) -> list[Any]:
        """Any question."""
        return self.move(place, answer, int(index))

    def move(self, place: str, answer: str, to: int) -> list[Any]:
        """Keep this answer and show another question; the report, when the time is over."""
        try:
            number, index = _read_place(place)
            save_answer(self.site.course, number, index, answer or "", owner=self.owner)
            exam = find_running(self.site.course, owner=self.owner)
            if exam is None or exam.number != number:
                return self.show_reports(number, "The time is over: the exam is handed in.")
            return self.show_question(exam, min(max(to, 0), len(exam.questions) - 1), "")
        except TutorError as err:
            return self.show_problem(err)

    def ask_end(self, place: str, answer: str) -> list[Any]:
        """Say what is not answered yet before handing in."""
        number, index = _read_place(place)
        shown = self.move(place, answer, index)
        try:
            exam = read_exam(self.site.course, number, self.owner)
        except TutorError as err:
            return self.show_problem(err)
        if exam.handed_in is None:
            empty = sum(not exam.find_answer(i).text.strip() for i in range(len(exam.questions)))
            said = f"{empty} of {len(exam.questions)} questions have no answer. " if empty else ""
            shown[0] = f"{said}Hand in for good?"
            shown[8] = gr.update(visible=True)
        return shown

    def end(self, place: str, answer: str) -> list[Any]:
        """Hand in, also when the clock does it."""
        try:
            number, index = _read_place(place)
            save_answer(self.site.course, number, index, answer or "", owner=self.owner)
            exam = hand_in(self.site.course, number, owner=self.owner)
            late = exam.handed_in is not None and exam.handed_in >= exam.ends
            return self.show_reports(number, "The time is over: the exam is handed in." if late else "Handed in.")
        except TutorError as err:
            return self.show_problem(err)

    def show_earlier(self, number: int) -> list[Any]:
        """Another report."""
        try:
            return self.show_reports(int(number), "")
        except TutorError as err:
            return self.show_problem(err)

    def judge(self, number: int | None, index: int | None, kind: str) -> list[Any]:
        """Overrule a grade."""
        if number is None or index is None:
            return self.show_problem(TutorError("Choose a question first."))
        verdict: Verdict = kind  # type: ignore[assignment]
        try:
            change_verdict(self.site.course, int(number), int(index), verdict, self.owner)
            shown = self.show_reports(int(number), f"Question {int(index) + 1} counts as {VERDICTS[kind].lower()}.")
        except TutorError as err:
            return self.show_problem(err)
        shown[-1] = gr.skip()
        return shown

    def show_question(self, exam: MockExam, index: int, said: str) -> list[Any]:
        """A question of the exam that runs."""
        left = max(0.0, (exam.ends - datetime.now(UTC)).total_seconds())
        asked = exam.questions[index]
        states = [
            (f"{i + 1} of {len(exam.questions)}{', answered' if exam.find_answer(i).text.strip() else ''}", i)
            for i in range(len(exam.questions))
        ]
        points = f"{asked.points} point{'s' if asked.points > 1 else ''}"
        parts = [f"**Question {index + 1}, {points}**", write_safe_markdown(asked.shared)]
        text = "\n\n".join(part for part in [*parts, write_safe_markdown(asked.question.text)] if part)
        return [
            said,
            gr.update(visible=False),
            gr.update(visible=True),
            draw_part("clock", clean_text(exam.title), f"{left:.2f}"),
            f"{exam.number}:{index}",
            gr.update(choices=states, value=index),
            text,
            exam.find_answer(index).text,
            gr.update(visible=False),
            gr.update(visible=False),
            *[gr.skip()] * 4,
        ]

    def show_reports(self, number: int | None, said: str) -> list[Any]:
        """The report of an exam that was handed in, or of the newest one."""
        exams = list_exams(self.site.course, self.owner)
        exam = next((exam for exam in exams if exam.number == number), exams[0] if exams else None)
        choices = [(describe_exam(entry), entry.number) for entry in exams]
        questions = [(f"Question {i + 1}", i) for i in range(len(exam.questions))] if exam else []
        return [
            escape_text(said),
            gr.update(visible=True),
            gr.update(visible=False),
            "",
            "",
            gr.skip(),
            "",
            "",
            gr.update(visible=False),
            gr.update(visible=True),
            gr.update(choices=choices, value=exam.number if exam else None, visible=bool(exams)),
            write_report(exam) if exam else "",
            gr.update(visible=exam is not None),
            gr.update(choices=questions, value=0 if questions else None),
        ]

    def show_problem(self, err: TutorError) -> list[Any]:
        """Only say something."""
        return [draw_problem(err), *[gr.skip()] * 13]


def _read_place(place: str) -> tuple[int, int]:
    """Exam and question of `place`; raises TutorError where a page sends something else."""
    number, _, index = (place or "").partition(":")
    if not (number.isdecimal() and index.isdecimal()):
        raise TutorError("No mock exam runs in this page. Open the tab again.")
    return int(number), int(index)
