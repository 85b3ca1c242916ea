"""Requests to an OpenAI-compatible endpoint, local or paid. No other module makes them."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from mlx_tutor.dataset.teacher.replies import Reply, Request, Teacher
from mlx_tutor.errors import DatasetError, RecipeError
from mlx_tutor.settings import TeacherSettings

# Further tries, after growing pauses or those that the server asks for.
RETRIES = 6
EXTRA = "A teacher at an endpoint needs one package more. Install it with: pip install 'mlx-tutor[teacher]'"
# How servers refuse a model.
MODEL_WORDS = re.compile(r"model.{0,60}(?:not (?:exist|found)|unknown|invalid)|(?:unknown|invalid|no such) model", re.I)


@contextmanager
def open_endpoint(settings: TeacherSettings) -> Iterator[Teacher]:
    """The teacher behind `teacher.base_url`.

    The server is looked for when it is first asked something: what was answered before needs neither it nor the key.
    """

    with ExitStack() as stack:

        @cache
        def connect() -> _Endpoint:
            endpoint = _Endpoint(settings, read_key(settings))
            stack.callback(endpoint.client.close)
            endpoint.find_models()
            return endpoint

        yield Teacher(settings.model, lambda request: connect().ask(request))


def read_key(settings: TeacherSettings) -> str:
    """The key from the environment, or a word in its place for servers that want none.

    Raises:
        RecipeError: no address, no key where one is named, or one written into the recipe.
    """
    if not re.match(r"https?://[^/@\s]+(?:/|$)", settings.base_url):
        raise RecipeError(
            "teacher.base_url must be an address without name or password, as http://localhost:1234/v1, where "
            f"{settings.model!r} answers. For a model in this process, begin its name with mlx:"
        )
    if not settings.key_env:
        return "none"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", settings.key_env):
        raise RecipeError("teacher.key_env must be the name of an environment variable, not the key itself.")
    key = os.environ.get(settings.key_env, "").strip()
    if not key:
        raise RecipeError(
            f"The environment variable {settings.key_env} of teacher.key_env is not set. "
            f"Set it in this shell: export {settings.key_env}=..."
        )
    return key


class _Endpoint:
    """A client, and what has been learned of the server behind it.

    Raises:
        DatasetError: a package is missing.
    """

    def __init__(self, settings: TeacherSettings, key: str) -> None:
        try:
            import openai
        except ImportError as err:
            raise DatasetError(EXTRA) from err
        self.openai, self.settings, self.key = openai, settings, key
        self.client = openai.OpenAI(
            base_url=settings.base_url, api_key=key, max_retries=RETRIES, timeout=settings.timeout
        )
        self.limit_name, self.takes_temperature = "max_tokens", True
        self.models: tuple[str, ...] = ()

    def find_models(self) -> None:
        """Learn whether the server is there, takes the key, and which models it names, if it says so.

        Raises:
            DatasetError: no server there, or it refuses the key.
        """
        openai = self.openai
        try:
            raw = self.client.with_options(max_retries=0, timeout=10).models.with_raw_response.list()
        except openai.APITimeoutError:
            return
        except openai.APIConnectionError as err:
            raise DatasetError(
                f"No server answers at {self.settings.base_url} ({err.__cause__ or err}). Start it, or mend "
                "teacher.base_url."
            ) from err
        except (openai.AuthenticationError, openai.PermissionDeniedError) as err:
            raise self._refuse_key(err) from err
        except openai.APIStatusError:
            return
        data = _read_json(raw.text).get("data")
        items = data if isinstance(data, list) else []
        self.models = tuple(str(item["id"]) for item in items if isinstance(item, dict) and "id" in item)

    def ask(self, request: Request) -> Reply:
        """One reply, after as many tries as it takes; `problem` says why there is none.

        Raises:
            DatasetError: a wrong key, an unknown model, or an account without money: no request would do better.
        """
        openai = self.openai
        while True:
            asked = self.limit_name, self.takes_temperature
            try:
                raw = self.client.chat.completions.with_raw_response.create(**self._write_body(request))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as err:
                # Another thread may have learned the same meanwhile.
                if asked != (self.limit_name, self.takes_temperature) or self._give_way(err):
                    continue
                if MODEL_WORDS.search(self._describe(err)):
                    raise self._miss_model(err) from err
                return Reply("", problem=self._describe(err))
            except (openai.AuthenticationError, openai.PermissionDeniedError) as err:
                raise self._refuse_key(err) from err
            except openai.NotFoundError as err:
                raise self._miss_model(err) from err
            except openai.APITimeoutError:
                return Reply("", problem=f"no reply within {self.settings.timeout:g} s")
            except openai.APIStatusError as err:
                if err.status_code == 402:
                    raise DatasetError(
                        f"{self.settings.base_url} wants to be paid first: {self._describe(err)}. All replies so far "
                        "are kept; run the same command once there is credit."
                    ) from err
                return Reply("", problem=self._describe(err))
            except openai.APIError as err:
                return Reply("", problem=f"the connection broke ({err.__cause__ or err})")
            return _read_completion(raw.text)

    def _write_body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": list(request.messages),
            self.limit_name: self.settings.max_tokens,
        }
        if self.takes_temperature:
            body["temperature"] = self.settings.temperature
        return body

    def _give_way(self, err: Any) -> bool:
        """Leave out what a server refuses; False when there is nothing left to leave out."""
        text = self._describe(err)
        if "max_completion_tokens" in text and self.limit_name == "max_tokens":
            self.limit_name = "max_completion_tokens"
        elif "temperature" in text and self.takes_temperature:
            self.takes_temperature = False
        else:
            return False
        return True

    def _refuse_key(self, err: Any) -> DatasetError:
        named = f"the key in {self.settings.key_env}" if self.settings.key_env else "a request without a key"
        hint = (
            "Put a right one there" if self.settings.key_env else "Name the variable that holds it in teacher.key_env"
        )
        return DatasetError(f"{self.settings.base_url} refuses {named}: {self._describe(err)}. {hint}.")

    def _miss_model(self, err: Any) -> DatasetError:
        known = f" Models there: {', '.join(self.models[:12])}." if self.models else ""
        return DatasetError(
            f"{self.settings.base_url} does not answer as {self.settings.model!r}: {self._describe(err)}.{known} "
            "Mend teacher.model or teacher.base_url."
        )

    def _describe(self, err: Any) -> str:
        """Status and message in one line, without the key."""
        body = err.body if isinstance(err.body, dict) else {}
        text = str(body.get("message") or body.get("detail") or err.body or "").replace(self.key, "***")
        return " ".join(f"HTTP {err.status_code} {text}".split())[:200].rstrip(".")


def _read_completion(text: str) -> Reply:
    """The reply in the body of a chat completion; reasoning that is sent apart is left out."""
    body = _read_json(text)
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    if choice is None or not isinstance(message := choice.get("message"), dict):
        return Reply("", problem="the reply is no chat completion")
    content = message.get("content")
    usage = body.get("usage")
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (count if isinstance(count, int) else 0 for count in counts)
    said = content.encode(errors="ignore").decode() if isinstance(content, str) else ""
    return Reply(said, tokens_in, tokens_out, choice.get("finish_reason") == "length")


def _read_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
