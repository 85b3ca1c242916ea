"""Conversations on the page: what a reload, a closed page, a crash, another browser and an exam make of them."""

import asyncio
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from mlx_tutor.records import CUT
from mlx_tutor.study.chat.kept import open_kept
from mlx_tutor.study.chat.saved import list_saved, read_saved
from mlx_tutor.study.exam.mode import Exam, add_entry
from mlx_tutor.study.exam.record import FORMAT, read_entry, read_lines
from mlx_tutor.study.web import model_worker
from mlx_tutor.study.web.chat_handlers import ChatHandlers, ListHandlers
from mlx_tutor.study.web.chat_view import PARTS
from mlx_tutor.study.web.owners import COOKIE, hash_cookie
from mlx_tutor.study.web.page import build_page
from mlx_tutor.study.web.site import Site, ask_site
from mlx_tutor.study.web.talks import Talks
from tests.study.web.serving import serve_site

MODE, MEDIAN = "What is the mode?", "What is the median?"
HERE: Any = SimpleNamespace(session_hash="page")


def restart(site: Site) -> Site:
    """The site as a server that is started anew has it."""
    return replace(site, talks=Talks())


def ask(site: Site, name: str, question: str) -> None:
    ask_site(site, site.find_talk(name), question).take(30)


def collect(shown: Any) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        return [dict(zip(PARTS, each, strict=False)) async for each in shown]

    return asyncio.run(run())


def list_texts(part: Any) -> list[str]:
    return [message["content"] for message in part["value"]]


def wait_until(look: Any) -> None:
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_a_page_that_is_loaded_again_shows_the_same(site: Site) -> None:
    ask(site, "a", MODE)
    ask(site, "b", MEDIAN)
    for name, question in (("a", MODE), ("b", MEDIAN), ("", MEDIAN)):
        shown = collect(ChatHandlers(restart(site)).open(name, HERE))[-1]
        assert list_texts(shown["chat"])[0] == question
        assert "Answered by the model of run demo" in shown["sources"]
    assert [value for _, value in shown["list"]["choices"]] == ["b", "a"]


def test_an_answer_goes_on_while_its_page_is_away_until_others_wait(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_worker, "LEFT_SECONDS", 0.05)
    ask(site, "a", MODE)
    assert site.find_talk("a").conversation.turns[0].cited.answer.finish_reason != CUT
    gate = threading.Event()
    first = site.worker.submit(lambda task: gate.wait(20), stays=True)
    left = ask_site(site, site.find_talk("a"), MEDIAN)
    other = ask_site(site, site.find_talk("b"), MODE)
    time.sleep(0.1)
    gate.set()
    assert first.take(20)
    left.take(20)
    cut = site.find_talk("a").conversation.turns[1].cited.answer
    assert cut.finish_reason == CUT
    assert other.take(20).cited.answer.finish_reason != CUT
    shown = collect(ChatHandlers(restart(site)).open("a", HERE))[-1]
    assert "cut off" in list_texts(shown["chat"])[3] and "cut off before it was compared" in shown["sources"]


def test_what_was_asked_is_on_disk_before_it_is_answered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlx_tutor.study.web.talks.SAVE_SECONDS", 0.0)
    long = replace(site, recipe=replace(site.recipe, generate=replace(site.recipe.generate, max_tokens=400)))
    talk, gate = long.find_talk("a"), threading.Event()
    long.worker.submit(lambda task: gate.wait(20))
    task = ask_site(long, talk, MODE)

    def read() -> Any:
        back = read_saved(site.course, talk.holder, "a")
        assert back is not None
        return back.conversation.turns[0].cited

    assert (read().question, read().answer.text, read().answer.finish_reason) == (MODE, "", CUT)
    gate.set()
    wait_until(lambda: len(read().answer.text) > 5)
    assert read().answer.finish_reason == CUT and read().passages
    task.stop()
    task.take(20)
    assert read().answer.finish_reason == "stopped"


def test_a_question_that_is_stopped_before_its_turn_goes_back_into_the_box(site: Site) -> None:
    gate = threading.Event()
    site.worker.submit(lambda task: gate.wait(20))
    handlers = ChatHandlers(site)

    async def run() -> dict[str, Any]:
        seen = []
        async for shown in handlers.ask(MODE, "a", HERE):
            seen.append(shown)
            handlers.stop("a", HERE)
        return dict(zip(PARTS, seen[-1], strict=True))

    shown = asyncio.run(run())
    gate.set()
    assert shown["question"] == MODE and "before it began" in shown["status"]
    back = read_saved(site.course, site.name_holder(), "a")
    assert back is not None and (back.draft, back.conversation.turns) == (MODE, [])


def test_a_failed_retry_keeps_answer_and_thumb(site: Site) -> None:
    ask(site, "a", MODE)
    talk = site.find_talk("a")
    ChatHandlers(site).judge("a", HERE, SimpleNamespace(index=(1, 0), liked="Like"))
    before = talk.conversation.turns[0]
    broken = replace(site, course=replace(site.course, name="gone"))
    ask_task = ask_site(broken, talk, "", again=True)
    with pytest.raises(Exception, match="gone"):
        ask_task.take(30)
    back = read_saved(site.course, talk.holder, "a")
    assert back is not None and back.conversation.turns == [before] and back.thumbs[0][1] is True


def test_deleting_opens_another_one_and_can_be_undone(site: Site) -> None:
    ask(site, "a", MODE)
    ask(site, "b", MEDIAN)
    handlers = ListHandlers(site)
    visible, told, deleted, *view = handlers.delete("b", HERE)
    shown = dict(zip(PARTS, view, strict=True))
    assert visible["visible"] and "&lt;" not in told and MEDIAN in told and shown["talk"] == "a"
    *_, choices = shown["list"]["choices"]
    assert choices == (MODE, "a") and len(shown["list"]["choices"]) == 1
    shown = dict(zip(PARTS, handlers.restore(deleted, "a", HERE)[3:], strict=True))
    assert shown["talk"] == "b" and list_texts(shown["chat"])[0] == MEDIAN


def test_a_deleted_conversation_is_not_written_to_again(site: Site) -> None:
    ask(site, "a", MODE)
    ListHandlers(site).delete("a", HERE)
    shown = collect(ChatHandlers(site).ask(MEDIAN, "a", HERE))[-1]
    assert shown["talk"] != "a" and list_texts(shown["chat"])[0] == MEDIAN
    assert read_saved(site.course, site.name_holder(), "a") is None


def test_browsers_at_a_shared_page_do_not_see_each_other(site: Site) -> None:
    shared = replace(site, is_shared=True)
    ada, bob = (SimpleNamespace(session_hash=name, cookies={COOKIE: name}) for name in ("ada", "bob"))
    ask(site, "mine", "Only at this machine?")
    collect(ChatHandlers(shared).ask(MODE, "a", ada))
    for name in ("a", "", "mine"):
        shown = collect(ChatHandlers(shared).open(name, bob))[-1]
        assert shown["talk"] not in ("a", "mine") and not list_texts(shown["chat"]) and not shown["list"]["choices"]
    collect(ChatHandlers(shared).ask(MEDIAN, "a", bob))
    back = read_saved(site.course, shared.name_holder(hash_cookie("ada")), "a")
    assert back is not None and [turn.cited.question for turn in back.conversation.turns] == [MODE]
    ListHandlers(shared).switch("a", bob)
    assert [entry.title for entry in list_saved(site.course, shared.name_holder(hash_cookie("bob")))] == [MEDIAN]


def test_an_exam_and_what_is_none_see_nothing_of_each_other(site: Site) -> None:
    ask(site, "notes", "Where are my notes?")
    exam = Exam(site.course, "20260101-090000-ab12", "demo")
    add_entry(exam, "start", {"format": FORMAT, "course": site.course.name})
    sitting = replace(site, exam=exam, talks=Talks())
    shown = collect(ChatHandlers(sitting).open("notes", HERE))[-1]
    assert not list_texts(shown["chat"]) and not shown["list"]["choices"]
    name = shown["talk"]
    collect(ChatHandlers(sitting).ask(MODE, name, HERE))
    handlers = ListHandlers(sitting)
    assert "keeps" in handlers.delete(name, HERE)[5]
    second = dict(zip(PARTS, handlers.begin(name, HERE), strict=True))["talk"]
    collect(ChatHandlers(sitting).ask(MEDIAN, second, HERE))
    handlers.switch(name, HERE)
    entries = [read_entry(line) for line in read_lines(site.course)[1]]
    told = [(each["kind"], each["data"].get("talk"), each["data"].get("name")) for each in entries if each]
    assert [each for each in told if each[0] in ("question", "event")] == [
        ("question", name, None),
        ("event", name, "/clear"),
        ("question", second, None),
        ("event", name, "/open"),
    ]
    # The same exam, after a crash of the page, has its own; the next one and what is no exam do not.
    assert len(list_saved(site.course, sitting.name_holder())) == 2
    assert [entry.title for entry in list_saved(site.course, site.name_holder())] == ["Where are my notes?"]


def test_an_exam_has_no_thumbs(site: Site) -> None:
    async def list_events(shown: Site) -> set[str]:
        config = build_page(shown).get_config_file()
        return {event for each in config["dependencies"] for _, event in each["targets"]}

    assert "like" in asyncio.run(list_events(site))
    sitting = replace(site, exam=Exam(site.course, "20260101-090000-ab12", "demo"))
    assert "like" not in asyncio.run(list_events(sitting)) >= {"select", "submit"}


def test_drafts_and_exports_by_their_addresses(site: Site) -> None:
    ask(site, "a", "What is <b>the mode</b>?")
    with serve_site(site) as serving:
        url = f"{serving.address}/conversations"
        kept = httpx.post(f"{url}/draft", json={"id": "a", "text": "typed 🤔 and not sent"})
        assert kept.status_code == 204
        for body in ({"id": "../a", "text": ""}, {"id": "a" * 50, "text": ""}):
            assert httpx.post(f"{url}/draft", json=body).status_code == 404
        assert httpx.post(f"{url}/draft", json=["a"]).status_code == 400
        reply = httpx.get(f"{url}/a.md")
        assert reply.status_code == 200 and "attachment" in reply.headers["content-disposition"]
        assert reply.text.startswith("# What is < b>the mode") and "> What is" in reply.text
        assert httpx.get(f"{url}/b.md").status_code == 404
        assert "set-cookie" not in httpx.get(serving.address).headers
    back = read_saved(site.course, site.name_holder(), "a")
    assert back is not None and back.draft == "typed 🤔 and not sent"


def test_style_and_level_stay_with_a_conversation(site: Site) -> None:
    recipe = replace(site.recipe, course=replace(site.recipe.course, teaching_style="socratic"))
    site = replace(site, recipe=recipe)
    handlers = ChatHandlers(site)
    ask(site, "default", MODE)
    handlers.set_style("off", "none", HERE)
    ask(site, "none", MODE)
    handlers.set_style("analogy", "chosen", HERE)
    handlers.set_level("graduate", "chosen", HERE)
    ask(site, "chosen", MODE)
    # Begun from the one before, and never touched.
    new = dict(zip(PARTS, ListHandlers(site).begin("chosen", HERE), strict=True))["talk"]
    ask(site, new, MEDIAN)
    manners = {"default": ("socratic", "off"), "none": ("off", "off"), "chosen": ("analogy", "graduate")}
    for name, manner in (manners | {new: ("analogy", "graduate")}).items():
        for served in (site, restart(site)):
            opened = dict(zip(PARTS, ListHandlers(served).switch(name, HERE), strict=True))
            assert (opened["style"], opened["level"]) == manner


def test_a_terminal_goes_on_with_a_conversation_of_the_page_and_the_page_with_it(site: Site) -> None:
    ask(site, "a", MODE)
    kept, title = open_kept(site.course, "mode")
    assert title == MODE and [turn.cited.question for turn in kept.conversation.turns] == [MODE]
    said = kept.conversation.turns[0]
    kept.conversation.turns.append(replace(said, cited=replace(said.cited, question="Typed in a terminal?")))
    kept.save()
    # The page has it in memory, and takes in what the terminal added.
    shown = collect(ChatHandlers(site).open("a", HERE))[-1]
    assert list_texts(shown["chat"])[::2] == [MODE, "Typed in a terminal?"]
    ask(site, "a", MEDIAN)
    assert kept.refresh() and not kept.refresh()
    asked = [turn.cited.question for turn in kept.conversation.turns]
    assert asked == [MODE, "Typed in a terminal?", MEDIAN]
    saved = read_saved(site.course, site.name_holder(), "a")
    assert saved is not None and len(saved.conversation.turns) == 3
