"""Where benchmarks take their inputs: MLX_TUTOR_BENCH_DATA, or the sample course and the starter model."""

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlx_tutor.models import LoadedModel

ROOT = Path(__file__).parent.parent.parent
# Qwen2.5-0.5B, whose vocabulary is what makes the head dear.
SHAPE = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
}
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", re.DOTALL)


def find_data(name: str) -> Path | None:
    """A file or folder of MLX_TUTOR_BENCH_DATA; None, with a line that says what is used instead, where it is not."""
    folder = os.environ.get("MLX_TUTOR_BENCH_DATA")
    if folder and (Path(folder) / name).exists():
        return Path(folder) / name
    print(f"MLX_TUTOR_BENCH_DATA has no {name}: measuring on the sample course instead.", file=sys.stderr)
    return None


def read_chatml(path: Path) -> list[dict[str, Any]]:
    """Rows of one ChatML `text` each, as messages."""
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {"messages": [{"role": role, "content": text.strip()} for role, text in TURN.findall(row)]} for row in texts
    ]


def build_sample() -> list[dict[str, Any]]:
    """The training rows of the sample course, made for the starter."""
    return build_splits()["train"]


def build_splits() -> dict[str, list[dict[str, Any]]]:
    """All rows of the sample course, by split."""
    from mlx_tutor.dataset.build import build_dataset, read_rows
    from mlx_tutor.extract.extract import extract_course
    from mlx_tutor.models import hash_tokenizer, load_tokenizer, render_tokens, resolve_model
    from mlx_tutor.recipe import load_recipe
    from mlx_tutor.workspace import Course

    base = resolve_model("starter")
    tokenizer = load_tokenizer(base)
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "sample")
        course.root.mkdir(parents=True)
        course.sources.symlink_to(ROOT / "corpora" / "sample" / "sources")
        extract_course(course)
        recipe = load_recipe(ROOT / "corpora" / "sample" / "recipe.toml")
        build_dataset(course, recipe, lambda messages: len(render_tokens(tokenizer, messages)[0]), hash_tokenizer(base))
        return {split: read_rows(course, split) for split in ("train", "valid", "test")}


def load_inputs(layers: int) -> "tuple[LoadedModel, list[dict[str, Any]]]":
    """A model and rows: the shape with `layers` layers, vocabulary and rows where the data is; starter and sample else.

    The weights of the real shape are random, in float32.
    """
    import mlx.core as mx
    from mlx_lm.models.qwen2 import Model, ModelArgs
    from mlx_lm.utils import load_tokenizer

    from mlx_tutor.blas import use_openblas
    from mlx_tutor.models import LoadedModel, load_model, resolve_model

    use_openblas()

    vocabulary, rows = find_data("qwen2.5-tokenizer"), find_data("usc/courses.jsonl")
    if vocabulary is None or rows is None:
        return load_model(resolve_model("starter")), build_sample()
    template = vocabulary.parent / "chat-templates" / "qwen2.jinja"
    tokenizer = load_tokenizer(vocabulary, {"chat_template": template.read_text(encoding="utf-8")})
    config = {**SHAPE, "num_hidden_layers": layers}
    mx.random.seed(0)
    model = Model(ModelArgs.from_dict(config))
    mx.eval(model.parameters())
    return LoadedModel(model, tokenizer, config, vocabulary), read_chatml(rows)
