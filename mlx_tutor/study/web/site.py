"""What the web page does, apart from how it looks: sessions, questions, comparisons and ratings."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from mlx_tutor.errors import ServeError, TutorError
from mlx_tutor.evaluation.compare import Comparison, compare_models
from mlx_tutor.hide import CodeHider
from mlx_tutor.models import LoadedModel
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import CUT, Message, ModelSpec
from mlx_tutor.study.chat.ask import clean_question, clean_text, generate_shown, hide_answer
from mlx_tutor.study.chat.conversation import Plan, Turn, answer_turn, find_style
from mlx_tutor.study.chat.remembered import AnswerCache
from mlx_tutor.study.chat.saved import Holder, save_thumb
from mlx_tutor.study.chat.thumbs import change_thumb, remove_thumb, write_note, write_thumb
from mlx_tutor.study.chat.unfound import note_unfound
from mlx_tutor.study.exam.mode import Exam, log_answer, log_event, record_turn
from mlx_tutor.study.monitor.counts import Count, count_answers, count_error, store_count
from mlx_tutor.study.monitor.trial import Trial, find_arm, store_mark
from mlx_tutor.study.search.index import Index, open_index
from mlx_tutor.study.web.model_worker import ModelWorker, Task, is_busy
from mlx_tutor.study.web.talks import PartSaver, Talk, Talks
from mlx_tutor.workspace import Course

# Open pages that are remembered; a browser closes its own when it leaves.
MAX_SESSIONS = 64


@dataclass(slots=True)
class Session:
    """One open page: the name of the conversation it shows, its comparison, and its place on the Rate tab.

    `pair` is the one that `rater` sees there.
    """

    key: str
    shown: str = ""
    comparison: Task | None = None
    rater: str = ""
    pair: int | None = None


@dataclass(frozen=True, slots=True)
class Rating:
    """What can be rated: pairs of answers of a run, by these criteria; `prepare` makes them, reporting how many."""

    run: str
    criteria: tuple[str, ...]
    prepare: Callable[[Callable[[str, int, int], None]], int]


@dataclass(frozen=True, slots=True)
class Site:
    """A course, its model and who is there. `label` names the model; without `search` it answers alone.

    With an `exam`, questions and answers go into its record, and there is nothing but the chat and the course. With
    `is_starter` the page says that such a model is for tests. With a `trial`, one of two runs answers a conversation.
    `is_shared`: others reach it, and each browser has conversations of its own. `courses` are the names of all that
    are served, where there are several. `takes_files`: the page adds files to the course.
    """

    course: Course
    recipe: Recipe
    label: str
    worker: ModelWorker
    list_models: Callable[[], Sequence[ModelSpec]]
    search: bool = True
    rating: Rating | None = None
    exam: Exam | None = None
    is_starter: bool = False
    trial: Trial | None = None
    is_shared: bool = False
    courses: tuple[str, ...] = ()
    takes_files: bool = False
    sessions: OrderedDict[str, Session] = field(default_factory=OrderedDict)
    talks: Talks = field(default_factory=Talks)
    uncounted: list[Count] = field(default_factory=list)
    answers: AnswerCache = field(init=False)
    index_lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # An exam's record is of answers that the model gave.
        object.__setattr__(self, "answers", AnswerCache(0 if self.exam else self.recipe.serve.cached_answers))

    @property
    def root(self) -> str:
        """How the addresses of its page begin."""
        return f"/c/{quote(self.course.name)}" if self.courses else ""

    @property
    def model_name(self) -> str:
        """The model's name in the API: a run's is its own, the base may be that of several courses."""
        return f"{self.label}@{self.course.name}" if self.courses and self.label == "base" else self.label

    def take_model(self, task: Task, name: str = "") -> LoadedModel:
        """The model of that name for a task, which says when it has to be loaded first. Raises ModelError."""
        if not self.worker.has_model(name):
            who = "the model" if self.trial is not None else describe_model(name or self.label)
            task.notes["loading"] = f"Loading {who}."
        try:
            return self.worker.take_model(name)
        finally:
            task.notes.pop("loading", None)

    def open_index(self) -> Index:
        """The search index, renewed where it must be, by one at a time; close it."""
        with self.index_lock:
            return open_index(self.course, self.recipe)

    def submit(self, place: str, work: Callable[[Task], Any], **options: Any) -> Task:
        """Queue a question; its answer, or that there is none, is counted, but not in an exam.

        `work` gives a Turn or a list of cited answers.

        Raises:
            ServeError: too many are waiting, or the server is closing.
        """

        def keep(count: Count) -> None:
            if self.exam is None:
                store_count(self.course, self.uncounted, count)

        def answer(task: Task) -> Any:
            try:
                result = work(task)
            except TutorError as err:
                keep(count_error(place, self.label, err))
                raise
            cited = [result.cited] if isinstance(result, Turn) else result
            if cited:
                who = (result.model if isinstance(result, Turn) else "") or self.label
                keep(count_answers(place, who, cited, log=self.recipe.serve.log_questions))
            return result

        try:
            return self.worker.submit(answer, **options)
        except ServeError as err:
            keep(count_error(place, self.label, err))
            raise

    def find_session(self, key: str) -> Session:
        """The session of a page; a new one takes the place of the one longest unused, if need be.

        Raises:
            ServeError: so many pages rate or compare.
        """
        session = self.sessions.pop(key, None)
        if session is None:
            if len(self.sessions) >= MAX_SESSIONS:
                self.close_session(self._find_empty())
            session = Session(key)
        self.sessions[key] = session
        return session

    def _find_empty(self) -> str:
        for key, session in self.sessions.items():
            if not (session.rater or is_busy(session.comparison)):
                return key
        raise ServeError(f"{MAX_SESSIONS} pages that rate or compare are open. Close one, and try again.")

    def close_session(self, key: str) -> None:
        """Forget a page that is gone; its comparison ends, and its question is answered while nobody else waits."""
        session = self.sessions.pop(key, None)
        if session is not None and session.comparison is not None:
            session.comparison.stop()

    def name_holder(self, owner: str = "") -> Holder:
        """Whose conversations a page has: `owner` stands for its browser."""
        return Holder(owner if self.is_shared else "", self.exam.name if self.exam is not None else "")

    def find_talk(self, name: str, owner: str = "") -> Talk:
        """The conversation of that name, or a new one."""
        style = find_style(self.recipe.course.teaching_style)
        return self.talks.find(self.course, self.name_holder(owner), name, self.label, style)


def describe_model(label: str) -> str:
    """Who answers, by the label of a model: of a run, of an adapter, or the base."""
    if label == "base":
        return "the base model, which was not trained on this course"
    return f"the {label}" if label.startswith("adapter of ") else f"the model of run {label}"


def ask_site(site: Site, talk: Talk, question: str, *, again: bool = False) -> Task:
    """Hand in a question; the result is a Turn. `again`: in place of the newest turn, whose question it is.

    Raises:
        TutorError: an empty question, nothing to ask again, an answer under way, or too many waiting.
    """
    with talk.lock:
        if is_busy(talk.chat):
            raise ServeError("Your last question is still being answered. Wait for it, or stop it.")
        conversation = talk.conversation
        replaces = conversation.find_last() if again else None
        question = clean_question(question) if replaces is None else replaces.cited.question
        part = PartSaver(talk, question) if replaces is None else None
        if part is not None:
            part.save(draft="")

        def answer(task: Task) -> Turn:
            try:
                return answer_talk(site, talk, question, task, replaces, part)
            finally:
                # Without the question, where it could not be answered.
                talk.save()

        try:
            talk.chat = site.submit("page", answer, stays=True)
        except ServeError:
            talk.save()
            raise
        talk.chat.notes.update(question=question, again=again)
        return talk.chat


def answer_talk(
    site: Site, talk: Talk, question: str, task: Task, replaces: Turn | None, part: PartSaver | None
) -> Turn:
    """Answer in the model thread, with the record of the exam where it is one."""
    exam, conversation = site.exam, talk.conversation
    with ExitStack() as stack:
        shown: list[str] = []
        if exam is not None:
            shown = stack.enter_context(record_turn(exam, question, talk.id, again=replaces is not None))

        def write(piece: str) -> None:
            shown.append(piece)
            task.write(piece)
            if part is not None:
                part.write(piece)

        def begin(plan: Plan) -> None:
            task.notes["plan"] = plan
            if part is not None:
                part.plan = plan

        # Opened here: it belongs to this thread, and the course may have been renewed.
        index = stack.enter_context(site.open_index()) if site.search else None
        if site.trial is not None:
            conversation.model = find_arm(site.course, site.trial, talk.id)
        loaded = site.take_model(task, conversation.model)
        cache = site.worker.take_cache(f"{talk.id} {conversation.model}")
        place = (question, site.recipe, cache, begin, write, task.is_stopped, replaces)
        remember = site.answers.remember(generate_shown, site.worker.loads, conversation.model)
        turn = answer_turn(loaded, index, conversation, *place, exam=exam is not None, generate=remember)
        if turn.cited.answer.finish_reason == "stopped" and task.is_left():
            cited = replace(turn.cited, answer=replace(turn.cited.answer, finish_reason=CUT))
            turn = conversation.turns[-1] = replace(turn, cited=cited)
        if exam is not None:
            log_answer(exam, turn.cited, talk.id)
        elif replaces is None:
            note_unfound(site.course, turn.cited)
        return turn


def compare_site(site: Site, session: Session, prompt: str) -> Task:
    """Hand in a prompt for all models, as one turn; the result is a list of Comparison.

    The worker's own model is unloaded first, and loaded again for the next question.

    Raises:
        TutorError: an empty prompt, a comparison under way, or too many waiting.
    """
    if is_busy(session.comparison):
        raise ServeError("Your last comparison is still under way. Wait for it, or stop it.")
    system = site.recipe.course.system_prompt
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": clean_question(prompt)})

    def compare(task: Task) -> list[Comparison]:
        models = site.list_models()
        site.worker.unload_model()

        hiders = {model.label: CodeHider() for model in models if site.recipe.hides_code()}

        def hand_on(label: str, piece: str) -> None:
            piece = clean_text(piece)
            task.write(hiders[label].feed(piece) if hiders else piece, label)

        compared = compare_models(models, messages, site.recipe.generate, hand_on, task.is_stopped)
        return [replace(item, answer=hide_answer(item.answer)) for item in compared] if hiders else compared

    session.comparison = site.worker.submit(compare)
    return session.comparison


def tell_exam(site: Site, talk: Talk, name: str, detail: str = "") -> None:
    """Record what is neither question nor answer."""
    if site.exam is not None:
        log_event(site.exam, name, detail, talk.id)


def judge_turn(site: Site, talk: Talk, place: int, liked: bool | None) -> None:
    """Keep thumbs up or down for a turn in the journal; None takes it back."""
    turn = talk.conversation.turns[place]
    if site.trial is not None:
        value = None if liked is None else 1 if liked else -1
        store_mark(site.course, site.trial, talk.id, "thumb", place, value, turn.model)
    known = talk.thumbs.get(place)
    number = known[1] if known is not None and known[0] is turn else None
    if liked is None:
        if number is not None:
            remove_thumb(site.course, number)
            del talk.thumbs[place]
        talk.judged = None
        return
    if number is None or not change_thumb(site.course, number, liked):
        number = write_thumb(site.course, turn.model or site.label, turn.cited.question, turn.cited.answer.text, liked)
    save_thumb(site.course, talk.id, place, number)
    talk.thumbs[place] = (turn, number, liked)
    talk.judged = number


def note_turn(site: Site, talk: Talk, note: str) -> None:
    """Add a note to the newest judgement."""
    if talk.judged is None or not write_note(site.course, talk.judged, clean_text(note).strip()):
        raise ServeError("Press thumbs up or down first.")


def list_thumbs(talk: Talk) -> list[str | None]:
    """What the page shows at each turn: Like, Dislike or nothing."""
    turns = talk.conversation.turns
    known = [talk.thumbs.get(place) for place in range(len(turns))]
    return [
        ("Like" if thumb[2] else "Dislike") if thumb is not None and thumb[0] is turn else None
        for thumb, turn in zip(known, turns, strict=True)
    ]
