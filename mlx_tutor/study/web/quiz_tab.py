"""The Quiz tab of the web page: questions of a file or topic, typed answers or cards, and the list of what is due."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.languages.table import read_frame
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.quiz.adapt import find_prerequisite, pick_harder
from mlx_tutor.study.quiz.grade import Grade, Verdict, grade_answer
from mlx_tutor.study.quiz.questions import StudyQuestion
from mlx_tutor.study.quiz.session import (
    QuizProgress,
    check_scheduler,
    describe_wait,
    list_due,
    measure_progress,
    pick_question,
    restore_questions,
    store_answer,
    suspend_question,
)
from mlx_tutor.study.quiz.topics import choose_questions, list_topics
from mlx_tutor.study.web.compare_tab import EVENT
from mlx_tutor.study.web.markup import LATEX, draw, escape_text, write_safe_markdown
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.study_parts import (
    LEAD_TO_CHAT,
    VERDICTS,
    add_status,
    draw_part,
    draw_place,
    draw_problem,
    load_questions,
    serve_owner,
)

ALL = ""
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class QuizView:
    """What a page shows: a question, once answered the answer with its grade; `last` is the one before."""

    question: StudyQuestion | None = None
    answer: str = ""
    grade: Grade | None = None
    last: str | None = None


def add_quiz(site: Site, tab: gr.Tab) -> None:
    """What to ask about, the question with its answer, and the list of what is due."""
    view = gr.State(QuizView())
    with gr.Row(elem_classes="study-row"):
        source = gr.Dropdown([("All files", ALL)], value=ALL, label="File", elem_id="quiz-source", scale=3)
        topic = gr.Dropdown([("All topics", ALL)], value=ALL, label="Topic", elem_id="quiz-topic", scale=4)
    standing = gr.HTML(elem_id="quiz-standing", apply_default_css=False)
    status = add_status("quiz-status")
    with gr.Column(elem_classes="study-card", visible=False, elem_id="quiz-card") as card:
        question = gr.Markdown(elem_id="quiz-question", latex_delimiters=LATEX, line_breaks=True)
        answer = gr.Textbox(
            label="Your answer", elem_id="quiz-answer", lines=1, max_lines=12, placeholder="Shift+Enter: a new line"
        )
        with gr.Row(elem_classes="study-row", visible=True) as before:
            check = gr.Button("Check", variant="primary", elem_id="quiz-check", min_width=100)
            reveal = gr.Button("Show answer", elem_id="quiz-reveal", min_width=100)
        with gr.Column(visible=False, elem_id="quiz-result") as result:
            verdict = gr.HTML(elem_id="quiz-verdict", apply_default_css=False)
            reference = gr.Markdown(elem_id="quiz-reference", latex_delimiters=LATEX, line_breaks=True)
            place = gr.HTML(elem_id="quiz-place", apply_default_css=False)
            with gr.Row(elem_classes="study-row"):
                judges = [
                    gr.Button(name, elem_id=f"quiz-{kind}", min_width=100, size="md") for kind, name in VERDICTS.items()
                ]
        with gr.Row(elem_classes="study-row"):
            explain = gr.Button("Explain this in the chat", elem_id="quiz-explain", size="sm", min_width=160)
            aside = gr.Button("Never ask this again", elem_id="quiz-aside", size="sm", min_width=160)
    handed = gr.Textbox(visible=False)
    with gr.Accordion("What was asked, and when it comes back", open=False, elem_id="quiz-list"):
        due = gr.HTML(elem_id="quiz-due", apply_default_css=False)
        restore = gr.Button("Ask again what was put aside", elem_id="quiz-restore", size="sm", visible=False)

    def act(name: str, *last: Any) -> Any:
        return serve_owner(site, QuizHandlers, name, *last)

    shown = [view, standing, status, card, question, answer, before, result, verdict, reference, place, *judges]
    listed = [due, restore]
    tab.select(act("open"), [view, source, topic], [*shown, *listed, source, topic], **EVENT)
    source.input(act("choose_source"), [view, source], [*shown, *listed, topic], **EVENT)
    topic.input(act("start"), [view, source, topic], [*shown, *listed], **EVENT)
    for event in (check.click, answer.submit):
        event(act("check"), [view, answer], shown, trigger_mode="once", **EVENT)
    reveal.click(act("reveal"), view, shown, trigger_mode="once", **EVENT)
    for kind, button in zip(VERDICTS, judges, strict=True):
        button.click(act("judge", kind), [view, source, topic], [*shown, *listed], trigger_mode="once", **EVENT)
    aside.click(act("put_aside"), [view, source, topic], [*shown, *listed], trigger_mode="once", **EVENT)
    restore.click(act("restore"), [view, source, topic], [*shown, *listed], trigger_mode="once", **EVENT)
    explain.click(write_request, view, handed, **EVENT).then(None, handed, None, js=LEAD_TO_CHAT, **EVENT)


def write_request(view: QuizView) -> str:
    """The question for the chat's box; after a wrong answer, with the wish for a simpler explanation.

    A card that was turned without an answer is not wrong: nobody said what they think.
    """
    if view.question is None:
        return ""
    wrong = view.grade is not None and view.grade.verdict == "wrong" and bool(view.answer.strip())
    return read_frame(view.question.language)["simpler"].format(view.question.text) if wrong else view.question.text


class QuizHandlers:
    """What the tab does. Most give the view, standing, status, card, question, answer, rows of buttons and result."""

    def __init__(self, site: Site, owner: str = "") -> None:
        self.site = site
        self.owner = owner

    def open(self, view: QuizView, source: str, topic: str) -> list[Any]:
        """Show the tab: a question that is there stays, the choices are those of the course as it is now."""
        try:
            questions = load_questions(self.site)
            check_scheduler()
        except TutorError as err:
            return [*self.show_nothing(view, draw_problem(err)), *[gr.skip()] * 4]
        sources = list(dict.fromkeys(found.source for found in list_topics(questions)))
        source = source if source in sources else ALL
        names = self.list_names(source)
        topic = topic if topic in names else ALL
        choices = gr.update(choices=[("All files", ALL), *((name, name) for name in sources)], value=source)
        topics = gr.update(choices=[("All topics", ALL), *((name, name) for name in names)], value=topic)
        kept = view.question is not None
        changes = [gr.skip()] * 14 if kept else self.follow(view, source, topic, "")
        if kept:
            changes[1] = self.describe(source, topic)
        return [*changes, *self.list_states(source, topic), choices, topics]

    def list_names(self, source: str) -> list[str]:
        """The topics of a source."""
        topics = list_topics(load_questions(self.site))
        return list(dict.fromkeys(topic.name for topic in topics if topic.source == source))

    def choose_source(self, view: QuizView, source: str) -> list[Any]:
        """Another file: all its topics."""
        names = gr.update(choices=[("All topics", ALL), *((n, n) for n in self.list_names(source))], value=ALL)
        return [*self.start(view, source, ALL), names]

    def start(self, view: QuizView, source: str, topic: str) -> list[Any]:
        """Another topic: its first question."""
        return self.show_after(view, source, topic, lambda: "")

    def check(self, view: QuizView, answer: str) -> list[Any]:
        """Grade what was typed."""
        if view.question is None or view.grade is not None:
            return [gr.skip()] * 14
        return self.show_grade(replace(view, answer=answer, grade=grade_answer(view.question, answer)))

    def reveal(self, view: QuizView) -> list[Any]:
        """Turn the card: the answer of the course, which the student then judges."""
        return self.check(view, "")

    def judge(self, view: QuizView, source: str, topic: str, kind: str) -> list[Any]:
        """Keep the answer with the verdict that was pressed, and ask the next question."""

        def keep() -> str:
            if view.question is None or view.grade is None:
                return ""
            verdict: Verdict = kind  # type: ignore[assignment]
            due = store_answer(self.site.course, view.question, view.answer, view.grade, verdict, owner=self.owner)
            read = ""
            if verdict == "wrong":
                read = f" Read first: {find_prerequisite(load_questions(self.site), view.question)}."
            return f"Kept as {VERDICTS[kind].lower()}. It comes back {describe_wait(due)}.{read}"

        return self.show_after(view, source, topic, keep)

    def put_aside(self, view: QuizView, source: str, topic: str) -> list[Any]:
        """Never ask this question again."""

        def leave() -> str:
            if view.question is not None:
                suspend_question(self.site.course, view.question, owner=self.owner)
            return "Put aside; the list below brings it back."

        return self.show_after(view, source, topic, leave)

    def restore(self, view: QuizView, source: str, topic: str) -> list[Any]:
        """Ask again what was put aside."""

        def bring_back() -> str:
            return f"Questions that are asked again: {restore_questions(self.site.course, self.owner)}."

        return self.show_after(view, source, topic, bring_back)

    def show_after(self, view: QuizView, source: str, topic: str, act: Any) -> list[Any]:
        """Do something, and show the next question; where the journal cannot be written, everything stays."""
        try:
            said = act()
            return [*self.follow(view, source, topic, said), *self.list_states(source, topic)]
        except TutorError as err:
            return [gr.skip(), gr.skip(), draw_problem(err), *[gr.skip()] * 13]

    def follow(self, view: QuizView, source: str, topic: str, said: str) -> list[Any]:
        """The next question of a topic, or that there is none now."""
        chosen = choose_questions(load_questions(self.site), source, topic)
        last = view.question.key if view.question is not None else view.last
        asked = view.question
        harder = pick_harder(self.site.course, chosen, asked, self.owner) if asked is not None else None
        picked = (
            (harder, True) if harder is not None else pick_question(self.site.course, chosen, last, owner=self.owner)
        )
        if picked is None:
            return self.show_nothing(QuizView(last=last), self.say_done(chosen, said), self.describe(source, topic))
        question, new = picked
        note = "A new question." if new else "You were asked this before."
        return [
            QuizView(question, last=last),
            self.describe(source, topic),
            escape_text(f"{said} {note}".strip()),
            gr.update(visible=True),
            write_safe_markdown(question.text),
            gr.update(value="", interactive=True),
            gr.update(visible=True),
            gr.update(visible=False),
            *[""] * 3,
            *[gr.update(variant="secondary")] * 3,
        ]

    def say_done(self, chosen: Sequence[StudyQuestion], said: str) -> str:
        """That nothing is left, and when something comes back."""
        progress = self.measure(chosen)
        later = f" The next comes back {describe_wait(progress.next_due)}." if progress.next_due else ""
        return escape_text(f"{said} All asked for now.{later}".strip())

    def show_nothing(self, view: QuizView, said: str, standing: str = "") -> list[Any]:
        """No question, and why."""
        return [view, standing, said, gr.update(visible=False), *[gr.skip()] * 10]

    def show_grade(self, view: QuizView) -> list[Any]:
        """The verdict with its reason, and what the course says where; the verdict's own button stands out."""
        grade = view.grade
        assert grade is not None
        answered = bool(clean_text(view.answer).strip())
        facts = [("named", ", ".join(grade.named)), ("missing", ", ".join(grade.missing)), ("but", grade.remark)]
        kind, name = (grade.verdict, VERDICTS[grade.verdict]) if answered else ("none", "How well did you know it?")
        if kind == "wrong":
            name = "Not recognized as right"
        shown = [fact for fact in facts if fact[1]] if answered else []
        variants = [answered and kind == grade.verdict for kind in VERDICTS]
        return [
            view,
            gr.skip(),
            "",
            gr.skip(),
            gr.skip(),
            gr.update(interactive=False),
            gr.update(visible=False),
            gr.update(visible=True),
            draw_part("verdict", kind, name, shown),
            write_safe_markdown(grade.reference.answer),
            draw_place(grade.reference),
            *(gr.update(variant="primary" if chosen else "secondary") for chosen in variants),
        ]

    def measure(self, questions: Sequence[StudyQuestion]) -> QuizProgress:
        """How far questions are learned."""
        return measure_progress(self.site.course, questions, owner=self.owner)

    def describe(self, source: str, topic: str) -> str:
        """How many questions of a topic are due, new and waiting."""
        progress = self.measure(choose_questions(load_questions(self.site), source, topic))
        parts = f"{progress.due} due, {progress.new} new, {progress.waiting} waiting"
        return draw("strong", f"{progress.questions} questions: {parts}.")

    def list_states(self, source: str, topic: str) -> list[Any]:
        """What was asked and when it comes back, and whether something was put aside."""
        chosen = choose_questions(load_questions(self.site), source, topic)
        rows = [
            (clean_text(question.text), VERDICTS[state.verdict].lower(), describe_wait(state.due))
            for question, state in list_due(self.site.course, chosen, self.owner)[:MOST_LISTED]
        ]
        aside = self.measure(load_questions(self.site)).aside
        return [draw_part("due", rows), gr.update(visible=bool(aside), value=f"Ask again what was put aside ({aside})")]
