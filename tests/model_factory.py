"""Small real models for tests, made in a second."""

import json
from pathlib import Path

import mlx.core as mx
from mlx_lm.models.qwen2 import Model, ModelArgs
from mlx_lm.utils import quantize_model, save_config, save_model

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_tokenizer(folder: Path, template: str = CHATML) -> None:
    """A byte-level tokenizer without merges: 256 bytes and the tokens of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def make_model(
    folder: Path,
    *,
    seed: int = 0,
    width: int = 64,
    layers: int = 2,
    bits: int | None = 4,
    tie: bool = True,
    dtype: mx.Dtype = mx.float32,
) -> Path:
    """Write a Qwen2 with random weights and its tokenizer; `bits` None: not quantized."""
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "intermediate_size": 2 * width,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6,
        "vocab_size": 320,
        "max_position_embeddings": 1024,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tie,
        "eos_token_id": [2, 0],
    }
    mx.random.seed(seed)
    model = Model(ModelArgs.from_dict(config))
    model.set_dtype(dtype)
    folder.mkdir(parents=True, exist_ok=True)
    if bits is not None:
        model, config = quantize_model(model, config, group_size=64, bits=bits)
    save_model(folder, model)
    save_config(config, folder / "config.json")
    make_tokenizer(folder)
    return folder
