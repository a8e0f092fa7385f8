"""The transformers engine: the sampler, and rows that do not depend on their batch."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from refusal_stability.engines.packed_linear import pack_linear_layers
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.row_sampler import BLOCK, RowSampler, inverse_cdf, uniforms
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.records import Completion, Message, Request, Sampling, sampler_stream

TEMPERATURES = (0.0, 0.3, 0.7, 1.0)
SEEDS = (42, 43, 44)


def request(prompt: str, temperature: float, seed: int, max_tokens: int = 24, **options: object) -> Request:
    messages = (Message("user", prompt),)
    stream = sampler_stream(messages, temperature, seed)
    return Request(messages, Sampling(temperature, seed, stream, max_tokens=max_tokens, **options))


def grid(prompts: list[str]) -> list[Request]:
    return [request(p, t, s) for p in prompts for t in TEMPERATURES for s in SEEDS]


def complete(folder: Path, requests: list[Request], batch_size: int = 64) -> list[Completion]:
    engine = TransformersEngine(
        ModelParams(path=str(folder)), TransformersSettings(dtype="float32", device="cpu", batch_size=batch_size)
    )
    answers = dict(engine.complete(requests))
    engine.close()
    assert sorted(answers) == list(range(len(requests)))
    return [answers[i] for i in range(len(requests))]


def sampler(rows: list[Sampling], length: int = 1) -> RowSampler:
    return RowSampler(rows, width=0, length=length, device="cpu")


def draw(sampling: Sampling, scores: list[float]) -> int:
    chosen = sampler([sampling])(torch.zeros((1, 0), dtype=torch.long), torch.tensor([scores]))
    return int(chosen.argmax())


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("token", [1, 2])
def test_weights_that_give_no_numbers_are_an_error_and_no_empty_answer(
    token: int, temperature: float, wrong: float
) -> None:
    draws = sampler([Sampling(temperature, 0, 0)], length=2)
    before = torch.zeros((1, token - 1), dtype=torch.long)
    with pytest.raises(EngineError, match=rf"\(NaN or infinity\) for token {token} .*weights are damaged"):
        draws(before, torch.tensor([[0.0, wrong, 1.0]]))


def test_one_damaged_word_ends_the_run_where_it_is_written(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    tensors = load_file(folder / "model.safetensors")
    # No letter of the prompt, but some letter of every long answer.
    tensors["model.embed_tokens.weight"][2:40] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(EngineError, match="weights are damaged"):
        complete(folder, [request("abc", 1.0, 1, max_tokens=200)], batch_size=2)


@pytest.mark.parametrize("temperature", [1e-45, 1e-38, 1e-31, 1e-29, 1e-6])
def test_a_temperature_next_to_zero_takes_the_likeliest_token(temperature: float) -> None:
    assert draw(Sampling(temperature, 0, 0), [-3.0, 20.0, 31.0, 5.0]) == 2


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_token_that_a_grammar_forbids_is_never_drawn(temperature: float) -> None:
    scores = [float("-inf")] * (BLOCK + 2)
    scores[3] = scores[BLOCK + 1] = -30.0
    drawn = {draw(Sampling(temperature, 0, stream), scores) for stream in range(64)}
    assert drawn == ({3, BLOCK + 1} if temperature else {3})


def test_rows_do_not_depend_on_the_rows_that_share_their_batch(tiny_model: Path) -> None:
    requests = grid(["one", "a somewhat longer prompt than the first", "third?"])
    together = complete(tiny_model, requests)
    alone = complete(tiny_model, requests, batch_size=1)
    shuffled = [7, 3, *[i for i in range(len(requests)) if i not in (3, 7)]]
    reordered = complete(tiny_model, [requests[i] for i in shuffled], batch_size=5)
    assert [a.text for a in together] == [a.text for a in alone]
    assert [together[i] for i in shuffled] == reordered


def test_a_tokenizer_without_a_padding_token_pads_with_its_end_token(tiny_model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model, bare)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (bare / name).is_file():
            kept = json.loads((bare / name).read_text())
            kept.pop("pad_token", None)
            (bare / name).write_text(json.dumps(kept))
    requests = grid(["one", "a somewhat longer prompt"])
    assert [a.text for a in complete(bare, requests)] == [a.text for a in complete(tiny_model, requests)]


def test_what_a_killed_run_left_over_gets_the_same_texts(tiny_model: Path) -> None:
    requests = grid(["one", "two two", "a third prompt " * 6, "four"])
    whole = complete(tiny_model, requests, batch_size=32)
    for left in (1, 5, 17, 31):
        assert complete(tiny_model, requests[-left:], batch_size=32) == whole[-left:]


def test_a_prompt_computed_once_for_its_rows_gives_what_each_row_alone_would(tiny_model: Path) -> None:
    class Unshared(TransformersEngine):
        def _prefix(self, rows: Sequence[list[int]], width: int, length: int) -> dict[str, Any]:
            return {}

    requests = grid([f"prompt {i} " * (1 + i) for i in range(11)])
    settings = TransformersSettings(dtype="float32", device="cpu", batch_size=132)
    unshared = dict(Unshared(ModelParams(path=str(tiny_model)), settings).complete(requests))
    assert complete(tiny_model, requests, batch_size=132) == [unshared[i] for i in range(len(requests))]


@pytest.mark.parametrize(("room", "fewest", "most"), [(0, 50, 50), (100_000, 24, 49), (1 << 40, 23, 23)])
def test_prompts_kept_between_calls_give_the_texts_of_prompts_read_again(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, room: int, fewest: int, most: int
) -> None:
    """23 prompts, then 8 of them, then 19: nothing, some of them, or everything fits the memory."""
    monkeypatch.setattr("refusal_stability.engines.transformers.spare_memory", lambda _: room)
    prompts = [f"prompt {i} " * (1 + i % 5) for i in range(23)]
    rounds = [
        [request(prompt, temperature, seed) for prompt in prompts[some]]
        for temperature, seed, some in ((1.0, 1, slice(None)), (0.7, 2, slice(0, None, 3)), (1.0, 3, slice(1, 20)))
    ]
    settings = TransformersSettings(dtype="float32", device="cpu", batch_size=16)
    keeping, reading = (TransformersEngine(ModelParams(path=str(tiny_model)), settings) for _ in range(2))
    keeping.keep_prompts()
    keeping._load()
    n_read, compute = [], keeping._prompts._compute
    keeping._prompts._compute = lambda some: n_read.append(len(some)) or compute(some)
    for asked in rounds:
        assert dict(keeping.complete(asked)) == dict(reading.complete(asked))
    assert fewest <= sum(n_read) <= most


@given(st.sampled_from([(64, 258), (100, 333), (576, 1536)]), st.integers(2, 160), st.booleans())
def test_packed_layers_compute_the_same_and_a_row_the_same_bits_for_any_number_of_rows(
    shape: tuple[int, int], rows: int, bias: bool
) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(*shape, bias=bias))
    inputs = torch.randn(160, 1, shape[0])
    with torch.inference_mode():
        wanted = plain(inputs)
        if not pack_linear_layers(plain, 128):
            pytest.skip("this PyTorch was built without oneDNN")
        assert torch.equal(plain(inputs[:rows]), plain(inputs)[:rows])
        torch.testing.assert_close(plain(inputs), wanted, atol=1e-5, rtol=1e-5)


def test_other_layers_than_linear_ones_of_32_bit_floats_stay_as_they_are() -> None:
    class Doubled(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    model = torch.nn.Sequential(Doubled(4, 4), torch.nn.Linear(4, 4, dtype=torch.bfloat16), torch.nn.Embedding(4, 4))
    assert pack_linear_layers(model, 16) == 0
    assert [type(layer) for layer in model] == [Doubled, torch.nn.Linear, torch.nn.Embedding]


def test_a_batch_is_said_to_be_ready_until_its_last_row(tiny_model: Path) -> None:
    settings = TransformersSettings(dtype="float32", device="cpu", batch_size=5)
    engine = TransformersEngine(ModelParams(path=str(tiny_model)), settings)
    assert [engine.ready() for _ in engine.complete(grid(["one"]))] == [4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 1, 0]


@pytest.mark.parametrize("size", [2, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7])
def test_the_search_by_blocks_finds_what_one_cumulative_sum_finds(size: int) -> None:
    rng = np.random.default_rng(size)
    weights = rng.random((64, size)) ** 8 * (rng.random((64, size)) > 0.3)
    weights[:, -1] += 1e-3
    uniform = rng.random((64, 1))
    cumulative = np.cumsum(weights, axis=1)
    expected = (cumulative > uniform * cumulative[:, -1:]).argmax(axis=1)
    found = inverse_cdf(torch.tensor(weights), torch.tensor(uniform)).numpy()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53, 1.0])
def test_the_search_by_blocks_never_finds_weight_zero(uniform: float) -> None:
    weights = torch.zeros(1, 4 * BLOCK)
    weights[0, BLOCK + 3], weights[0, 2 * BLOCK + 5] = 0.1, 0.3
    assert int(inverse_cdf(weights, torch.tensor([[uniform]], dtype=torch.float64))) in (BLOCK + 3, 2 * BLOCK + 5)


def test_temperature_zero_ignores_the_seed_and_sampling_does_not(tiny_model: Path) -> None:
    answers = complete(tiny_model, grid(["one"]))
    texts = [a.text for a in answers]
    greedy, sampled = texts[: len(SEEDS)], texts[len(SEEDS) :]
    assert len(set(greedy)) == 1
    assert len(set(sampled)) == len(sampled)


def test_the_drawn_tokens_follow_the_softmax_at_the_rows_temperature() -> None:
    scores = np.array([1.0, 0.0, -1.0, 2.0])
    rows = [Sampling(0.7, 0, stream) for stream in range(4000)]
    chosen = sampler(rows)(torch.zeros((len(rows), 0), dtype=torch.long), torch.tensor(scores).float().repeat(4000, 1))
    counts = np.bincount(chosen.argmax(dim=1).numpy(), minlength=4)
    expected = np.exp(scores / 0.7) / np.exp(scores / 0.7).sum() * 4000
    assert stats.chisquare(counts, expected).pvalue > 0.001


def test_rows_of_different_temperatures_in_one_batch_each_get_their_own() -> None:
    rows = [Sampling(t, 0, stream) for stream in range(2000) for t in (0.0, 0.5, 2.0)]
    scores = torch.tensor([0.0, 1.0]).repeat(len(rows), 1)
    tokens = sampler(rows)(torch.zeros((len(rows), 0), dtype=torch.long), scores).argmax(dim=1).reshape(-1, 3).double()
    greedy, cold, hot = tokens.mean(dim=0).tolist()
    assert greedy == 1.0
    # P(token 1) is 1 / (1 + exp(-1 / T)): 0.881 at T = 0.5 and 0.622 at T = 2; the tolerance is four standard errors.
    assert cold == pytest.approx(0.8808, abs=4 * 0.0072)
    assert hot == pytest.approx(0.6225, abs=4 * 0.0108)


def test_top_k_and_top_p_rule_out_the_tail() -> None:
    scores = [3.0, 2.9, -1.0, -2.0]
    for stream in range(200):
        assert draw(Sampling(5.0, 0, stream, top_k=2), scores) in (0, 1)
        assert draw(Sampling(5.0, 0, stream, top_p=0.2), scores) == 0


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    for stream in range(300):
        assert draw(Sampling(1.0, 0, stream), [float("-inf"), 0.0, float("-inf"), 0.0]) in (1, 3)


def test_uniforms_are_reproducible_distinct_by_stream_and_uniform() -> None:
    numbers = uniforms(range(500), 40)
    assert np.array_equal(numbers, uniforms(range(500), 40))
    assert np.array_equal(numbers[:, :10], uniforms(range(500), 10))
    assert len(np.unique(numbers[:, 0])) == 500
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.001


def test_a_schema_constrains_the_text_to_json_that_satisfies_it(tiny_model: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["REFUSE", "PARTIAL", "COMPLY"]}},
        "required": ["label"],
        "additionalProperties": False,
    }
    requests = [
        Request(r.messages, r.sampling, schema) for r in [request(p, 1.0, s) for p in ("x", "yy") for s in range(8)]
    ]
    labels = {json.loads(a.text)["label"] for a in complete(tiny_model, requests)}
    assert labels <= {"REFUSE", "PARTIAL", "COMPLY"}
    assert len(labels) > 1


def test_the_finish_reason_tells_an_ended_answer_from_a_cut_one(tiny_model: Path) -> None:
    answers = complete(tiny_model, [request("x", 1.0, s, max_tokens=60) for s in range(40)])
    assert {a.finish_reason for a in answers} == {"stop", "length"}
    for answer in answers:
        assert (answer.completion_tokens == 60) or answer.finish_reason == "stop"


def test_a_prompt_longer_than_the_context_is_missing_with_a_reason_and_harms_no_other(tiny_model: Path) -> None:
    long, short = complete(tiny_model, [request("x" * 600, 1.0, 1), request("x", 1.0, 1)])
    assert long.missing_reason is not None
    assert "fills the model's context of 512" in long.missing_reason
    assert long.text == ""
    assert short.missing_reason is None


def test_the_identity_follows_the_weights_not_the_folder(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(tiny_model, moved)
    settings = TransformersSettings(dtype="float32", device="cpu")
    original = TransformersEngine(ModelParams(path=str(tiny_model)), settings).identity
    assert TransformersEngine(ModelParams(path=str(moved)), settings).identity == original
    weights = moved / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert TransformersEngine(ModelParams(path=str(moved)), settings).identity != original


def test_a_constrained_text_has_its_properties_in_the_schemas_order(tiny_model: Path) -> None:
    choice = {"enum": ["a", "b"]}
    for order in (["reasoning", "label"], ["label", "reasoning"]):
        schema = {"type": "object", "properties": dict.fromkeys(order, choice), "required": order}
        first = request("x", 1.0, 1, max_tokens=60)
        (answer,) = complete(tiny_model, [Request(first.messages, first.sampling, schema)])
        assert list(json.loads(answer.text)) == order


@pytest.mark.parametrize("path", ["no/such/folder", "models/absent/x"])
def test_a_model_path_that_does_not_exist_is_named_with_the_remedy(path: str) -> None:
    with pytest.raises(EngineError, match=f"'{path}': no such folder.*correct the path"):
        TransformersEngine(ModelParams(path=path), TransformersSettings())


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be loaded"):
        TransformersEngine(ModelParams(path=str(tmp_path)), TransformersSettings())


def cut(name: str, share: float = 0.5) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return change


def written(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def configured(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | values))

    return change


def replaced(file: Path) -> Path:
    file.unlink()
    return file


BROKEN: dict[str, Callable[[Path], object]] = {
    **{f"half of {name}": cut(name) for name in ("config.json", "tokenizer.json", "model.safetensors")},
    **{f"nothing of {name}": cut(name, 0) for name in ("config.json", "tokenizer.json", "model.safetensors")},
    "weights that are none": written("model.safetensors", b"\xff" * 10),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "config of 5,000 levels": written("config.json", b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "other width": configured(hidden_size=65),
    "other vocabulary": configured(vocab_size=10),
    "no heads": configured(num_attention_heads=0),
    "more layers than weights": configured(num_hidden_layers=9),
    "unknown activation": configured(hidden_act="nope"),
    "unknown kind": configured(model_type="no\x1b[2Jsuch"),
    "no layer": configured(num_hidden_layers=-1),
    "layers without end": configured(num_hidden_layers=2**70),
    "a window of text": configured(sliding_window="abc"),
    "an end that is no number": lambda folder: (folder / "generation_config.json").write_text('{"eos_token_id": "x"}'),
    "weights that lead nowhere": lambda folder: replaced(folder / "model.safetensors").symlink_to("/nowhere/at/all"),
    "weights without end": lambda folder: replaced(folder / "model.safetensors").symlink_to("/dev/zero"),
    "a pipe": lambda folder: os.mkfifo(replaced(folder / "model.safetensors")),
    "unknown scaling": configured(rope_scaling={"type": "nope"}),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_broken_model_folder_is_an_error_in_words_and_never_random_weights(
    tiny_model: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    change(folder)
    with pytest.raises(EngineError, match=r"fetch (or save )?the model again") as refused:
        complete(folder, [request("x", 1.0, 1, max_tokens=2)], batch_size=2)
    assert str(folder) in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_dtype_that_there_is_not_is_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    configured(dtype="nonsense")(folder)
    with pytest.raises(EngineError, match=r"(cannot be loaded|settings\.dtype)"):
        list(TransformersEngine(ModelParams(path=str(folder)), TransformersSettings()).complete([request("x", 1.0, 1)]))
