"""Ending an answer at the first of some stop sequences, wherever the pieces of it are cut."""

from collections.abc import Sequence
from dataclasses import replace

from mlx_tutor.generate import Answer
from mlx_tutor.study.chat.ask import Generate, Request


class StopFinder:
    """Passes text on up to a stop sequence; a beginning of one is held back until it is known to be none."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False
        self.text = ""

    def feed(self, piece: str) -> str:
        """Add a piece; what of it, and of what was held back, is surely before any stop sequence."""
        if self.found:
            return ""
        self._held += piece
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.found = True
            return self._release(min(places))
        return self._release(len(self._held) - self._count_begun())

    def finish(self) -> str:
        """What is still held back, at the end of the answer."""
        return "" if self.found else self._release(len(self._held))

    def _count_begun(self) -> int:
        """Length of the longest end of the text that a stop sequence begins with."""
        longest = min(len(self._held), max(map(len, self._stops), default=1) - 1)
        ends = (self._held[-size:] for size in range(longest, 0, -1))
        return next((len(end) for end in ends if any(stop.startswith(end) for stop in self._stops)), 0)

    def _release(self, size: int) -> str:
        piece, self._held = self._held[:size], self._held[size:]
        self.text += piece
        return piece


def stop_at(stops: Sequence[str], generate: Generate) -> Generate:
    """`generate`, whose answers end before the first of `stops`; as it is when there are none."""
    if not stops:
        return generate

    def generate_up_to(request: Request) -> Answer:
        finder = StopFinder(stops)

        def write(piece: str) -> None:
            if shown := finder.feed(piece):
                request.on_text(shown)

        is_stopped = request.is_stopped
        answer = generate(replace(request, on_text=write, is_stopped=lambda: is_stopped() or finder.found))
        if finder.found:
            return replace(answer, text=finder.text.strip(), finish_reason="stop")
        if rest := finder.finish():
            request.on_text(rest)
        return answer

    return generate_up_to
