"""GGUF fields -> tokenizer.json and tokenizer_config.json, chat template included."""

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from mlx_tutor.files import write_json
from mlx_tutor.gguf.read import GGUFFile


class Kind(IntEnum):
    """`tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


# Values of `tokenizer.ggml.model`, and SentencePiece's character for a blank.
BYTE_LEVEL, SENTENCEPIECE, BLANK = "gpt2", "llama", "\u2581"
# How text is split before merging, by `tokenizer.ggml.pre`; the expressions are those of the models.
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# Tokens that end a turn, for files that name only the end of a document.
TURN_ENDS = ("<|im_end|>", "<|eot_id|>")


def write_tokenizer(file: GGUFFile, folder: Path, context: int) -> list[int]:
    """Write the tokenizer into a model folder; returns the tokens that end an answer, that of the turn first.

    Raises:
        ModelError: no chat template, or a vocabulary that cannot become a tokenizer.json with the same ids.
    """
    template = file.get("tokenizer.chat_template")
    if not template:
        raise file.refuse("has no chat template", "Take the Instruct or Chat model instead of the base model.")
    vocabulary = _Vocabulary(file)
    tokenizer = vocabulary.build()
    tokenizer.save(str(folder / "tokenizer.json"))
    ends = vocabulary.find_ends(template)
    special = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    names = {ours: vocabulary.find_named(theirs) for ours, theirs in special.items()} | {"eos": ends[0]}
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": vocabulary.tokens[index] for name, index in names.items() if index is not None},
        "chat_template": template,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }
    write_json(folder / "tokenizer_config.json", config)
    return ends


class _Vocabulary:
    """The tokens of a file, with their kinds and roles."""

    def __init__(self, file: GGUFFile) -> None:
        self.file = file
        self.tokens: list[str] = file.require("tokenizer.ggml.tokens")
        self.kinds: list[int] = file.get("tokenizer.ggml.token_type", [Kind.NORMAL] * len(self.tokens))
        if len(self.kinds) != len(self.tokens):
            raise file.refuse(f"has {len(self.tokens)} tokens, and kinds for {len(self.kinds)} of them")

    def build(self) -> Tokenizer:
        """The tokenizer, with the ids of the file."""
        model = self.file.require("tokenizer.ggml.model")
        if model not in (BYTE_LEVEL, SENTENCEPIECE):
            raise self.file.refuse(f"has a tokenizer of the kind {model!r}, which mlx-tutor does not convert")
        tokenizer = self._build_byte_level() if model == BYTE_LEVEL else self._build_sentencepiece()
        self._begin_texts(tokenizer)
        self._add_tokens(tokenizer)
        return tokenizer

    def find_named(self, name: str) -> int | None:
        """The id of the bos, eos, unknown or padding token; None if the file names none."""
        index: int | None = self.file.get(f"tokenizer.ggml.{name}_token_id")
        if index is not None and not 0 <= index < len(self.tokens):
            raise self.file.refuse(f"names token {index} as its {name} token, but has only {len(self.tokens)}")
        return index

    def find_ends(self, template: str) -> list[int]:
        """The tokens that end an answer: first the end of the turn in the template, then those that the file names."""
        turns = [
            index
            for index, (token, kind) in enumerate(zip(self.tokens, self.kinds, strict=True))
            if kind == Kind.CONTROL and token in TURN_ENDS and token in template
        ]
        named = [index for name in ("eot", "eos") if (index := self.find_named(name)) is not None]
        if not (ends := list(dict.fromkeys(turns + named))):
            raise self.file.refuse("names no token that ends an answer")
        return ends

    def _build_byte_level(self) -> Tokenizer:
        """Byte-level BPE, as of GPT-2, Qwen, Llama 3 and SmolLM."""
        pre = self.file.get("tokenizer.ggml.pre", "")
        # transformers splits a Qwen model's text by Qwen's expression, whatever tokenizer.json says.
        fitting = ["qwen2"] if self.file.architecture.startswith("qwen") else sorted(CUTS)
        if pre not in fitting:
            known = ", ".join(fitting)
            named = f"cuts its text by {pre!r}" if pre else "does not say how it cuts its text (tokenizer.ggml.pre)"
            raise self.file.refuse(named, f"Known here: {known}. Take another file of this model.")
        merges = [tuple(merge.split(" ", 1)) for merge in self.file.require("tokenizer.ggml.merges")]
        words = {token: index for index, token in self._list_words()}
        if lost := next((m for m in merges if len(m) != 2 or not {*m, "".join(m)} <= words.keys()), None):
            raise self.file.refuse(f"merges {' and '.join(lost)!r}, which are not in its vocabulary")
        # Llama 3 has whole words that its merges cannot build.
        model = models.BPE(vocab=words, merges=merges, ignore_merges=CUTS[pre] is _cut_llama3)
        tokenizer = Tokenizer(model)
        if self.file.architecture.startswith("qwen"):
            tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = CUTS[pre]()
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def _build_sentencepiece(self) -> Tokenizer:
        """SentencePiece's BPE, as in Llama 2: blanks are characters, and what no piece covers becomes bytes."""
        if self.file.get("tokenizer.ggml.remove_extra_whitespaces", False):
            raise self.file.refuse("has a tokenizer that drops blanks, which mlx-tutor does not convert")
        words = {token: index for index, token in self._list_words()}
        scores: list[float] = self.file.require("tokenizer.ggml.scores")
        unknown = self.find_named("unknown")
        tokenizer = Tokenizer(
            models.BPE(
                vocab=words,
                merges=self._list_merges(words, scores),
                unk_token=None if unknown is None else self.tokens[unknown],
                fuse_unk=True,
                byte_fallback=all(f"<0x{byte:02X}>" in words for byte in range(256)),
            )
        )
        prefix = self.file.get("tokenizer.ggml.add_space_prefix", True)
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(BLANK)] * prefix + [normalizers.Replace(" ", BLANK)]
        )
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
            + [decoders.Strip(" ", 1, 0)] * prefix
        )
        return tokenizer

    def _list_merges(self, words: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
        """All pairs of pieces that form a piece, highest score first: SentencePiece's own order."""
        if len(scores) != len(self.tokens):
            raise self.file.refuse(f"has {len(self.tokens)} tokens and {len(scores)} scores")
        pairs = [
            (-scores[index], words[piece[:cut]], words[piece[cut:]])
            for piece, index in words.items()
            if self.kinds[index] == Kind.NORMAL
            for cut in range(1, len(piece))
            if piece[:cut] in words and piece[cut:] in words
        ]
        return [(self.tokens[left], self.tokens[right]) for _, left, right in sorted(pairs)]

    def _list_words(self) -> list[tuple[int, str]]:
        """Ids and tokens, each token once, without those that only pad the weights."""
        words = [(i, token) for i, token in enumerate(self.tokens) if self.kinds[i] != Kind.UNUSED]
        if len({token for _, token in words}) < len(words):
            raise self.file.refuse("has a token twice in its vocabulary")
        return words

    def _begin_texts(self, tokenizer: Tokenizer) -> None:
        """Put the bos token before each text if the file says so; conversations get it from their template."""
        index = self.find_named("bos")
        # llama.cpp's default.
        model, pre = (self.file.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
        usual = model == SENTENCEPIECE or CUTS.get(pre) is _cut_llama3
        if index is not None and self.file.get("tokenizer.ggml.add_bos_token", usual):
            bos = self.tokens[index]
            tokenizer.post_processor = processors.TemplateProcessing(
                single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, index)]
            )

    def _add_tokens(self, tokenizer: Tokenizer) -> None:
        """Add the tokens that are matched before all others: control tokens and added ones."""
        for index, token in self._list_words():
            kind = self.kinds[index]
            if kind not in (Kind.CONTROL, Kind.USER_DEFINED, Kind.UNKNOWN):
                continue
            special = kind != Kind.USER_DEFINED
            add: Callable[[list[AddedToken]], int] = tokenizer.add_special_tokens if special else tokenizer.add_tokens
            add([AddedToken(token, special=special, normalized=False)])
        for index, token in self._list_words():
            if tokenizer.token_to_id(token) != index:
                raise self.file.refuse(
                    f"has {token!r} as token {index}, and it would become {tokenizer.token_to_id(token)}"
                )


def _cut_by(expression: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(expression), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _cut_qwen2() -> pre_tokenizers.PreTokenizer:
    return _cut_by(QWEN2)


def _cut_llama3() -> pre_tokenizers.PreTokenizer:
    return _cut_by(LLAMA3)


def _cut_gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def _cut_smollm() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _cut_gpt2()])


CUTS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    "gpt-2": _cut_gpt2,
    "llama-bpe": _cut_llama3,
    "qwen2": _cut_qwen2,
    "smollm": _cut_smollm,
}
