"""Make the starter model: python -m tests.starter.build TEXT_DIR

A small Qwen2 with its own byte-level BPE, trained from scratch through mlx-lm's trainer, quantized to 4 bits.
Run the same command again to continue after a stop. `--quick` trains for about ten minutes on two cores.
"""

import argparse
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from mlx_tutor.blas import use_openblas
from mlx_tutor.files import write_file, write_json
from mlx_tutor.models import STARTER_PATH, load_model, load_tokenizer, render_tokens
from mlx_tutor.training.batches import Batch, TokenRow, make_batch
from mlx_tutor.training.loss import compute_logits, measure_loss
from tests.starter.corpus import Chat, Text, make_chats, read_texts
from tests.starter.fast import compute_entropy, use_fast_ops
from tests.starter.induction import COPIER, READER, wire_induction

VOCABULARY = 4096
CONTEXT = 1024
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "intermediate_size": 704,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": [2, 0],
}
BATCH_TOKENS = 4096
SHORT = 256
# Share of the documents that become rows as long as the context.
LONG_SHARE = 0.15
CHAT_SHARE = 1 / 3
# Share of the chats that are answered from passages.
GROUNDED_SHARE = 0.6
# Share of all tokens in random rows that repeat themselves: they keep the model copying while all else changes.
REPEAT_SHARE = 0.06
CHECKPOINT_STEPS = 50
WARMUP = 60
WIRED = tuple(f"model.layers.{layer}.self_attn." for layer in (READER, COPIER))
# The rate stays at its peak and falls to zero over the last part, so that the length of a build can be changed
# until then.
DECAY_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Settings:
    """One build: how many updates of BATCH_TOKENS tokens, at which rates."""

    iters: int
    muon_rate: float = 0.02
    embedding_rate: float = 2e-2
    adam_rate: float = 1e-3
    weight_decay: float = 0.1
    seed: int = 0


def build_tokenizer(texts: Sequence[Text], folder: Path) -> None:
    """Train byte-level BPE on the texts; writes tokenizer.json and tokenizer_config.json."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text.text for text in texts], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": SPECIAL[2],
            "pad_token": SPECIAL[0],
            "model_max_length": CONTEXT,
            "chat_template": CHAT_TEMPLATE,
        },
    )


def tokenize_texts(texts: Sequence[Text], tokenizer: Any) -> list[list[int]]:
    """The tokens of each text, followed by an end token."""
    return [[*tokenizer.encode(text.text, add_special_tokens=False, verbose=False), 0] for text in texts]


def cut_rows(texts: Sequence[Sequence[int]], width: int) -> list[TokenRow]:
    """All texts end to end, cut into rows that predict `width` tokens each; under half a row at the end is dropped."""
    stream = [token for text in texts for token in text]
    pieces = [stream[i : i + width + 1] for i in range(0, len(stream) - 1, width)]
    return [TokenRow(tuple(piece), 1) for piece in pieces if len(piece) > width // 2]


def make_chat_row(chat: Chat, others: Sequence[Chat], tokenizer: Any, *, grounded: bool) -> TokenRow | None:
    """One chat as a row that supervises its answer; None if it is longer than the context."""
    tokens, offset = render_tokens(tokenizer, chat.write(others, grounded=grounded))
    return TokenRow(tuple(tokens), offset) if len(tokens) <= CONTEXT else None


def draw_chat_rows(chats: Sequence[Chat], tokenizer: Any, tokens: float, rng: np.random.Generator) -> list[TokenRow]:
    """Rows of about this many tokens in total, all supervised; most with their passage among up to two others."""
    rows: list[TokenRow] = []
    while tokens > 0 and chats:
        for i in rng.permutation(len(chats)):
            others = [chats[j] for j in rng.integers(0, len(chats), rng.integers(0, 3))]
            row = make_chat_row(chats[i], others, tokenizer, grounded=rng.random() < GROUNDED_SHARE)
            rows += [TokenRow(row.tokens, 1)] if row else []
            tokens -= len(row.tokens) if row else 0
            if tokens <= 0:
                break
    return rows


def draw_repeats(tokens: float, rng: np.random.Generator) -> list[TokenRow]:
    """Rows of about this many tokens in total: random tokens, repeated; supervised from the second time on."""
    rows: list[TokenRow] = []
    while tokens > 0:
        run = rng.integers(len(SPECIAL), VOCABULARY, rng.integers(16, SHORT // 2))
        rows.append(TokenRow(tuple(np.resize(run, SHORT + 1).tolist()), len(run) + 1))
        tokens -= SHORT
    return rows


def iterate_passes(texts: Sequence[Text], tokenizer: Any, seed: int) -> Iterator[Batch]:
    """Endless batches of about BATCH_TOKENS tokens, a third of them chat; pass n depends on (seed, n)."""
    tokens = tokenize_texts(texts, tokenizer)
    chats = [chat for text in texts for chat in make_chats(text)]
    pass_number = 0
    while True:
        rng = np.random.default_rng((seed, pass_number))
        order = rng.permutation(len(tokens)).tolist()
        long = int(len(order) * LONG_SHARE)
        rows = cut_rows([tokens[i] for i in order[long:]], SHORT) + cut_rows([tokens[i] for i in order[:long]], CONTEXT)
        wanted = CHAT_SHARE / (1 - CHAT_SHARE) * sum(len(row.tokens) for row in rows)
        rows += draw_chat_rows(chats, tokenizer, wanted, rng)
        rows += draw_repeats(REPEAT_SHARE * sum(len(row.tokens) for row in rows), rng)
        batches = _cut_batches(sorted(rows, key=lambda row: len(row.tokens)))
        for index in rng.permutation(len(batches)):
            yield make_batch(*batches[index])
        pass_number += 1


def _cut_batches(rows: Sequence[TokenRow]) -> list[tuple[list[TokenRow], int]]:
    """Runs of neighbouring rows whose padded size stays within BATCH_TOKENS."""
    batches: list[tuple[list[TokenRow], int]] = []
    current: list[TokenRow] = []
    for row in rows:
        widest = max(len(other.tokens) for other in [*current, row])
        if current and (len(current) + 1) * (widest - 1) > BATCH_TOKENS:
            batches.append((current, len(current)))
            current = []
        current.append(row)
    return [*batches, (current, len(current))] if current else batches


def make_model(seed: int) -> nn.Module:
    """A float32 Qwen2 of CONFIG with small random weights."""
    from mlx_lm.models.qwen2 import Model, ModelArgs

    use_openblas()
    mx.random.seed(seed)
    model = Model(ModelArgs.from_dict(CONFIG))
    depth = 1 / math.sqrt(2 * CONFIG["num_hidden_layers"])  # type: ignore[operator]

    def spread(path: str, value: mx.array) -> mx.array:
        if value.ndim < 2:
            return value
        return mx.random.normal(value.shape) * (
            0.02 * depth if path.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
        )

    model.update(tree_unflatten([(path, spread(path, value)) for path, value in tree_flatten(model.parameters())]))
    wire_induction(model, seed)
    mx.eval(model.parameters())
    return model


class DecayingMuon(optim.Muon):  # type: ignore[misc]
    """Muon with decoupled weight decay, as in AdamW: mlx's own decay is lost when the update is orthogonalized."""

    def __init__(self, rate: Any, decay: float):
        super().__init__(rate, momentum=0.95, weight_decay=0.0)
        self.decay = decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: Any) -> mx.array:
        kept = parameter * (1 - self.decay * self.learning_rate)
        updated: mx.array = super().apply_single(gradient, kept, state)
        return updated


def make_optimizer(settings: Settings) -> optim.Optimizer:
    """Muon for most matrices of the layers, AdamW for the rest; a warm-up, and a decay to zero at the end."""

    def schedule(peak: float) -> Any:
        decay = settings.iters * DECAY_SHARE
        return lambda step: peak * mx.minimum(mx.minimum((step + 1) / WARMUP, 1.0), (settings.iters - step) / decay)

    muon = DecayingMuon(schedule(settings.muon_rate), settings.weight_decay)
    embedding, adam = (
        optim.AdamW(schedule(rate), betas=[0.9, 0.95], weight_decay=0.0)
        for rate in (settings.embedding_rate, settings.adam_rate)
    )
    inside = [
        # Muon changes a matrix equally in all directions: weights set by hand would be lost in a few steps.
        lambda path, value: "layers" in path and value.ndim == 2 and not path.startswith(WIRED),
        lambda path, value: "embed_tokens" in path,
    ]
    return optim.MultiOptimizer([muon, embedding, adam], inside)


def compute_loss(
    model: Any, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array
) -> tuple[mx.array, mx.array]:
    """As `mlx_tutor.training.loss.compute_loss`, but faster on a CPU, and with a gradient for the head."""
    entropies: Any = compute_entropy(compute_logits(model, inputs, positions), targets)
    count = weights.sum()
    return (entropies * weights).sum() / count, count


def train_starter(texts: Sequence[Text], tokenizer: Any, settings: Settings, work: Path) -> nn.Module:
    """Train through mlx-lm's trainer; with the checkpoints in `work`, a second call continues the first."""
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner.trainer import TrainingArgs, TrainingCallback, train

    make_console().quiet = True
    model = make_model(settings.seed)
    optimizer = make_optimizer(settings)
    optimizer.init(model.trainable_parameters())
    done = _load_checkpoint(work, model, optimizer)
    begun = time.perf_counter()

    def iterate(**_: Any) -> Iterator[Batch]:
        for step, batch in enumerate(iterate_passes(texts, tokenizer, settings.seed)):
            if step < done:
                continue
            if step > done and step % CHECKPOINT_STEPS == 0:
                _save_checkpoint(work, model, optimizer, step)
            yield batch

    class Report(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            minutes = (time.perf_counter() - begun) / 60
            print(
                f"{done + train_info['iteration']}/{settings.iters} loss {train_info['train_loss']:.3f} "
                f"{train_info['tokens_per_second']:.0f} tok/s {minutes:.1f} min",
                flush=True,
            )

    if done < settings.iters:
        arguments = TrainingArgs(
            iters=settings.iters - done,
            steps_per_report=20,
            steps_per_save=settings.iters + 1,
            adapter_file=str(work / "last.safetensors"),
        )
        with use_fast_ops():
            train(model, optimizer, [], None, arguments, compute_loss, iterate, Report())
        _save_checkpoint(work, model, optimizer, settings.iters)
    return model


def _save_checkpoint(work: Path, model: nn.Module, optimizer: optim.Optimizer, step: int) -> None:
    state = {f"model.{path}": value for path, value in tree_flatten(model.parameters())}
    state |= {f"optimizer.{path}": value for path, value in tree_flatten(optimizer.state)}
    metadata = {"step": str(step)}
    write_file(work / "checkpoint.safetensors", lambda path: mx.save_safetensors(str(path), state, metadata))


def _load_checkpoint(work: Path, model: nn.Module, optimizer: optim.Optimizer) -> int:
    path = work / "checkpoint.safetensors"
    if not path.is_file():
        return 0
    loaded: Any = mx.load(str(path), return_metadata=True)
    state, metadata = loaded
    mx.eval(state)
    parts: dict[str, list[tuple[str, mx.array]]] = {"model": [], "optimizer": []}
    for name, value in state.items():
        part, _, rest = name.partition(".")
        parts[part].append((rest, value))
    model.load_weights(parts["model"])
    optimizer.state = tree_unflatten(parts["optimizer"])
    return int(metadata["step"])


def save_starter(model: nn.Module, tokenizer_folder: Path, target: Path) -> None:
    """Quantize to 4 bits with float32 scales, and write a complete model folder."""
    from mlx_lm.utils import quantize_model, save_config, save_model

    model, config = quantize_model(model, dict(CONFIG), group_size=64, bits=4)
    model.update(tree_map(lambda a: a if a.dtype == mx.uint32 else a.astype(mx.float32), model.parameters()))
    target.mkdir(parents=True, exist_ok=True)
    save_model(target, model)
    save_config(config, target / "config.json")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer_folder / name, target)


def measure_starter(path: Path, held_out: Sequence[Text]) -> dict[str, float]:
    """Loss of the quantized model on the held-out texts.

    Returns:
        nats_per_token and bits_per_byte on plain text cut into rows as long as the context; answer_loss in nats a token
        on chat answers, without and with the passage that they are taken from.
    """
    loaded = load_model(path)
    rows = cut_rows(tokenize_texts(held_out, loaded.tokenizer), CONTEXT)
    nats = measure_loss(loaded.model, rows, 4)
    tokens = sum(row.supervised for row in rows)
    # Bytes of exactly the tokens that were predicted; end tokens count as no bytes.
    size = sum(len(loaded.tokenizer.decode([t for t in row.tokens[1:] if t]).encode()) for row in rows)
    chats = [chat for text in held_out for chat in make_chats(text)]

    def measure_answers(*, grounded: bool) -> float:
        found = [
            make_chat_row(chat, [chats[i - 1]], loaded.tokenizer, grounded=grounded) for i, chat in enumerate(chats)
        ]
        return round(measure_loss(loaded.model, [row for row in found if row], 8), 4)

    return {
        "nats_per_token": round(nats, 4),
        "bits_per_byte": round(nats * tokens / math.log(2) / size, 4),
        "answer_loss": measure_answers(grounded=False),
        "answer_loss_with_passage": measure_answers(grounded=True),
        "held_out_tokens": tokens,
        "held_out_bytes": size,
    }


def build_starter(text_dir: Path, target: Path, settings: Settings, work: Path) -> dict[str, Any]:
    """Tokenizer, training, quantization and measurement; returns the measurements."""
    training, held_out = read_texts(text_dir)
    if not (work / "tokenizer.json").is_file():
        build_tokenizer(training, work)
        write_json(work / "config.json", CONFIG)
    tokenizer = load_tokenizer(work)
    begun = time.perf_counter()
    model = train_starter(training, tokenizer, settings, work)
    save_starter(model, work, target)
    report: dict[str, Any] = measure_starter(target, held_out)
    report["iterations"] = settings.iters
    report["seconds_of_last_call"] = round(time.perf_counter() - begun)
    report["megabytes"] = round(sum(file.stat().st_size for file in target.iterdir()) / 1e6, 2)
    write_json(work / "report.json", report)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.starter.build", description=__doc__)
    parser.add_argument("text_dir", type=Path, help="folder with .jsonl.xz, .jsonl, .md or .txt files")
    parser.add_argument("--target", type=Path, default=STARTER_PATH, help="model folder to write")
    parser.add_argument("--work", type=Path, default=Path("starter-work"), help="checkpoints; delete to start afresh")
    parser.add_argument("--quick", action="store_true", help="about ten minutes instead of two hours, on two cores")
    parser.add_argument("--iters", type=int, help="updates of about 4,096 tokens (default 3600; --quick 300)")
    args = parser.parse_args()
    settings = Settings(iters=args.iters or (300 if args.quick else 3600))
    args.work.mkdir(parents=True, exist_ok=True)
    print(json.dumps(build_starter(args.text_dir, args.target, settings, args.work), indent=2))


if __name__ == "__main__":
    main()
