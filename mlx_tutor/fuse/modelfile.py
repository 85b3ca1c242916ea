"""Ollama's Modelfile for a fused model: chat template, stop words, system prompt and settings."""

from typing import Any

from mlx_tutor.errors import ModelError
from mlx_tutor.generate import PENALIZED
from mlx_tutor.models import context_length, is_thinking
from mlx_tutor.settings import GenerateSettings

# Ollama reserves memory for the whole context at once.
MOST_CONTEXT = 8192
TURN = "<|im_start|>{role}\n{content}<|im_end|>\n"
BEGIN = "<|im_start|>assistant\n"
# The same as a Go template.
TURNS = "{{- range .Messages }}" + TURN.format(role="{{ .Role }}", content="{{ .Content }}") + "{{ end }}"
TALK = (("system", "Be {brief}."), ("user", "Why?\n\nAnd how?"), ("assistant", "So: é."), ("user", "And then?"))


def write_modelfile(
    name: str, weights: str, tokenizer: Any, config: dict[str, Any], system: str, settings: GenerateSettings
) -> str:
    """The Modelfile for a model whose weights are in the file `weights` beside it.

    Raises:
        ModelError: the chat template is not ChatML.
    """
    stops = sorted(tokenizer.decode([index]) for index in tokenizer.eos_token_ids)
    parameters = {
        "temperature": settings.temp,
        # Ollama's own default keeps the 40 most likely tokens.
        "top_k": 0,
        "top_p": settings.top_p,
        "repeat_penalty": settings.repetition_penalty,
        "repeat_last_n": PENALIZED,
        "num_predict": settings.max_tokens,
        "num_ctx": min(context_length(config), MOST_CONTEXT),
        "seed": settings.seed,
    }
    template = TURNS + find_beginning(tokenizer)
    lines = [f"# {name}, made by mlx-tutor.", f"FROM ./{weights}", f"TEMPLATE {_quote(template)}"]
    if prompt := system or find_default_system(tokenizer):
        lines.append(f"SYSTEM {_quote(prompt)}")
    lines += [f"PARAMETER {key} {value}" for key, value in parameters.items()]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """A value of several lines; three quotation marks inside would end it, so they are replaced."""
    text = text.replace('"""', "'''")
    return f'"""{text}"""'


def find_beginning(tokenizer: Any) -> str:
    """What a ChatML template writes to begin the assistant's turn, including an empty thought if it needs one.

    Raises:
        ModelError: the template writes a conversation in another form than ChatML.
    """
    talk = [{"role": role, "content": content} for role, content in TALK]
    plain = "".join(TURN.format(**turn) for turn in talk)
    text = _render(tokenizer, talk)
    if not text.startswith(plain + BEGIN):
        raise ModelError(
            "The model's chat template is not ChatML, the only one that mlx-tutor writes for Ollama. Take the "
            "model to LM Studio or llama.cpp, which read its own template: mlx-tutor export gguf"
        )
    return text[len(plain) :]


def find_default_system(tokenizer: Any) -> str:
    """The system prompt that the template adds to a conversation without one; "" if it adds none."""
    text = _render(tokenizer, [{"role": "user", "content": "Why?"}])
    before = text.partition("<|im_start|>user\n")[0]
    return before.removeprefix("<|im_start|>system\n").removesuffix("<|im_end|>\n")


def _render(tokenizer: Any, talk: list[dict[str, str]]) -> str:
    text: str = tokenizer.apply_chat_template(
        talk, tokenize=False, add_generation_prompt=True, enable_thinking=is_thinking(tokenizer)
    )
    return text
