"""What goes with a fused model: its system prompt, and the settings that other programs begin with."""

from pathlib import Path

from transformers import GenerationConfig

from mlx_tutor.files import read_json, write_json
from mlx_tutor.fuse.card import write_card, write_generation
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.workspace import Run

SETTINGS = GenerateSettings(temp=0.4, top_p=0.8, repetition_penalty=1.3, max_tokens=90)


def test_settings_of_the_base_stay_and_the_recipes_overrule_them(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"eos_token_id": [2, 0], "bos_token_id": 1})
    write_json(tmp_path / "generation_config.json", {"temperature": 0.7, "top_k": 20, "eos_token_id": 7})
    write_generation(tmp_path, SETTINGS)
    found = GenerationConfig.from_pretrained(tmp_path)
    assert (found.temperature, found.top_p, found.repetition_penalty, found.max_new_tokens) == (0.4, 0.8, 1.3, 90)
    assert (found.do_sample, found.top_k, found.eos_token_id) == (True, 20, 7)


def test_a_base_without_settings_gets_its_end_tokens_with_them(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"eos_token_id": [2, 0], "model_type": "qwen2"})
    write_generation(tmp_path, GenerateSettings())
    found = read_json(tmp_path / "generation_config.json")
    assert found["eos_token_id"] == [2, 0] and found["do_sample"] is False and "model_type" not in found


def test_the_card_has_the_system_prompt_word_for_word(tmp_path: Path) -> None:
    run, prompt = Run(tmp_path, "demo"), 'Be patient.\n# Say "so" & <b>why</b>.'
    result = {"loss_base": 2.0, "loss_adapter": 1.0, "loss_fused": 1.0, "rows": 3, "total_rows": 3, "tried": []}
    record = {"base": "b", "course": "c", "recipe": {"course": {"system_prompt": prompt}}}
    write_json(run.adapter / "run.json", record)
    assert all(f"\n    {line}\n" in write_card(run, result, "kept") for line in prompt.splitlines())
    record["recipe"] = {"course": {"system_prompt": ""}}
    write_json(run.adapter / "run.json", record)
    assert "without a system prompt" in write_card(run, result, "kept")
