"""Answers that were given before, kept in memory while a server runs: nothing of them is on disk."""

from collections import OrderedDict
from dataclasses import asdict, replace

from mlx_tutor.files import hash_value
from mlx_tutor.generate import Answer
from mlx_tutor.study.chat.ask import Generate, Request, generate_shown


class AnswerCache:
    """The answers to the last `size` prompts; 0: none is kept.

    A prompt is all that the model reads (system prompt, turns before, passages, question), with the settings and what
    the caller adds to the key. Another model is another key, or a `clear`.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._answers)

    def clear(self) -> None:
        """Forget all."""
        self._answers.clear()

    def remember(self, generate: Generate = generate_shown, *key: object) -> Generate:
        """`generate`, but what was answered before under the same key is said again, at once.

        Such an answer has `from_cache`. One that was stopped is not kept.
        """
        if not self._size:
            return generate

        def answer(request: Request) -> Answer:
            # At temperature 0 nothing is drawn.
            settings = request.settings if request.settings.temp else replace(request.settings, seed=0)
            name = hash_value([*key, list(request.messages), asdict(settings), request.without_code])
            if (known := self._answers.get(name)) is not None:
                self._answers.move_to_end(name)
                request.on_text(known.text)
                return replace(known, from_cache=True, first_token_seconds=0.0)
            given = generate(request)
            if given.finish_reason != "stopped":
                self._answers[name] = given
                while len(self._answers) > self._size:
                    self._answers.popitem(last=False)
            return given

        return answer
