"""The local server: who is let in, what is served, the queue before the model."""

import asyncio
import base64
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mlx_tutor.errors import ModelError, ServeError, TutorError
from mlx_tutor.evaluation import compare
from mlx_tutor.hide import hide_code
from mlx_tutor.journal import open_journal
from mlx_tutor.models import LoadedModel, load_model
from mlx_tutor.records import ModelSpec
from mlx_tutor.study.chat.thumbs import SCHEMA
from mlx_tutor.study.web.chat_handlers import ChatHandlers, ListHandlers
from mlx_tutor.study.web.middleware import MAX_BODY, AccessRules, is_loopback, is_served
from mlx_tutor.study.web.model_worker import KEPT_CACHES, MAX_WAITING, ModelWorker, Task, is_busy
from mlx_tutor.study.web.overview import draw_course, list_examples
from mlx_tutor.study.web.server import check_exposure, open_socket, write_address
from mlx_tutor.study.web.site import Site, ask_site, compare_site, judge_turn, list_thumbs, note_turn
from tests.programs import MIXED, write_program
from tests.study.web.serving import Serving, make_site, serve_site

MODE = "What is the mode?"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Serving]:
    site = make_site(tmp_path_factory.mktemp("serve"), tiny_model)
    (site.course.sources / "slides.pdf").write_bytes(b"%PDF-1.4\n")
    (site.course.root / "secret.md").write_text("secret")
    (site.course.sources / "outside.md").symlink_to(site.course.root / "secret.md")
    with serve_site(site) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, tiny_model: Path) -> Iterator[Site]:
    made = make_site(tmp_path, tiny_model, [ModelSpec("base", tiny_model), ModelSpec("fused", tiny_model)])
    yield made
    made.worker.close()


@pytest.fixture
def worker() -> Iterator[ModelWorker]:
    made = ModelWorker(lambda: (_ for _ in ()).throw(ModelError("No model here.")))
    yield made
    made.close()


def send(serving: Serving, path: str, headers: dict[str, str], method: str = "GET", body: str = "") -> tuple[int, str]:
    """A request as it is, with no path tidied up on the way."""
    with closing(http.client.HTTPConnection(urlsplit(serving.address).netloc, timeout=20)) as connection:
        connection.request(method, path, body or None, headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode("utf-8", "replace")


# Who is let in.


def test_a_name_that_was_pointed_here_is_refused(serving: Serving) -> None:
    port = urlsplit(serving.address).port
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1", "", "[::1"):
        assert send(serving, "/v1/models", {"Host": host})[0] == 421, host
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        assert send(serving, "/v1/models", {"Host": host})[0] == 200, host


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "x"])
def test_another_page_cannot_send_requests(serving: Serving, origin: str) -> None:
    body = '{"model": "demo", "messages": [{"role": "user", "content": "?"}]}'
    headers = {"Origin": origin, "Content-Type": "application/json"}
    assert send(serving, "/v1/chat/completions", headers, "POST", body)[0] == 403
    assert send(serving, "/gradio_api/queue/join", headers, "POST", "{}")[0] == 403
    assert send(serving, "/", {"Origin": serving.address})[0] == 200


def test_a_form_of_another_page_is_refused_without_an_origin_too(serving: Serving) -> None:
    url = f"{serving.address}/v1/chat/completions"
    assert httpx.post(url, data={"model": "demo"}).status_code == 415
    assert httpx.post(url, content=b"x" * (MAX_BODY + 1)).status_code == 413
    assert httpx.post(url, content=iter([b"{}"])).status_code == 411


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/run/predict",
        "/gradio_api/call/ask",
        "/gradio_api/info",
        "/gradio_api/runs",
        "/gradio_api/run-history/buckets",
        "/gradio_api/vibe-edit/",
        "/gradio_api/component_server",
        "/monitoring",
        "/login",
        "/docs",
        "/openapi.json",
        "/redoc",
    ],
)
def test_nothing_but_what_the_page_needs_is_there(serving: Serving, path: str) -> None:
    assert send(serving, path, {})[0] == 404
    assert send(serving, path, {"Content-Type": "application/json"}, "POST", "{}")[0] == 404


def test_a_password_keeps_page_and_api(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlx_tutor.study.web.middleware.WRONG_SECONDS", 0.0)
    with serve_site(make_site(tmp_path, tiny_model), "correct horse") as running:

        def ask(path: str, **headers: str) -> int:
            return httpx.get(f"{running.address}{path}", headers=headers).status_code

        def encode(text: str) -> str:
            return f"Basic {base64.b64encode(text.encode()).decode()}"

        for path in ("/", "/v1/models", "/sources/notes.md", "/gradio_api/heartbeat/x"):
            assert ask(path) == 401
        wrong = ("Basic", "Basic !", encode("correct horse"), encode("me:wrong"), "Bearer x", "Digest y")
        assert {ask("/v1/models", Authorization=header) for header in wrong} == {401}
        assert ask("/", Authorization=encode("me:correct horse")) == 200
        assert ask("/v1/models", Authorization="Bearer correct horse") == 200


@pytest.mark.parametrize(
    ("host", "names", "strangers"),
    [
        ("127.0.0.1", ["localhost:80", "127.0.0.1:80"], ["10.0.0.5:80", "mac.local:80"]),
        ("0.0.0.0", ["localhost:80", "10.0.0.5:80", "[fe80::1]:80"], ["evil.example:80"]),
        ("mac.lan", ["mac.lan:80", "10.0.0.5:80"], ["evil.example:80", "mac.lan:81"]),
    ],
)
def test_names_of_this_machine(host: str, names: list[str], strangers: list[str]) -> None:
    access = AccessRules(host, 80)
    assert all(access.knows_host(name) for name in names)
    assert not any(access.knows_host(name) for name in strangers)


def test_letting_others_in_needs_a_password() -> None:
    check_exposure("127.0.0.1", None, False)
    check_exposure("localhost", None, False)
    check_exposure("0.0.0.0", "long enough", True)
    for host, password, share in (("0.0.0.0", None, False), ("127.0.0.1", None, True), ("127.0.0.1", "short", False)):
        with pytest.raises(ServeError, match="password"):
            check_exposure(host, password, share)
    assert is_loopback("127.9.9.9") and is_loopback("::1") and not is_loopback("192.168.1.2")


def test_a_taken_port_is_named() -> None:
    with open_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ServeError, match=f"Port {port} is in use.*--port {port + 1}"):
            open_socket("127.0.0.1", port)
    with open_socket("127.0.0.1", port):
        pass
    with pytest.raises(ServeError, match=r"Try 127\.0\.0\.1"):
        open_socket("192.0.2.1", 0)
    assert write_address("::1", 8) == "http://[::1]:8" and write_address("0.0.0.0", 8) == "http://127.0.0.1:8"


def test_a_comparison_of_a_page_that_is_closed_frees_its_turn(serving: Serving) -> None:
    gate, worker = threading.Event(), serving.site.worker
    worker.submit(lambda task: gate.wait(20))
    task = compare_site(serving.site, serving.site.find_session("closing"), MODE)
    assert task.count_ahead() == 1
    with httpx.stream("GET", f"{serving.address}/gradio_api/heartbeat/closing") as reply:
        next(reply.iter_raw())
    end = time.monotonic() + 10
    while "closing" in serving.site.sessions and time.monotonic() < end:
        time.sleep(0.02)
    assert "closing" not in serving.site.sessions
    assert task.future.cancelled()
    gate.set()


# What is served.


def test_only_sources_of_the_course_are_served(serving: Serving) -> None:
    status, text = send(serving, "/sources/notes.md", {})
    assert status == 200 and "<script>" in text
    for path in (
        "/sources/",
        "/sources/../secret.md",
        "/sources/..%2fsecret.md",
        "/sources/%2e%2e/secret.md",
        "/sources/..%5csecret.md",
        "/sources//etc/passwd",
        "/sources/%2fetc%2fpasswd",
        "/sources/notes.md%00.pdf",
        "/sources/outside.md",
        "/sources/./notes.md",
        "/runs/../../corpora/demo/secret.md",
        "/runs/none/loss.png",
        "/runs/..%2f..%2fdemo/loss.png",
    ):
        status, text = send(serving, path, {})
        assert status in (400, 404) and "secret" not in text and "root:" not in text, path


def test_a_source_cannot_run(serving: Serving) -> None:
    reply = httpx.get(f"{serving.address}/sources/notes.md")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{serving.address}/sources/slides.pdf").headers["content-type"] == "application/pdf"


def test_the_page_may_fetch_from_here_only(serving: Serving) -> None:
    policy = httpx.get(serving.address).headers["content-security-policy"]
    assert "http" not in policy and "*" not in policy and "connect-src 'self'" in policy


def test_routes_that_the_guard_knows() -> None:
    assert is_served("GET", "/") and is_served("HEAD", "/") and is_served("POST", "/gradio_api/queue/join")
    assert not is_served("PUT", "/") and not is_served("POST", "/") and not is_served("GET", "/gradio_api/file=x")
    assert not is_served("OPTIONS", "/v1/models")


def test_the_course_tab_escapes_what_it_shows(site: Site) -> None:
    (site.course.sources / "<img src=x>.md").write_text("new")
    drawn = draw_course(site.course)
    assert "&lt;img" in drawn and "<img" not in drawn
    assert "changed" in drawn and "mlx-tutor build" in drawn and "mlx-tutor train" in drawn


def test_examples_are_terms_that_the_course_defines(site: Site) -> None:
    assert list_examples(site.course) == ["What is the mode?", "What is a median?"]


# The worker.


def wait_for(task: Task) -> object:
    return task.take(30)


def test_work_is_done_in_order_by_one_thread(worker: ModelWorker) -> None:
    gate, threads = threading.Event(), list[int]()

    def work(task: Task) -> int:
        gate.wait(10)
        threads.append(threading.get_ident())
        return len(threads)

    tasks = [worker.submit(work) for _ in range(4)]
    assert [task.count_ahead() for task in tasks] == [0, 1, 2, 3]
    tasks[1].stop()
    assert [task.count_ahead() for task in tasks] == [0, 0, 1, 2]
    gate.set()
    assert [wait_for(task) for task in tasks] == [1, None, 2, 3]
    assert len(set(threads)) == 1


def test_an_error_is_the_tasks_own(worker: ModelWorker) -> None:
    failed = worker.submit(lambda task: worker.take_model())
    with pytest.raises(ModelError, match="No model here"):
        wait_for(failed)
    assert wait_for(worker.submit(lambda task: 1)) == 1


def test_a_full_queue_sends_away_and_a_closed_one_too(worker: ModelWorker) -> None:
    gate = threading.Event()
    tasks = [worker.submit(lambda task: gate.wait(10)) for _ in range(MAX_WAITING + 1)]
    with pytest.raises(ServeError, match="waiting already"):
        worker.submit(lambda task: None)
    for task in tasks[1:]:
        task.stop()
    gate.set()
    worker.close()
    with pytest.raises(ServeError, match="closing"):
        worker.submit(lambda task: None)


def test_a_follower_sees_the_text_grow_and_frees_its_turn_when_it_leaves(worker: ModelWorker) -> None:
    def work(task: Task) -> str:
        for number in range(1000):
            if task.is_stopped():
                return f"stopped at {number}"
            task.write("x")
            time.sleep(0.01)
        return "all"

    async def leave(task: Task) -> list[int]:
        lengths = list[int]()
        follower = task.follow()
        async for _ in follower:
            lengths.append(len(task.read()))
            if lengths[-1] > 10:
                break
        await follower.aclose()
        return lengths

    task = worker.submit(work)
    lengths = asyncio.run(leave(task))
    assert lengths == sorted(set(lengths))
    assert str(wait_for(task)).startswith("stopped at")


def test_work_that_nobody_looks_at_ends(worker: ModelWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlx_tutor.study.web.model_worker.LEFT_SECONDS", 0.05)

    def work(task: Task) -> bool:
        time.sleep(0.1)
        return task.is_stopped()

    assert wait_for(worker.submit(work)) is True


def test_few_prompt_caches_are_kept(worker: ModelWorker) -> None:
    first = worker.take_cache("0")
    assert worker.take_cache("0") is first
    for number in range(1, KEPT_CACHES + 1):
        worker.take_cache(str(number))
    assert worker.take_cache("0") is not first


# Questions and comparisons.


def ask(site: Site, key: str, question: str, *, again: bool = False) -> None:
    wait_for(ask_site(site, site.find_talk(key), question, again=again))


def test_each_page_has_its_own_conversation(site: Site) -> None:
    ask(site, "a", MODE)
    ask(site, "b", "What is the median?")
    ask(site, "a", "Why?")
    turns = {key: [t.cited.question for t in site.find_talk(key).conversation.turns] for key in "ab"}
    assert turns == {"a": [MODE, "Why?"], "b": ["What is the median?"]}
    assert site.find_talk("a").conversation.turns[1].cited.answer.cached_tokens > 0
    ask(site, "a", "", again=True)
    assert [turn.tries for turn in site.find_talk("a").conversation.turns] == [0, 1]


def test_conversations_that_are_not_in_memory_are_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlx_tutor.study.web.talks.MAX_TALKS", 1)
    ask(site, "a", MODE)
    first = site.find_talk("a").conversation.turns
    ask(site, "b", "What is the median?")
    assert list(site.talks.live) == ["b"]
    assert site.find_talk("a").conversation.turns == first


def test_one_question_at_a_time_for_each_page(site: Site) -> None:
    gate = threading.Event()
    site.worker.submit(lambda task: gate.wait(10))
    talk = site.find_talk("a")
    task = ask_site(site, talk, MODE)
    with pytest.raises(ServeError, match="still being answered"):
        ask_site(site, talk, MODE)
    task.stop()
    gate.set()
    assert wait_for(task) is None and not is_busy(task)


@pytest.mark.parametrize(("question", "said"), [("", "empty"), ("\x00\n", "empty"), ("mode " * 20_000, "context")])
def test_a_question_that_cannot_be_answered_leaves_the_conversation(site: Site, question: str, said: str) -> None:
    ask(site, "a", MODE)
    with pytest.raises(TutorError, match=said):
        ask(site, "a", question)
    assert len(site.find_talk("a").conversation.turns) == 1
    ask(site, "a", "Why?")


def test_a_comparison_is_one_turn_and_puts_the_model_away(site: Site) -> None:
    ask(site, "a", MODE)
    loaded: list[LoadedModel] = []
    wait_for(site.worker.submit(lambda task: loaded.append(site.worker.take_model())))
    task = compare_site(site, site.find_session("a"), MODE)
    comparisons = task.take(60)
    assert [comparison.label for comparison in comparisons] == ["base", "fused"]
    assert task.read("base").strip() == comparisons[0].answer.text == comparisons[1].answer.text
    wait_for(site.worker.submit(lambda task: loaded.append(site.worker.take_model())))
    assert loaded[0] is not loaded[1]
    ask(site, "a", "Why?")


def test_a_stopped_comparison_has_what_was_said(site: Site) -> None:
    long = replace(site.recipe, generate=replace(site.recipe.generate, max_tokens=900, temp=1.0))
    site = replace(site, recipe=long)
    task = compare_site(site, site.find_session("a"), MODE)
    while not task.read("base"):
        time.sleep(0.01)
    task.stop()
    comparisons = task.take(60)
    assert [comparison.label for comparison in comparisons] == ["base"]


def test_thumbs_are_kept_turned_around_and_taken_back(site: Site) -> None:
    ask(site, "a", MODE)
    talk = site.find_talk("a")
    with pytest.raises(ServeError, match="thumbs"):
        note_turn(site, talk, "Good.")
    judge_turn(site, talk, 0, True)
    note_turn(site, talk, "Good.\x1b")
    judge_turn(site, talk, 0, False)
    with open_journal(site.course, SCHEMA) as journal:
        rows = [dict(row) for row in journal.execute("SELECT model, question, liked, note FROM thumbs")]
    assert rows == [{"model": "demo", "question": MODE, "liked": 0, "note": "Good."}]
    assert list_thumbs(talk) == ["Dislike"]
    ask(site, "a", "", again=True)
    assert list_thumbs(talk) == [None]
    judge_turn(site, talk, 0, True)
    judge_turn(site, talk, 0, None)
    with open_journal(site.course, SCHEMA) as journal:
        assert journal.execute("SELECT count(*) FROM thumbs").fetchone()[0] == 1


def test_a_model_that_breaks_is_one_message(tmp_path: Path, tiny_model: Path) -> None:
    site = make_site(tmp_path, tiny_model)
    broken = Site(site.course, site.recipe, "demo", ModelWorker(lambda: load_model(tmp_path)), list)
    with pytest.raises(ModelError, match="cannot be loaded"):
        ask(broken, "a", MODE)
    broken.worker.close()
    site.worker.close()


@pytest.mark.parametrize("is_starter", [True, False])
def test_the_page_says_when_the_starter_answers(tmp_path: Path, tiny_model: Path, is_starter: bool) -> None:
    site = replace(make_site(tmp_path, tiny_model), is_starter=is_starter)
    with serve_site(site) as serving:
        page = httpx.get(serving.address).text
    assert "Answers come from the model of run demo" in page and ("a model for tests" in page) is is_starter


def test_a_comparison_of_a_course_without_code_shows_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "generate_answer", write_program)
    site = replace(site, recipe=replace(site.recipe, course=replace(site.recipe.course, allow_code=False)))
    task = compare_site(site, site.find_session("a"), MODE)
    assert {item.answer.text for item in task.take(60)} == {hide_code(MIXED)}
    assert "print" not in task.read("base") and "The mean is the sum" in task.read("base")


def test_the_page_keeps_a_level_and_a_style_over_a_new_conversation(site: Site) -> None:
    handlers = ChatHandlers(site)
    request: Any = SimpleNamespace(session_hash="page")
    assert "inquiry" in handlers.set_style("inquiry", "a", request)
    assert "high school" in handlers.set_level("high school", "a", request)
    assert "A level is a few words" in handlers.set_level("<1>", "a", request)
    ListHandlers(site).begin("a", request)
    kept = site.find_talk(site.find_session("page").shown).conversation
    assert (kept.style, kept.level, kept.turns) == ("inquiry", "high school", [])
    assert site.find_talk("b").conversation.level is None
