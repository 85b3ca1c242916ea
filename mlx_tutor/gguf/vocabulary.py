"""tokenizer.json -> the tokenizer fields of a GGUF file, as llama.cpp reads them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gguf import GGUFWriter
from tokenizers import Tokenizer

from mlx_tutor.errors import ModelError
from mlx_tutor.gguf.tokenizer import BYTE_LEVEL, CUTS, Kind

# A text that each of CUTS splits differently: digits, contractions, case, line breaks, blanks, marks before letters.
PROBE = "It's 12345 O'CLOCK,  we'Ll (see)\n\n  it\t_now_: a+b=3.14 \u4e2d\u6587 caf\u00e9s \u0661\u0662\r\n ..!\n /x"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer as GGUF describes it; `ids` are those of bos, eos, eot, unk and pad, if the model has them."""

    tokenizer: Tokenizer
    ids: Mapping[str, int]
    template: str

    def add_to(self, writer: GGUFWriter, size: int) -> None:
        """Write tokens, their kinds, merges and special tokens; the vocabulary is padded to `size`.

        Raises:
            ModelError: not byte-level BPE, an unknown way of splitting, or more tokens than `size`.
        """
        model = json.loads(self.tokenizer.to_str())["model"]
        if model["type"] != "BPE" or model.get("byte_fallback") or not model["merges"]:
            raise ModelError(
                "The model's tokenizer is not byte-level BPE with merges: it cannot be written as GGUF. "
                "Use the fused model folder in LM Studio or mlx_lm."
            )
        tokens, kinds = self._list_tokens(size)
        writer.add_tokenizer_model(BYTE_LEVEL)
        writer.add_tokenizer_pre(name_cut(self.tokenizer))
        writer.add_token_list(tokens)
        writer.add_token_types(kinds)
        writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
        for name, index in self.ids.items():
            getattr(writer, f"add_{name}_token_id")(index)
        writer.add_add_bos_token(self._begins_texts())
        writer.add_chat_template(self.template)

    def _list_tokens(self, size: int) -> tuple[list[str], list[int]]:
        words = {index: token for token, index in self.tokenizer.get_vocab().items()}
        if max(words) >= size:
            raise ModelError(f"The model has weights for {size} tokens, and token {max(words)} in its tokenizer.")
        added: dict[int, Any] = self.tokenizer.get_added_tokens_decoder()
        tokens, kinds = [], []
        for index in range(size):
            tokens.append(words.get(index, f"[PAD{index}]"))
            if index not in words:
                kinds.append(Kind.UNUSED)
            elif index in added:
                kinds.append(Kind.CONTROL if added[index].special else Kind.USER_DEFINED)
            else:
                kinds.append(Kind.NORMAL)
        return tokens, [int(kind) for kind in kinds]

    def _begins_texts(self) -> bool:
        """Whether the tokenizer puts the bos token before each text."""
        ids = self.tokenizer.encode("a").ids
        return "bos" in self.ids and ids[0] == self.ids["bos"]


def name_cut(tokenizer: Tokenizer) -> str:
    """llama.cpp's name for how a tokenizer splits text before merging; one that splits PROBE the same way is the same.

    Raises:
        ModelError: none of CUTS.
    """
    own = tokenizer.pre_tokenizer
    for name, make in CUTS.items():
        if own is not None and own.pre_tokenize_str(PROBE) == make().pre_tokenize_str(PROBE):
            return name
    raise ModelError(
        f"The model's tokenizer cuts text in a way that is none of {', '.join(CUTS)}: it cannot be written as GGUF. "
        "Use the fused model folder in LM Studio or mlx_lm."
    )
