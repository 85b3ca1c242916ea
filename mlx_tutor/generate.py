"""Generating answers, streamed or in batches. No other module makes a model write."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import mlx.core as mx

from mlx_tutor.errors import ModelError
from mlx_tutor.models import LoadedModel, context_length, find_opening, is_thinking, render_prompt
from mlx_tutor.records import CUT, Message, split_thoughts
from mlx_tutor.settings import GenerateSettings

# How far back the repetition penalty looks, in tokens.
PENALIZED = 64
# An answer loops when this share of its last n-grams occurs for the third time or more. Shorter windows
# would cut off tables and matrices of equal numbers.
NGRAM, WINDOW, REPEATED = 4, 64, 0.75
# A beginning that all prompts of a batch share is computed once when it has so many tokens, PREFILL at a time.
LEAST_PREFIX, PREFILL = 32, 512
# So many new n-grams in a row are new text, not a counter inside a loop.
NEW_TEXT = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """One generation.

    `finish_reason` is "stop", "length" when `max_tokens` or the context cut it, "stopped" when the caller did, CUT
    when its page or program was closed, or "repetition" when it said the same over and over: `text` is then without the
    repeats, `tokens` counts them.
    `cached_tokens` are those of the prompt that were not computed again. `thoughts` is what a model that thinks wrote
    before the answer; `tokens` counts it too. `from_cache`: it was given before, and nothing was computed.
    """

    text: str
    prompt_tokens: int
    tokens: int
    tokens_per_second: float
    first_token_seconds: float
    finish_reason: str
    peak_memory_gb: float
    cached_tokens: int = 0
    thoughts: str = ""
    from_cache: bool = False

    @property
    def problem(self) -> str:
        """One line where something else than the model ended the answer too early, else nothing."""
        if self.finish_reason == CUT:
            return "The answer was cut off: the page or the program was closed before its end."
        if self.finish_reason == "repetition":
            return "The model began to repeat itself, so the answer was ended there."
        thought = self.thoughts and not self.text and self.finish_reason == "length"
        limit = f"All {self.tokens} tokens went into thoughts, so there is no answer."
        return f"{limit} Raise generate.max_tokens, or --set model.thinking=false" if thought else ""


@dataclass(slots=True)
class PromptCache:
    """What one model computed of a conversation, kept from answer to answer: `layers` are mlx-lm's, of `tokens`."""

    tokens: list[int] = field(default_factory=list)
    layers: list[Any] = field(default_factory=list)


class RepetitionDetector:
    """Notices when an answer repeats itself in a loop: see NGRAM, WINDOW and REPEATED."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._again: list[bool] = []
        self._recent: deque[bool] = deque(maxlen=WINDOW)

    def feed(self, token: int) -> bool:
        """Add the next token; whether the answer is in a loop now."""
        self._tokens.append(token)
        if len(self._tokens) < NGRAM:
            return False
        ngram = tuple(self._tokens[-NGRAM:])
        self._again.append(self._seen[ngram] > 0)
        self._recent.append(self._seen[ngram] > 1)
        self._seen[ngram] += 1
        return len(self._recent) == WINDOW and sum(self._recent) >= REPEATED * WINDOW

    def count_before(self) -> int:
        """How many tokens precede the repeats: the beginning, and the first round of the loop."""
        run = 0
        for i in reversed(range(len(self._again))):
            run = 0 if self._again[i] else run + 1
            if run == NEW_TEXT:
                return i + NEW_TEXT
        return run


class Listener:
    """Takes a model's output piece by piece, and passes on the answer in it."""

    def __init__(self, on_text: Callable[[str], None], opening: str, thinking: bool) -> None:
        self._on_text, self._thinking = on_text, thinking
        self._written, self._handed = opening, 0

    def feed(self, piece: str) -> None:
        """Pass on what belongs to the answer."""
        self._written += piece
        answer = self.split()[1]
        if len(answer) > self._handed:
            self._on_text(answer[self._handed :])
            self._handed = len(answer)

    def split(self) -> tuple[str, str]:
        """Thoughts and answer so far; all is answer where the model does not think."""
        return split_thoughts(self._written) if self._thinking else ("", self._written)


def cut_cache(cache: PromptCache, loaded: LoadedModel, prompt: Sequence[int]) -> int:
    """Cut `cache` to the longest beginning that it shares with `prompt`, short of its last token; returns its length.

    A cache that cannot be cut begins anew. Its `tokens` are left empty: whoever goes on with it sets them when done,
    so that what breaks off between is not taken for a whole.
    """
    from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

    shared = 0
    for ours, theirs in zip(cache.tokens, prompt[:-1], strict=False):
        if ours != theirs:
            break
        shared += 1
    surplus = len(cache.tokens) - shared
    fits = not surplus or (can_trim_prompt_cache(cache.layers) and trim_prompt_cache(cache.layers, surplus) == surplus)
    if not shared or not fits:
        cache.layers, shared = make_prompt_cache(loaded.model), 0
    cache.tokens = []
    return shared


def measure_room(loaded: LoadedModel, prompt: Sequence[int]) -> int:
    """How many tokens fit behind a prompt; raises ModelError when it fills the model's context."""
    context = context_length(loaded.config)
    if len(prompt) >= context:
        raise ModelError(
            f"The prompt is {len(prompt)} tokens long, and the model's context holds {context}. "
            "Shorten the prompt or use a model with a longer context."
        )
    return context - len(prompt)


def generate_answer(
    loaded: LoadedModel,
    messages: Sequence[Message],
    settings: GenerateSettings,
    on_text: Callable[[str], None] = lambda piece: None,
    cache: PromptCache | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Answer:
    """Answer a conversation, passing on each piece of the answer as it comes; thoughts are held back.

    The same seed gives the same answer on the same machine. `tokens_per_second` counts from the first token on. A
    `cache` that has seen the beginning of the conversation spares computing it again, and is left with this answer.
    `is_stopped` is asked after each token.

    Raises:
        ModelError: the prompt fills the model's context.
    """
    from mlx_lm.generate import stream_generate
    from mlx_lm.sample_utils import make_sampler

    prompt = render_prompt(loaded.tokenizer, messages)
    room = measure_room(loaded, prompt)
    mx.random.seed(settings.seed)
    cache = PromptCache() if cache is None else cache
    shared = cut_cache(cache, loaded, prompt)
    hear = Listener(on_text, find_opening(loaded.tokenizer, prompt), is_thinking(loaded.tokenizer))
    tokens: list[int] = []
    loop, looped = RepetitionDetector(), False
    begun = time.perf_counter()
    first = 0.0
    for response in stream_generate(
        loaded.model,
        loaded.tokenizer,
        prompt[shared:],
        max_tokens=min(settings.max_tokens, room),
        sampler=make_sampler(temp=settings.temp, top_p=settings.top_p),
        logits_processors=_make_processors(settings, prompt[:shared]),
        prompt_cache=cache.layers,
    ):
        first = first or time.perf_counter() - begun
        tokens.append(response.token)
        if response.text:
            hear.feed(response.text)
        looped = settings.stop_repetition and loop.feed(response.token)
        if (stopped := is_stopped()) or looped:
            break
    cache.tokens = prompt + tokens
    thoughts, text = hear.split()
    if looped:
        thoughts, text = read_answer(loaded.tokenizer, prompt, tokens[: loop.count_before()])
    # max_tokens is at least 1, so the loop has bound `response`.
    return Answer(
        text=text.strip(),
        prompt_tokens=len(prompt),
        tokens=response.generation_tokens,
        tokens_per_second=response.generation_tps,
        first_token_seconds=first,
        finish_reason=response.finish_reason or ("stopped" if stopped else "repetition" if looped else "stop"),
        peak_memory_gb=response.peak_memory,
        cached_tokens=shared,
        thoughts=thoughts,
    )


def generate_batch(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    settings: GenerateSettings,
    on_answer: Callable[[int, Sequence[int], str], None],
    batch: int,
) -> None:
    """Answer all prompts, `batch` at a time; the next begins as soon as one has ended.

    At temperature 0 each answer equals that of `generate_answer` in exact arithmetic. Sums over a batch may be rounded
    differently than for one row, which can tip a tie between two tokens.

    Args:
        prompts: Tokens, each shorter than the model's context.
        settings: Limit of tokens, sampling, repetition penalty and stop.
        on_answer: Called in the order in which they end, with the index of the prompt, the tokens written, without
            repeats, and how it ended: "stop", "length" or "repetition".
    """
    from mlx_lm.generate import BatchGenerator
    from mlx_lm.sample_utils import make_sampler

    if not prompts:
        return
    mx.random.seed(settings.seed)
    generator = BatchGenerator(
        loaded.model,
        stop_tokens=[[token] for token in loaded.tokenizer.eos_token_ids],
        sampler=make_sampler(temp=settings.temp, top_p=settings.top_p),
        logits_processors=_make_processors(settings, []),
        completion_batch_size=batch,
        prefill_batch_size=min(batch, 8),
        # Whole long prompts would compute attention to what comes later too, and hold it in memory.
        prefill_step_size=PREFILL,
    )
    index_of = _insert_prompts(generator, loaded, prompts, settings.max_tokens)
    written: dict[int, list[int]] = {uid: [] for uid in index_of}
    loops = {uid: RepetitionDetector() for uid in index_of}
    try:
        while responses := generator.next_generated():
            for response in responses:
                tokens = written[response.uid]
                tokens.append(response.token)
                looped = settings.stop_repetition and loops[response.uid].feed(response.token)
                if looped and response.finish_reason is None:
                    generator.remove([response.uid])
                    tokens = tokens[: loops[response.uid].count_before()]
                if ended := response.finish_reason or ("repetition" if looped else ""):
                    del written[response.uid], loops[response.uid]
                    on_answer(index_of[response.uid], tokens, ended)
    finally:
        generator.close()


def _insert_prompts(
    generator: Any, loaded: LoadedModel, prompts: Sequence[Sequence[int]], max_tokens: int
) -> dict[int, int]:
    """Hand prompts to a batch generator; returns the index of each by the number that the generator gives it."""
    # Rows of similar length need little padding.
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    limits = [min(max_tokens, context_length(loaded.config) - len(prompts[i])) for i in order]
    shared, cache = compute_prefix(loaded, prompts)
    uids = generator.insert(
        [list(prompts[i][shared:]) for i in order],
        limits,
        caches=[cache] * len(order) if shared else None,
        all_tokens=[list(prompts[0][:shared]) for _ in order],
    )
    return dict(zip(uids, order, strict=True))


def compute_prefix(loaded: LoadedModel, prompts: Sequence[Sequence[int]]) -> tuple[int, list[Any]]:
    """How many tokens all prompts begin with, and what the model computes of them; none where it would not pay.

    The generator copies the cache for each prompt.
    """
    from mlx_lm.generate import generation_stream
    from mlx_lm.models.cache import KVCache, make_prompt_cache

    # The last token of each prompt is left to the generator.
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False))
    shared = min(sum(1 for _ in alike), min(map(len, prompts)) - 1)
    cache = make_prompt_cache(loaded.model)
    # Other caches, as sliding windows, are not copied without loss.
    if len(prompts) < 2 or shared < LEAST_PREFIX or not all(type(layer) is KVCache for layer in cache):
        return 0, []
    with mx.stream(generation_stream):
        for start in range(0, shared, PREFILL):
            loaded.model(mx.array([prompts[0][start : min(start + PREFILL, shared)]]), cache=cache)
            mx.eval([layer.state for layer in cache])
    return shared, cache


def read_answer(tokenizer: Any, prompt: Sequence[int], tokens: Sequence[int]) -> tuple[str, str]:
    """Thoughts and answer in the tokens that a model wrote after a prompt, without the end token."""
    detokenizer = tokenizer.detokenizer
    for token in tokens:
        if token not in tokenizer.eos_token_ids:
            detokenizer.add_token(token)
    detokenizer.finalize()
    text = find_opening(tokenizer, prompt) + detokenizer.text
    return split_thoughts(text) if is_thinking(tokenizer) else ("", text)


def _make_processors(settings: GenerateSettings, cached: list[int]) -> list[Callable[[Any, Any], Any]]:
    """The repetition penalty, which sees the cached tokens too; mlx-lm shows it only those that it computes."""
    from mlx_lm.sample_utils import make_repetition_penalty

    if settings.repetition_penalty == 1.0:
        return []
    penalize = make_repetition_penalty(settings.repetition_penalty, PENALIZED)
    before = mx.array(cached[-PENALIZED:], mx.int32)
    return [lambda tokens, logits: penalize(mx.concatenate([before, tokens]), logits)]
