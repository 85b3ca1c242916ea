"""What mlx-tutor takes from other packages that they do not promise: private names, patched methods, texts of errors.

A new version that changes one fails here, with the place that uses it.
"""

import inspect
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlx_tutor.models import load_model


def test_pypdf_fonts() -> None:
    """extract/fonts.py: characters and widths of a font; the names of glyphs and of the font Symbol."""
    from pypdf._codecs import charset_encoding
    from pypdf._codecs.adobe_glyphs import adobe_glyphs
    from pypdf.generic import DictionaryObject, NameObject
    from pypdf.generic._font import Font

    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding"}
    font = Font.from_font_resource(DictionaryObject({NameObject(k): NameObject(v) for k, v in names.items()}))
    assert font.get_text_width("i") < font.get_text_width("W")
    assert font.space_width > 0 and font.space_char == " "
    assert isinstance(font.character_map, dict) and font.encoding
    assert adobe_glyphs["/alpha"] == "α" and charset_encoding["/Symbol"][0x61] == "α"


def test_sacrebleu_statistics() -> None:
    """evaluation/metrics.py: the statistics of each text, whose sums give the score of any choice of texts."""
    from sacrebleu.metrics.chrf import CHRF

    metric, texts, references = CHRF(word_order=2), ["the cat sat", "a dog"], ["the cat sits", "one dog"]
    statistics = np.asarray(metric._extract_corpus_statistics(texts, [references]), float)
    assert len(statistics) == 2
    whole = metric._compute_score_from_stats(statistics.sum(axis=0).tolist()).score
    assert whole == pytest.approx(metric.corpus_score(texts, [references]).score)


def test_mlx_lm_console_is_one_and_can_be_quiet() -> None:
    """training/train.py, training/plan.py: the trainer draws with the console that is made quiet."""
    from mlx_lm import cli_ui
    from mlx_lm.tuner import trainer

    assert cli_ui.make_console() is cli_ui.make_console()
    assert isinstance(cli_ui.make_console().quiet, bool)
    assert "make_console()" in inspect.getsource(trainer.TrainUI)


def test_mlx_lm_cache_can_be_copied_and_cut(tiny_model: Path) -> None:
    """evaluation/choice.py copies what was read for each option; generate.py cuts it."""
    from mlx_lm.models.cache import KVCache, can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

    model = load_model(tiny_model).model
    one, two = make_prompt_cache(model), make_prompt_cache(model)
    model(mx.array([[1, 2, 3, 4]]), cache=one)
    assert all(isinstance(layer, KVCache) and layer.offset == 4 for layer in one)
    for layer, copied in zip(two, one, strict=True):
        layer.keys, layer.values = copied.keys_and_values()
        layer.offset = copied.offset
    assert mx.allclose(model(mx.array([[5]]), cache=one), model(mx.array([[5]]), cache=two), atol=1e-5).item()
    assert can_trim_prompt_cache(one) and trim_prompt_cache(one, 2) == 2 and one[0].offset == 3


def test_layers_are_called_through_their_class(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """training/guard.py patches it; training/lower.py calls the layers itself, with hidden, mask and cache."""
    model = load_model(tiny_model).model
    kind, widths = type(model.layers[0]), list[int]()
    call = kind.__call__

    def note(layer: object, hidden: mx.array, *rest: object, **more: object) -> object:
        widths.append(hidden.shape[1])
        return call(layer, hidden, *rest, **more)

    assert list(inspect.signature(call).parameters)[1:] == ["x", "mask", "cache"]
    monkeypatch.setattr(kind, "__call__", note)
    mx.eval(model(mx.array([[1, 2, 3]])))
    assert widths == [3] * len(model.layers)


def test_new_programs_go_through_fork_exec() -> None:
    """study/exam/offline.py refuses it where no audit event tells of a new program."""
    import _posixsubprocess
    import multiprocessing.util

    assert callable(_posixsubprocess.fork_exec)
    assert "_posixsubprocess.fork_exec" in inspect.getsource(multiprocessing.util.spawnv_passfds)


def test_a_short_write_of_mlx_says_so(tmp_path: Path) -> None:
    """files.py maps it to a full disk: mlx has no type for it."""
    full = tmp_path / "full.safetensors"
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    full.symlink_to("/dev/full")
    with pytest.raises(RuntimeError, match="Unable to write"):
        mx.save_safetensors(str(full), {"a": mx.zeros((1 << 16,))})


def test_tensorboardx_writes_at_once(tmp_path: Path) -> None:
    """training/reporting.py: its writer without the thread."""
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event

    writer = EventsWriter(str(tmp_path / "events"))
    writer.write_event(Event(step=3))
    writer.flush()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    assert path.stat().st_size > 40
    writer.close()
