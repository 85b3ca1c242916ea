"""The one thread that uses the model, and the queue of tasks before it.

MLX's default stream and random state belong to a thread, so loading and generating both happen here, one piece of work
at a time. Page and API hand in work and follow it from their event loop.
"""

import asyncio
import gc
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
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


class Shared:
    """What the workers of several courses have in common: thread, queue, and the models in memory.

    `loaded` is by the worker's model and the name within it. `loads` is how often a model was loaded: each time it may
    be another one.
    """

    def __init__(self) -> None:
        self.loaded: dict[tuple[Hashable, str], LoadedModel] = {}
        self.caches: OrderedDict[str, PromptCache] = OrderedDict()
        self.queue: list[Task] = []
        self.lock = threading.Lock()
        self.closed = False
        self.loads = 0
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="model")


class ModelWorker:
    """Owner of the loaded model. `load` is called in the worker's thread, and again after `unload_model`.

    `others` load further models by name, which are then in memory beside the first. A worker `beside` another one has
    its thread and queue, and its models take the place of the other's in memory, unless both have the same `model`.
    """

    def __init__(
        self,
        load: Callable[[], LoadedModel],
        others: Mapping[str, Callable[[], LoadedModel]] = MappingProxyType({}),
        *,
        model: Hashable = None,
        beside: "ModelWorker | None" = None,
    ) -> None:
        self._load = load
        self._others = others
        self._model: Hashable = object() if model is None else model
        self._shared: Shared = Shared() if beside is None else beside._shared

    def submit(self, work: Callable[[Task], Any], *, stays: bool = False) -> Task:
        """Queue a piece of work; its result is the task's to give. `stays`: also when nobody follows it.

        Raises:
            ServeError: too many are waiting, or the server is closing.
        """
        task = Task(self, stays)
        with self._shared.lock:
            if self._shared.closed:
                raise ServeError("The server is closing.")
            if len(self._shared.queue) > MAX_WAITING:
                raise ServeError(f"{MAX_WAITING} questions are waiting already. Try again in a minute.")
            self._shared.queue.append(task)
            task.future = self._shared.pool.submit(self._work, task, work)
        return task

    def _work(self, task: Task, work: Callable[[Task], Any]) -> Any:
        try:
            return work(task) if task.is_to_begin() else None
        finally:
            self.forget(task)

    def forget(self, task: Task) -> None:
        """Take a task out of the queue."""
        with self._shared.lock:
            if task in self._shared.queue:
                self._shared.queue.remove(task)

    def count_ahead(self, task: Task) -> int:
        """How many are before `task`."""
        with self._shared.lock:
            return self._shared.queue.index(task) if task in self._shared.queue else 0

    def count_all(self) -> int:
        """How many are waiting or being answered."""
        with self._shared.lock:
            return len(self._shared.queue)

    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._shared.closed

    def has_waiting(self) -> bool:
        """Whether more than one piece of work is in the queue."""
        with self._shared.lock:
            return len(self._shared.queue) > 1

    @property
    def loads(self) -> int:
        """How often a model was loaded."""
        return self._shared.loads

    def _find_key(self, name: str) -> tuple[Hashable, str]:
        return self._model, name if name in self._others else ""

    def has_model(self, name: str = "") -> bool:
        """Whether `take_model` need not load."""
        return self._find_key(name) in self._shared.loaded

    def take_model(self, name: str = "") -> LoadedModel:
        """The model, or the other one of that name, loaded when it is not; only for work. Raises ModelError."""
        key, shared = self._find_key(name), self._shared
        if key not in shared.loaded:
            if any(model != self._model for model, _ in shared.loaded):
                self.unload_model()
            shared.loaded[key] = self._others[key[1]]() if key[1] else self._load()
            shared.loads += 1
        return shared.loaded[key]

    def unload_model(self) -> None:
        """Free the memory of the models and their caches, for other models; only for work."""
        self._shared.loaded.clear()
        self._shared.caches.clear()
        gc.collect()
        mx.clear_cache()

    def take_cache(self, key: str) -> PromptCache:
        """The prompt cache of one conversation; the least recently used ones are forgotten. Only for work."""
        cache = self._shared.caches.pop(key, None) or PromptCache()
        self._shared.caches[key] = cache
        while len(self._shared.caches) > KEPT_CACHES:
            self._shared.caches.popitem(last=False)
        return cache

    def close(self) -> None:
        """Stop all work and wait for its end."""
        with self._shared.lock:
            if self._shared.closed:
                return
            self._shared.closed = True
            tasks = self._shared.queue.copy()
        for task in tasks:
            task.stop()
        # MLX 0.32 aborts the process at its end when a thread that computed is gone and its stream is not.
        self._shared.pool.submit(mx.clear_streams)
        self._shared.pool.shutdown()
