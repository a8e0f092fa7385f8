"""Training: same bytes twice, loads like any other model, learns."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

from refusal_stability.engines.open import open_engine
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.reference_models import ReferenceModelParams
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.records import Intervention, Message, Request, Sampling
from refusal_stability.reference_model.training import Example, batched, rate_factor, tensors, train_reference_model

PROMPTS = builtin_prompts()[:8]
TINY = {"samples_per_prompt": 20, "batch_size": 16, "hidden_size": 64, "heads": 2, "layers": 1, "vocabulary": 640}


def trained(folder: Path, **settings: object) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    folder.mkdir()
    train_reference_model(
        ReferenceModelParams(**{**TINY, **settings}),  # type: ignore[arg-type]
        PROMPTS,
        folder,
        lambda done, total: steps.append((done, total)),
    )
    return steps


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "model"
    assert trained(folder) == [(i + 1, 10) for i in range(10)]  # 8 prompts x 20 samples / 16 a batch
    return folder


def test_training_twice_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    trained(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(model)
    trained(tmp_path / "other", seed=1)
    assert digests(tmp_path / "other")["model.safetensors"] != digests(model)["model.safetensors"]


def test_a_model_is_saved_in_hugging_face_format_with_its_planted_shares_and_record(model: Path) -> None:
    names = {f.name for f in model.iterdir()}
    assert names == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "planted_shares.csv",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_record.json",
    }
    config = json.loads((model / "config.json").read_text())
    assert config["model_type"] == "llama"
    assert config["max_position_embeddings"] >= 1024
    record = json.loads((model / "training_record.json").read_text())
    assert record["conversations"] == 160
    assert record["steps"] == 10
    with (model / "planted_shares.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["prompt"] for row in rows if row["context"] == "plain"] == [p.text for p in PROMPTS]


def test_transformers_loads_it_by_path_and_its_template_renders_every_role(model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chat = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Why?")]
    text = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in chat], tokenize=False, add_generation_prompt=True
    )
    assert text == ("<|start|><|system|>Be brief.<|user|>Hi<|assistant|>Hello.<|end|><|user|>Why?<|assistant|>")
    loaded = AutoModelForCausalLM.from_pretrained(model)
    assert loaded.config.vocab_size == loaded.get_input_embeddings().weight.shape[0] == 640
    assert len(tokenizer) <= 640
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert loaded.generation_config.eos_token_id == tokenizer.eos_token_id


def test_the_template_rejects_a_role_that_it_does_not_know(model: Path) -> None:
    from jinja2 import TemplateError
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    with pytest.raises(TemplateError, match="not tool"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


@pytest.mark.parametrize("text", ["naïve 🙂 \n\ttext", "a  b", " lead", "\u2028", '{"a": [1]}'])
def test_the_tokenizer_gives_any_text_back(model: Path, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(tokens, clean_up_tokenization_spaces=False) == text


def test_the_transformers_engine_completes_under_an_intervention(model: Path) -> None:
    intervention = Intervention("both", "Be careful.", (Message("user", "Hi"), Message("assistant", "Hello.")))
    engine = open_engine(ModelParams(path=str(model), settings={"device": "cpu"}), "models.tiny")
    requests = [Request(intervention.messages(p), Sampling(1.0, 1, 7, max_tokens=12)) for p in PROMPTS]
    answers = dict(engine.complete(requests))
    engine.close()
    assert sorted(answers) == list(range(len(PROMPTS)))
    assert all(a.missing_reason is None and a.completion_tokens > 0 for a in answers.values())


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    trained(tmp_path / "short")
    trained(tmp_path / "long", samples_per_prompt=100)
    short, long = (json.loads((tmp_path / n / "training_record.json").read_text()) for n in ("short", "long"))
    assert long["final_loss"] < short["final_loss"] / 2


def test_the_rate_warms_up_to_one_and_falls_to_nearly_zero() -> None:
    # 5 % of 100 steps: 1/5, 2/5, ... 1; then half a cosine, one half in the middle of the remaining 95 steps
    assert [rate_factor(step, 100) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rate_factor(5, 100) == pytest.approx(1.0)
    assert rate_factor(52, 100) == pytest.approx(0.5, abs=0.02)
    assert 0 < rate_factor(99, 100) < 0.001


def test_only_the_reply_is_learnt_and_each_position_predicts_the_next_token() -> None:
    # Tokens 1 2 3 | 4 5: inputs 1 2 3 4; position 2 (token 3) must predict 4, position 3 (token 4) must predict 5.
    inputs, targets = tensors([Example([1, 2, 3, 4, 5], 3), Example([6, 7, 8], 1)], pad=0)
    assert inputs.tolist() == [[1, 2, 3, 4], [6, 7, 0, 0]]
    assert targets.tolist() == [[-100, -100, 4, 5], [7, 8, -100, -100]]


def test_batches_hold_every_example_once_and_never_mix_blocks() -> None:
    blocks = [[Example([b] * (5 + i % 7), 1) for i in range(50)] for b in range(3)]
    made = list(batched(blocks, 4, seed=1))
    for block, batches in zip(blocks, made, strict=True):
        assert all(1 <= len(batch) <= 4 for batch in batches)
        flat = [example for batch in batches for example in batch]
        assert sorted(map(id, flat)) == sorted(map(id, block))
