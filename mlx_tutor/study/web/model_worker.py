"""The one thread that uses the model, and the queue of tasks before it.

MLX's default stream and random state belong to a thread, so loading and generating both happen here, one piece of work
at a time. Page and API hand in work and follow it from their event loop.
"""

import asyncio
import gc
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import mlx.core as mx

from mlx_tutor.errors import ServeError
from mlx_tutor.generate import PromptCache
from mlx_tutor.models import LoadedModel

# Seconds between two looks at a piece of work.
LOOK_SECONDS = 0.04
# Work that nobody looks at for so long has been left behind.
LEFT_SECONDS = 20.0
# So many may wait; the next one is sent away.
MAX_WAITING = 64
# Conversations whose prompt cache is kept; each may hold megabytes.
KEPT_CACHES = 4


class Task:
    """A piece of work in the queue, and what it has said so far.

    One that `stays` goes on when nobody looks at it, until somebody else waits for the model.
    """

    def __init__(self, worker: "ModelWorker", stays: bool = False) -> None:
        self._worker = worker
        self._stays = stays
        self._texts: dict[str, list[str]] = {}
        self._stopped = False
        self._seen = time.monotonic()
        self.notes: dict[str, Any] = {}
        self.future: Future[Any]

    def write(self, piece: str, label: str = "") -> None:
        """Add to the text under a label; called by the work."""
        self._texts.setdefault(label, []).append(piece)

    def read(self, label: str = "") -> str:
        """The text under a label so far."""
        return "".join(self._texts.get(label, ()))

    def stop(self) -> None:
        """Ask the work to end; what waits leaves the queue."""
        self._stopped = True
        if self.future.cancel():
            self._worker.forget(self)

    def take(self, timeout: float | None = None) -> Any:
        """The result, or the error, once it is done; None when the work was stopped before it began."""
        try:
            return self.future.result(timeout)
        except CancelledError:
            return None

    def is_stopped(self) -> bool:
        """Whether the work is to end: it was stopped, or whoever wanted it is gone."""
        return self._stopped or self.is_left()

    def is_left(self) -> bool:
        """Whether whoever wanted it is gone; when it stays, also whether somebody else waits, or the server closes."""
        if self._worker.is_closed():
            return True
        left = time.monotonic() - self._seen > LEFT_SECONDS
        return left and (not self._stays or self._worker.has_waiting())

    def is_to_begin(self) -> bool:
        """Whether to begin at all; what stays begins even so, and then says that it was cut off."""
        return not (self._stopped if self._stays else self.is_stopped())

    def count_ahead(self) -> int:
        """How many are to be served before this one; 0 when it is at work or done."""
        return self._worker.count_ahead(self)

    async def follow(self) -> AsyncGenerator[None, None]:
        """Yield whenever there is something new, and at the end; a follower who leaves stops what does not stay.

        And once a second in any case, so that the follower sees when its own reader has left.
        """
        shown: tuple[int, ...] | None = None
        try:
            while not self.future.done():
                now = time.monotonic()
                news = (self.count_ahead(), len(self.notes), *map(len, self._texts.copy().values()), int(now))
                self._seen = now
                if news != shown:
                    shown = news
                    yield
                await asyncio.sleep(LOOK_SECONDS)
            yield
        finally:
            if not self._stays:
                self.stop()


def is_busy(task: Task | None) -> bool:
    """Whether work is still under way or waiting."""
    return task is not None and not task.future.done()


class ModelWorker:
    """Owner of the loaded model. `load` is called in the worker's thread, and again after `unload_model`.

    `others` load further models by name, which are then in memory beside the first.
    """

    def __init__(
        self, load: Callable[[], LoadedModel], others: Mapping[str, Callable[[], LoadedModel]] = MappingProxyType({})
    ) -> None:
        self._load = load
        self._others = others
        self._loaded: dict[str, LoadedModel] = {}
        self._caches: OrderedDict[str, PromptCache] = OrderedDict()
        self._queue: list[Task] = []
        self._lock = threading.Lock()
        self._closed = False
        # How often a model was loaded: each time it may be another one.
        self.loads = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")

    def submit(self, work: Callable[[Task], Any], *, stays: bool = False) -> Task:
        """Queue a piece of work; its result is the task's to give. `stays`: also when nobody follows it.

        Raises:
            ServeError: too many are waiting, or the server is closing.
        """
        task = Task(self, stays)
        with self._lock:
            if self._closed:
                raise ServeError("The server is closing.")
            if len(self._queue) > MAX_WAITING:
                raise ServeError(f"{MAX_WAITING} questions are waiting already. Try again in a minute.")
            self._queue.append(task)
            task.future = self._pool.submit(self._work, task, work)
        return task

    def _work(self, task: Task, work: Callable[[Task], Any]) -> Any:
        try:
            return work(task) if task.is_to_begin() else None
        finally:
            self.forget(task)

    def forget(self, task: Task) -> None:
        """Take a task out of the queue."""
        with self._lock:
            if task in self._queue:
                self._queue.remove(task)

    def count_ahead(self, task: Task) -> int:
        """How many are before `task`."""
        with self._lock:
            return self._queue.index(task) if task in self._queue else 0

    def count_all(self) -> int:
        """How many are waiting or being answered."""
        with self._lock:
            return len(self._queue)

    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._closed

    def has_waiting(self) -> bool:
        """Whether more than one piece of work is in the queue."""
        with self._lock:
            return len(self._queue) > 1

    def take_model(self, name: str = "") -> LoadedModel:
        """The model, or the other one of that name, loaded when it is not; only for work. Raises ModelError."""
        name = name if name in self._others else ""
        if name not in self._loaded:
            self._loaded[name] = self._others[name]() if name else self._load()
            self.loads += 1
        return self._loaded[name]

    def unload_model(self) -> None:
        """Free the memory of the model and its caches, for other models; only for work."""
        self._loaded.clear()
        self._caches.clear()
        gc.collect()
        mx.clear_cache()

    def take_cache(self, key: str) -> PromptCache:
        """The prompt cache of one conversation; the least recently used ones are forgotten. Only for work."""
        cache = self._caches.pop(key, None) or PromptCache()
        self._caches[key] = cache
        while len(self._caches) > KEPT_CACHES:
            self._caches.popitem(last=False)
        return cache

    def close(self) -> None:
        """Stop all work and wait for its end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            tasks = self._queue.copy()
        for task in tasks:
            task.stop()
        # MLX 0.32 aborts the process at its end when a thread that computed is gone and its stream is not.
        self._pool.submit(mx.clear_streams)
        self._pool.shutdown()
