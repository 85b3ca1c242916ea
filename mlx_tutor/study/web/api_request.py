"""Understanding a request to the API; what it does not offer (tools, images, JSON mode) is refused by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_tutor.errors import ServeError, UnknownModelError
from mlx_tutor.records import Message
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.web.site import Site

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Behind the name of the model: answers come from the course.
COURSE_SUFFIX = "+course"
# Answers to one request, one after the other; stop sequences, and characters of one.
MAX_ANSWERS, MAX_STOPS, LONGEST_STOP = 8, 4, 200
# Asked for, and at other values than these, they would change the answer in ways that are not offered.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
# Name there, name in the recipe, type, least and most.
NUMBERS = (
    ("max_tokens", "max_tokens", int, 1, 1_000_000),
    ("max_completion_tokens", "max_tokens", int, 1, 1_000_000),
    ("temperature", "temp", float, 0.0, 2.0),
    ("top_p", "top_p", float, 0.0, 1.0),
    ("seed", "seed", int, -(2**63), 2**63 - 1),
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that was understood: `count` answers, each ending before the first of `stops`.

    `from_course`: with passages of the course, and with what supports the answer. `model` is the name as it was given.
    """

    model: str
    messages: list[Message]
    settings: GenerateSettings
    stream: bool
    include_usage: bool
    stops: tuple[str, ...] = ()
    count: int = 1
    from_course: bool = False


def list_names(site: Site) -> list[str]:
    """The names that a request may give as its model."""
    return [site.model_name, *([site.model_name + COURSE_SUFFIX] if site.search else [])]


def read_chat(body: Any, site: Site) -> ChatRequest:
    """Understand a request; raises ServeError that says what is not offered or wrong."""
    if not isinstance(body, dict):
        raise ServeError("The request has to be an object.")
    name = body.get("model")
    if name not in list_names(site):
        raise UnknownModelError(describe_unknown([site], str(name)))
    for key, neutral in NEUTRAL.items():
        if body.get(key) is not None and body[key] not in neutral:
            raise ServeError(f"{key} is not supported here.")
    settings = replace(site.recipe.generate, **read_numbers(body))
    options = body.get("stream_options") or {}
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    messages = read_messages(body.get("messages"))
    system = site.recipe.course.system_prompt
    if system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return ChatRequest(
        model=name,
        messages=messages,
        settings=settings,
        stream=body.get("stream") is True,
        include_usage=include_usage,
        stops=read_stops(body.get("stop")),
        count=read_number(body, "n", int, 1, MAX_ANSWERS) or 1,
        from_course=read_course(body, site),
    )


def read_course(body: dict[str, Any], site: Site) -> bool:
    """Whether the answer is to come from the course: by the model's name, or by `"course": true`."""
    wanted = body.get("course")
    if wanted is not None and not isinstance(wanted, bool):
        raise ServeError("course has to be true or false.")
    if wanted and not site.search:
        raise ServeError("course: this server was started with --no-search. Start it without that.")
    return bool(wanted) or body["model"] == site.model_name + COURSE_SUFFIX


def read_stops(value: Any) -> tuple[str, ...]:
    """The stop sequences, of one text or a list; empty ones are none."""
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) and len(stop) <= LONGEST_STOP for stop in stops):
        raise ServeError(f"stop has to be a text or a list of texts, each of at most {LONGEST_STOP} characters.")
    if len(stops) > MAX_STOPS:
        raise ServeError(f"stop may name at most {MAX_STOPS} texts.")
    return tuple(stop for stop in stops if stop)


def read_numbers(body: dict[str, Any]) -> dict[str, Any]:
    """The settings that a request changes."""
    values = {}
    for name, setting, kind, low, high in NUMBERS:
        if (value := read_number(body, name, kind, low, high)) is not None:
            values[setting] = value
    if "seed" in values:
        # What mlx takes.
        values["seed"] %= 2**63
    return values


def read_number(body: dict[str, Any], name: str, kind: type, low: float, high: float) -> Any:
    """A number within its bounds, or None where there is none; raises ServeError for everything else."""
    value = body.get(name)
    if value is None:
        return None
    fits = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        raise ServeError(f"{name} has to be a number between {low} and {high}.")
    return kind(value)


def read_messages(value: Any) -> list[Message]:
    """The conversation; raises ServeError when it is none, or not of text."""
    if not isinstance(value, list) or not value:
        raise ServeError("messages has to be a list of at least one message.")
    messages: list[Message] = []
    for number, item in enumerate(value):
        role = ROLES.get(str(item.get("role"))) if isinstance(item, dict) else None
        if role is None:
            raise ServeError(f"messages[{number}]: role has to be one of {', '.join(ROLES)}.")
        messages.append({"role": role, "content": read_content(item.get("content"), number)})
    if messages[-1]["role"] == "assistant" or all(m["role"] == "system" for m in messages):
        raise ServeError("The last message has to be the user's.")
    return messages


def read_content(content: Any, number: int) -> str:
    """Text, or the texts of a list of parts."""
    if isinstance(content, list):
        parts = [p.get("text") if isinstance(p, dict) and p.get("type") == "text" else None for p in content]
        content = "\n".join(parts) if all(isinstance(part, str) for part in parts) else None  # type: ignore[arg-type]
    if not isinstance(content, str):
        raise ServeError(f"messages[{number}]: content has to be text; nothing else is supported here.")
    return clean_text(content)


def find_site(body: dict[str, Any], sites: Sequence[Site]) -> Site:
    """The course that a request names by its model; raises UnknownModelError when there is none."""
    name = body.get("model")
    site = next((site for site in sites if name in list_names(site)), None)
    if site is None:
        raise UnknownModelError(describe_unknown(sites, str(name)))
    return site


def describe_unknown(sites: Sequence[Site], name: str) -> str:
    """That there is no such model, and which there are."""
    known = [repr(each) for site in sites for each in list_names(site)]
    listed = f"{', '.join(known[:-1])} and {known[-1]}" if known[1:] else known[0]
    return f"No model {clean_text(name)[:80]!r}; this server has {listed}."
