"""Tokenizers made from the fields of a GGUF file."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from mlx_tutor.extract.extract import read_source
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.gguf.convert import convert_gguf
from mlx_tutor.models import load_tokenizer
from mlx_tutor.workspace import Course
from tests.gguf.factory import make_gguf, make_tensors, write_gguf

ROOT = Path(__file__).parents[2]
ODD = [
    "12 345,678.90 \u00bd \u2164 \u0664\u0662",
    "don't I'LL we've  two  blanks\tand\ttabs\n\n\n  lines \r\n end ",
    "na\u00efve cafe\u0301 \u00c5ngstr\u00f6m \u0416\u0443\u043a",
    "\u4f60\u597d\uff0c\u4e16\u754c \U0001f44d\U0001f3fd \u200d",
    "def f(x):\n    return x**2  # comment\n\tif a!=b: print('...')",
    "\u00a0\u3000\u200b<|im_start|>user\n<|im_end|> [INST] <s>",
    "",
    " ",
    "\n",
    "\u2581under \u2581",
]


@pytest.fixture(scope="session")
def strings() -> list[str]:
    """Ten thousand pieces of the sample course, and odd ones."""
    sources = list_sources(Course(ROOT, "sample")).known.values()
    documents = [read_source(path, path.name)[1] for path in sources]
    text = "\n\n".join(section.text for document in documents if document for section in document.sections)
    return [*ODD, *_cut(text, 10_000)]


def _cut(text: str, count: int) -> Iterator[str]:
    """Pieces of many lengths that begin anywhere."""
    for number in range(count):
        start = number * 7919 % (len(text) - 400)
        yield text[start : start + 1 + number % 97]


def load(path: Path) -> Any:
    return load_tokenizer(convert_gguf(path))


def test_smollm2_gives_back_the_course_and_knows_its_special_tokens(smollm2: Path, strings: list[str]) -> None:
    tokenizer = load_tokenizer(smollm2)
    # The whole file at once; what answers in the end does the same.
    written = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    tokens = [found.ids for found in written.encode_batch(strings, add_special_tokens=False)]
    assert written.decode_batch(tokens, skip_special_tokens=False) == strings
    assert [tokenizer.encode(text) for text in strings[::20]] == tokens[::20]
    assert [tokenizer.decode(ids) for ids in tokens[::20]] == strings[::20]
    assert len({len(ids) for ids in tokens}) > 20
    named = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2, "<repo_name>": 3, "<empty_output>": 16}
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in named} == named
    assert tokenizer.encode("<|im_start|>user\n1980<|im_end|>")[0] == 1
    # Its digits stand alone, and a blank belongs to the word behind it.
    assert [tokenizer.decode([i]) for i in tokenizer.encode("the year 1980")] == ["the", " year", " ", *"1980"]
    assert (tokenizer.eos_token, tokenizer.bos_token) == ("<|im_end|>", "<|im_start|>")


CUTS = {
    "gpt-2": ["I", "'m", "\u0120in", "\u0120", "\u01202024", "!!"],
    "smollm": ["I", "'m", "\u0120in", "\u0120\u0120", "2", "0", "2", "4", "!!"],
    "qwen2": ["I", "'m", "\u0120in", "\u0120", "\u0120", "2", "0", "2", "4", "!!"],
    "llama-bpe": ["I", "'m", "\u0120in", "\u0120", "\u0120", "202", "4", "!!"],
}


@pytest.mark.parametrize("pre", CUTS)
def test_text_is_cut_as_the_file_says(tmp_path: Path, pre: str) -> None:
    architecture = "qwen2" if pre == "qwen2" else "llama"
    tokenizer = load(make_gguf(tmp_path / "model.gguf", architecture, tokenizer__ggml__pre=pre))
    cut = tokenizer._tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("I'm in  2024!!")
    assert [piece for piece, _ in cut] == CUTS[pre]


def test_ids_are_those_of_the_file_and_added_tokens_are_cut_out_first(tmp_path: Path, strings: list[str]) -> None:
    tokenizer = load(make_gguf(tmp_path / "model.gguf"))
    ids = tokenizer.encode("<tool>the the<|im_end|>")
    assert ids == [3, 261, 262, 2]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<tool>the the"
    # What only fills the weights up is no word of the language.
    assert 263 not in tokenizer.encode("[PAD0]")
    composed = [re.sub("e\u0301", "\u00e9", text) for text in strings[:2000]]
    assert [tokenizer.decode(tokenizer.encode(text)) for text in strings[:2000]] == composed


@pytest.mark.parametrize(("architecture", "composes"), [("qwen2", True), ("qwen3", True), ("llama", False)])
def test_only_qwen_composes_letters(tmp_path: Path, architecture: str, composes: bool) -> None:
    tokenizer = load(make_gguf(tmp_path / "model.gguf", architecture))
    assert (tokenizer.encode("e\u0301") == tokenizer.encode("\u00e9")) is composes


def test_a_text_begins_with_bos_where_the_file_says_so(tmp_path: Path) -> None:
    plain = load(make_gguf(tmp_path / "plain.gguf", tokenizer__ggml__add_bos_token=False))
    begun = load(make_gguf(tmp_path / "begun.gguf", tokenizer__ggml__add_bos_token=True))
    assert begun.encode("a") == [1, *plain.encode("a")]
    assert begun.encode("a", add_special_tokens=False) == plain.encode("a")


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_agrees_with_its_own_library(tmp_path: Path, strings: list[str], prefix: bool) -> None:
    import sentencepiece as spm

    trained = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(strings),
        model_writer=trained,
        model_type="bpe",
        vocab_size=1500,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=prefix,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    library = spm.SentencePieceProcessor(model_proto=trained.getvalue())
    path = write_sentencepiece(tmp_path / "model.gguf", library, prefix)
    tokenizer = load(path)
    texts = [text for text in strings if "<s>" not in text]
    ours = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    assert ours == library.encode(texts)
    assert [tokenizer.decode(ids) for ids in ours] == [library.decode(ids) for ids in ours]
    assert tokenizer.encode("mean")[0] == tokenizer.bos_token_id == 1


def write_sentencepiece(path: Path, library: Any, prefix: bool) -> Path:
    """A GGUF file with the vocabulary of a SentencePiece model, as llama.cpp's converter writes it."""
    count = library.get_piece_size()
    kinds = [
        2 if library.is_unknown(i) else 3 if library.is_control(i) else 6 if library.is_byte(i) else 1
        for i in range(count)
    ]
    import numpy as np
    from gguf import GGMLQuantizationType

    tensors = make_tensors("llama", "Q8_0")
    embedding = np.zeros((count, 256), np.float32)
    tensors["token_embd.weight"] = embedding, GGMLQuantizationType.F32
    fields = {
        "model": "llama",
        "pre": "default",
        "tokens": [library.id_to_piece(i) for i in range(count)],
        "scores": [float(library.get_score(i)) for i in range(count)],
        "token_type": kinds,
        "merges": None,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
        "padding_token_id": None,
        "add_space_prefix": prefix,
    }
    return write_gguf(path, "llama", tensors, **{f"tokenizer__ggml__{name}": value for name, value in fields.items()})
