"""`mlx-tutor export` of a fused model, and what goes with the model; of the rows: test_build_tables.py."""

import json
import shlex
from pathlib import Path

from tests.commands.conftest import Invoke
from tests.fuse.exports import make_fused, read_modelfile


def test_a_fused_model_for_ollama_and_llama_cpp(finished: Path, invoke: Invoke) -> None:
    make_fused(finished)
    exports = finished / "corpora" / "demo" / "exports"
    result = invoke("export", "ollama")
    assert result.exit_code == 0, result.output
    assert "F16" in result.stdout and "the same top token on 200 of 200" in result.stdout
    last = result.stdout.splitlines()[-1]
    modelfile = exports / "demo-ollama" / "Modelfile"
    assert f"ollama create demo -f {modelfile}" in last and last.endswith("--quantize q4_K_M")
    # What `finished` was trained with.
    assert read_modelfile(modelfile.parent)["SYSTEM"] == ["Tutor."]
    assert invoke("export", "ollama").exit_code == 1
    result = invoke("export", "gguf", "--type", "q8_0", "--run", "demo", "--set", "generate.temp=0.5")
    path = exports / "demo-q8_0.gguf"
    assert result.exit_code == 0 and "Q8_0" in result.stdout
    assert shlex.split(result.stdout.splitlines()[-1])[-2:] == ["-sys", "Tutor."] and path.is_file()
    found = json.loads(invoke("export", "gguf", "--to", "mine.gguf", "--json").stdout)
    assert found["path"] == "mine.gguf" and found["type"] == "f16" and found["top1"] == 1.0


def test_without_rows_it_is_not_compared_and_says_so(finished: Path, invoke: Invoke) -> None:
    make_fused(finished)
    for file in (finished / "corpora" / "demo" / "dataset").glob("*.jsonl"):
        file.unlink()
    result = invoke("export", "gguf")
    assert result.exit_code == 0 and "not compared" in result.stderr and "read back" not in result.stdout


def test_problems_are_one_line(workspace: Path, invoke: Invoke) -> None:
    result = invoke("export", "ollama")
    assert result.exit_code == 1 and "mlx-tutor train -c demo" in result.stderr and result.stderr.count("\n") == 1
    assert invoke("export", "ollama", "--type", "f16").exit_code == 2
    assert invoke("export", "hub", "--run", "demo").exit_code == 2


def test_a_tokenizer_without_merges_is_refused(finished: Path, invoke: Invoke) -> None:
    result = invoke("export", "gguf")
    assert result.exit_code == 1 and "byte-level BPE with merges" in result.stderr
    assert not (finished / "corpora" / "demo" / "exports").exists() or not any(
        (finished / "corpora" / "demo" / "exports").iterdir()
    )


def test_a_changed_recipe_changes_the_settings_and_not_the_weights(finished: Path, invoke: Invoke) -> None:
    folder = finished / "fused_models" / "demo"
    weights, file = folder / "model.safetensors", folder / "generation_config.json"
    assert json.loads(file.read_text())["max_new_tokens"] == 12 and "Tutor." in (folder / "README.md").read_text()
    written = weights.stat().st_mtime_ns
    result = invoke("fuse", "--set", "generate.temp=0.6")
    assert result.exit_code == 0, result.output
    assert json.loads(file.read_text())["temperature"] == 0.6 and weights.stat().st_mtime_ns == written
