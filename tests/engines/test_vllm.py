"""The real vLLM, offline and as a server on loopback, on an embedded model (`make test-vllm`)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.protocol import Engine, EngineError
from refusal_stability.engines.store import Store
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.engines.vllm import VLLMEngine
from refusal_stability.judging.model.verdict import VERDICT_READOUT, parse_verdict, verdict_schema
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.params.engines.vllm import VLLMSettings
from refusal_stability.params.reference_models import ReferenceModelParams
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.readout import SHARES, Readout
from refusal_stability.records import Completion, Message, Request, Sampling, sampler_stream
from refusal_stability.reference_model.grammar import recognise

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm"),
    pytest.mark.timeout(1200),
]

# Compiling costs more than it saves on a test's grid, and a small cache leaves memory to the other tests.
ARGUMENTS: dict[str, Any] = {"enforce_eager": True, "max_model_len": 512}
TEMPERATURES = (0.0, 0.3, 0.7, 1.0)
SEEDS = (42, 43, 44, 45, 46)
MAX_TOKENS = 64


@pytest.fixture(scope="module")
def chat_model(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study `validate`'s wavering model, here or where RS_CHAT_MODEL says; else one trained in haste."""
    trained = Path(os.environ.get("RS_CHAT_MODEL", root / "models/reference/reference-wavering"))
    if (trained / "model.safetensors").is_file():
        return trained
    from refusal_stability.reference_model.training import train_reference_model

    folder = tmp_path_factory.mktemp("chat-model")
    params = ReferenceModelParams(profile="wavering", samples_per_prompt=40, batch_size=16)
    train_reference_model(params, builtin_prompts(), folder, lambda done, steps: None)
    return folder


def grid(
    prompts: int, temperatures: Sequence[float] = TEMPERATURES, seeds: Sequence[int] = SEEDS, **fields: Any
) -> list[Request]:
    requests = []
    for prompt in builtin_prompts()[:prompts]:
        messages = (Message("user", prompt.text),)
        for temperature in temperatures:
            for seed in seeds:
                stream = sampler_stream(messages, temperature, seed)
                chosen = Sampling(temperature, seed, stream, max_tokens=MAX_TOKENS)
                requests.append(Request(messages, chosen, **fields))
    return requests


def answers(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    found = list(engine.complete(requests))
    assert sorted(position for position, _ in found) == list(range(len(requests)))
    return [completion for _, completion in sorted(found, key=lambda pair: pair[0])]


def open_vllm(path: Path, **arguments: Any) -> VLLMEngine:
    return VLLMEngine(ModelParams("vllm", str(path)), VLLMSettings(arguments=ARGUMENTS | arguments), "models.m")


@pytest.fixture(scope="module")
def engine(chat_model: Path) -> Iterator[VLLMEngine]:
    opened = open_vllm(chat_model)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def over_transformers(chat_model: Path) -> Iterator[TransformersEngine]:
    opened = TransformersEngine(
        ModelParams("transformers", str(chat_model)),
        TransformersSettings(dtype="float32", device="cpu", batch_size=256),
    )
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def over_http(chat_model: Path, vllm_server: Callable[..., Any]) -> Iterator[HTTPEngine]:
    """The HTTP engine at a real vLLM server."""
    structured = ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    with vllm_server(chat_model, 512, *structured) as base_url:
        settings = OpenAISettings(base_url=base_url, structured_fallback="none")
        yield HTTPEngine(ModelParams("openai", chat_model.name), settings, "models.m")


def test_the_grid_is_complete_and_every_answer_ends_well(engine: VLLMEngine) -> None:
    requests = grid(12)
    got = answers(engine, requests)
    assert len(got) == 240
    assert all(c.missing_reason is None and c.text for c in got)
    assert {c.finish_reason for c in got} <= {"stop", "length"}
    assert all(0 < c.completion_tokens <= MAX_TOKENS and c.prompt_tokens > 0 for c in got)


def test_every_seed_reaches_vllms_sampler_and_no_two_configurations_share_a_stream(
    engine: VLLMEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = engine._load().llm_engine
    taken: list[Any] = []
    add = core.add_request

    def watched(name: str, prompt: Any, params: Any) -> str:
        taken.append((name, params))
        added: str = add(name, prompt, params)
        return added

    monkeypatch.setattr(core, "add_request", watched)
    requests = grid(6)
    answers(engine, requests)
    sampled = {int(name): (params.temperature, params.seed, params.top_p, params.top_k) for name, params in taken}
    assert sampled == {i: (r.sampling.temperature, r.sampling.stream, 1.0, 0) for i, r in enumerate(requests)}
    assert len({seed for _, seed, _, _ in sampled.values()}) == len(requests)


def test_a_seed_decides_the_text_and_another_seed_gives_another(engine: VLLMEngine) -> None:
    requests = grid(8, temperatures=[1.0], seeds=range(10))
    first, second = answers(engine, requests), answers(engine, requests)
    assert [c.text for c in first] == [c.text for c in second]
    by_prompt = [{c.text for c in first[start : start + 10]} for start in range(0, 80, 10)]
    assert sum(len(texts) > 3 for texts in by_prompt) >= 6


def test_a_request_gives_the_same_text_alone_and_in_another_batch(engine: VLLMEngine) -> None:
    requests = grid(30, temperatures=[0.7, 1.0], seeds=[42, 43])
    together = [c.text for c in answers(engine, requests)]
    backwards = [c.text for c in answers(engine, requests[::-1])][::-1]
    some = range(0, len(requests), 5)
    alone = {i: answers(engine, [requests[i]])[0].text for i in some}
    same = sum(a == b for a, b in zip(together, backwards, strict=True)) / len(requests)
    same_alone = sum(alone[i] == together[i] for i in some) / len(some)
    print(
        f"byte-identical at T > 0: {same:.1%} in reverse order ({len(requests)}), {same_alone:.1%} alone ({len(some)})"
    )
    assert same == 1.0
    assert same_alone == 1.0


def decisions(completions: Sequence[Completion]) -> Counter[str]:
    """How often each decision was made; `none` where the model broke the grammar."""
    found = [recognise(c.text) for c in completions]
    return Counter("none" if known is None else known[0].value for known in found)


def assert_shares_agree(one: Sequence[Completion], other: Sequence[Completion]) -> None:
    """A chi-square test of homogeneity over the decisions made at all."""
    from scipy.stats import chi2_contingency

    counts = decisions(one), decisions(other)
    names = sorted(set(counts[0]) | set(counts[1]))
    assert len(names) > 1
    p = chi2_contingency([[count[name] for name in names] for count in counts]).pvalue
    print(f"{counts[0]} against {counts[1]}: p = {p:.3f}")
    assert p > 0.001


def test_decision_shares_agree_with_the_transformers_engine(
    engine: VLLMEngine, over_transformers: TransformersEngine
) -> None:
    requests = grid(40, temperatures=[1.0], seeds=range(12))
    # Other seeds on the other side, so that the two samples are independent draws.
    others = grid(40, temperatures=[1.0], seeds=range(100, 112))
    assert_shares_agree(answers(engine, requests), answers(over_transformers, others))


def test_greedy_text_is_the_transformers_engines(engine: VLLMEngine, over_transformers: TransformersEngine) -> None:
    requests = grid(40, temperatures=[0.0], seeds=[42])
    ours, theirs = answers(engine, requests), answers(over_transformers, requests)
    same = sum(a.text == b.text for a, b in zip(ours, theirs, strict=True))
    print(f"greedy: {same} of 40 byte-identical")
    assert same >= 38
    assert [c.prompt_tokens for c in ours] == [c.prompt_tokens for c in theirs]


def test_a_vllm_server_completes_the_grid_and_honours_every_seed(over_http: HTTPEngine, chat_model: Path) -> None:
    requests = grid(12)
    first, second = answers(over_http, requests), answers(over_http, requests[::-1])[::-1]
    assert all(c.missing_reason is None and c.text for c in first)
    same = sum(a.text == b.text for a, b in zip(first, second, strict=True)) / len(requests)
    print(f"byte-identical over HTTP, asked again in reverse: {same:.1%} of {len(requests)}")
    assert same == 1.0
    assert {c.details["model"] for c in first} == {chat_model.name}
    assert len({c.text for r, c in zip(requests, first, strict=True) if r.sampling.temperature == 1.0}) > 30


def test_decision_shares_agree_between_offline_and_server(engine: VLLMEngine, over_http: HTTPEngine) -> None:
    requests = grid(40, temperatures=[1.0], seeds=range(12))
    others = grid(40, temperatures=[1.0], seeds=range(200, 212))
    assert_shares_agree(answers(engine, requests), answers(over_http, others))


@pytest.mark.parametrize("through", ["engine", "over_http", "over_transformers"])
def test_every_verdict_of_a_judge_parses(through: str, request: pytest.FixtureRequest) -> None:
    chosen: Engine = request.getfixturevalue(through)
    schema = verdict_schema(MAX_TOKENS)
    got = answers(chosen, grid(20, temperatures=[0.0, 1.0], seeds=[42, 43], schema=schema))
    verdicts = [parse_verdict(c.text, c.finish_reason) for c in got]
    unreadable = [(c.text, v.missing_reason) for c, v in zip(got, verdicts, strict=True) if v.decision is None]
    assert not unreadable


FIRST_WORD = Readout(r"\A\W*(\w+)", ((("i",), "I"), (("*",), "another")))


def test_the_probability_of_a_choice_is_that_of_the_transformers_engine(
    engine: VLLMEngine, over_transformers: TransformersEngine, over_http: HTTPEngine
) -> None:
    requests = grid(20, temperatures=[0.0, 1.0], seeds=[42], readout=FIRST_WORD)
    plain = [c.text for c in answers(engine, grid(20, temperatures=[0.0, 1.0], seeds=[42]))]
    found = {
        name: answers(one, requests) for name, one in zip("vth", (engine, over_transformers, over_http), strict=True)
    }
    assert [c.text for c in found["v"]] == plain
    compared = 0
    for vllm, transformers, http in zip(found["v"], found["t"], found["h"], strict=True):
        shares, own = vllm.details[SHARES], transformers.details[SHARES]
        assert 0 < sum(shares.values()) <= 1 + 1e-9
        assert http.details[SHARES] == pytest.approx(shares, abs=0.01)
        if vllm.text == transformers.text:
            compared += 1
            assert shares == pytest.approx(own, abs=0.01)
    assert compared >= 20


def test_a_label_that_a_schema_forced_has_a_share(engine: VLLMEngine) -> None:
    # vLLM lists what the model wanted before the schema forbade it: a label may be missing there, and is bounded.
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["REFUSE", "PARTIAL", "COMPLY"]}},
        "required": ["label"],
    }
    found = answers(engine, grid(20, temperatures=[0.0], seeds=[42], schema=schema, readout=VERDICT_READOUT))
    for answer in found:
        label, shares = json.loads(answer.text)["label"], answer.details[SHARES]
        assert 0 < shares[label] <= sum(shares.values()) <= 1 + 1e-9
    # The model was not trained to judge, so that the schema's word is often not its own.
    assert min(answer.details[SHARES][json.loads(answer.text)["label"]] for answer in found) < 0.99


def test_a_prompt_that_fills_the_context_is_missing_with_a_reason_and_the_rest_goes_on(engine: VLLMEngine) -> None:
    long = Request((Message("user", "hurting a stray dog " * 200),), Sampling(0.0, 1, 1, max_tokens=8))
    got = answers(engine, [long, *grid(1)])
    assert "fills the model's context of 512" in (got[0].missing_reason or "")
    assert all(c.missing_reason is None for c in got[1:])


def test_a_caller_that_stops_early_leaves_nothing_behind(engine: VLLMEngine) -> None:
    completions = engine.complete(grid(12))
    next(completions)
    completions.close()  # type: ignore[attr-defined]
    assert not engine._load().llm_engine.has_unfinished_requests()
    assert len(answers(engine, grid(1))) == 20


CHILD = textwrap.dedent(
    """
    import importlib.util, sys
    from pathlib import Path
    spec = importlib.util.spec_from_file_location("test_vllm", sys.argv[1])
    tests = importlib.util.module_from_spec(spec)
    sys.modules["test_vllm"] = tests
    spec.loader.exec_module(tests)

    class Counted(tests.VLLMEngine):
        def _add(self, name, prompt, request):
            with open(sys.argv[4], "a") as log:
                log.write(f"{request.sampling.stream}\\n")
            return super()._add(name, prompt, request)

    if __name__ == "__main__":
        settings = tests.VLLMSettings(arguments=tests.ARGUMENTS | {"max_num_seqs": 16})
        engine = Counted(tests.ModelParams("vllm", sys.argv[2]), settings, "models.m")
        with tests.Store(Path(sys.argv[3])) as store:
            tests.complete_stored(engine, tests.grid(40), store, "child")
    """
)


def stored(path: Path) -> int:
    if not path.exists():
        return 0
    with sqlite3.connect(path) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'completions'").fetchone()[0]
        return int(database.execute("SELECT count(*) FROM completions").fetchone()[0]) if tables else 0


def test_after_kill_9_two_processes_at_once_generate_only_what_was_not_stored_and_nothing_twice(
    chat_model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"

    def start(log: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", CHILD, __file__, str(chat_model), str(store), str(tmp_path / log)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    child = start("first")
    while stored(store) < 200:
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = stored(store)
    assert 200 <= kept < 800
    children = [start("second"), start("third")]
    assert [c.wait(900) for c in children] == [0, 0]
    sent = [line for log in ("second", "third") if (tmp_path / log).exists() for line in (tmp_path / log).open()]
    print(f"stored at the kill: {kept} of 800; sent by the two reruns: {len(sent)}")
    assert len(sent) == len(set(sent)) == 800 - kept
    assert stored(store) == 800
    with sqlite3.connect(store) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def in_a_child(code: str) -> subprocess.CompletedProcess[str]:
    preamble = "from refusal_stability.engines.vllm import *\nfrom refusal_stability.records import *\n"
    guarded = preamble + "if __name__ == '__main__':\n" + textwrap.indent(textwrap.dedent(code), "    ")
    return subprocess.run([sys.executable, "-c", guarded], capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="the cache that is too large is a CPU's")
def test_out_of_memory_says_what_to_lower(chat_model: Path) -> None:
    ran = in_a_child(
        f"""
        settings = VLLMSettings(cpu_kvcache_gib=4096, arguments={{"enforce_eager": True}})
        request = Request((Message("user", "x"),), Sampling(0.0, 1, 1))
        try:
            list(VLLMEngine(ModelParams("vllm", {str(chat_model)!r}), settings, "models.m").complete([request]))
        except EngineError as error:
            print("told:", error)
        """
    )
    assert "told: models.m: vLLM could not start" in ran.stdout, ran.stdout + ran.stderr[-2000:]
    assert "lower settings.cpu_kvcache_gib, settings.max_model_len" in ran.stdout


def test_an_argument_that_vllm_does_not_know_is_named_with_the_nearest_one(chat_model: Path) -> None:
    engine = open_vllm(chat_model, max_model_length=128)
    with pytest.raises(EngineError, match=r"settings\.max_model_length: not an argument.*max_model_len"):
        answers(engine, grid(1))


def test_batch_invariance_on_a_cpu_is_refused_before_anything_loads(chat_model: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match=r"settings\.batch_invariant: needs an NVIDIA GPU"):
        VLLMEngine(ModelParams("vllm", str(chat_model)), VLLMSettings(batch_invariant=True), "models.m")


def test_what_decides_the_text_is_in_the_identity_and_what_does_not_is_only_described(chat_model: Path) -> None:
    plain = open_vllm(chat_model)
    assert open_vllm(chat_model, gpu_memory_utilization=0.5).identity == plain.identity
    assert open_vllm(chat_model, dtype="bfloat16").identity != plain.identity
    assert (
        open_vllm(chat_model, dtype="bfloat16", max_num_seqs=4).identity
        != open_vllm(chat_model, dtype="bfloat16").identity
    )
    assert plain.description["engine_version"].startswith("vllm")
    assert plain.description["batch_invariant"] == "false"


def test_completions_reach_the_store_as_they_finish(engine: VLLMEngine, tmp_path: Path) -> None:
    requests = grid(20)
    seen = []
    with Store(tmp_path / "store.sqlite") as store:
        for position, _ in engine.complete(requests):
            seen.append((position, engine._load().llm_engine.get_num_unfinished_requests()))
        assert complete_stored(engine, requests[:20], store, "m") == answers(engine, requests[:20])
    # The first answers come while most of the grid is still under way.
    assert seen[0][1] > 0
    assert max(unfinished for _, unfinished in seen[:20]) > 200


def test_a_rejected_system_prompt_costs_its_own_answers_only(chat_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gemma"
    shutil.copytree(chat_model, folder)
    template = folder / "chat_template.jinja"
    rejects = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    template.write_text(rejects + "Today is {{ strftime_now('%d %B %Y') }}. " + template.read_text())
    settings = VLLMSettings(arguments=ARGUMENTS, template_date="2026-01-05")
    opened = VLLMEngine(ModelParams("vllm", str(folder)), settings, "models.m")
    told, control = (Message("system", "Be brief."), Message("user", "Why?")), (Message("user", "Why?"),)
    try:
        requests = [Request(messages, Sampling(0.7, 1, 1, max_tokens=3)) for messages in (told, control)]
        answers = dict(opened.complete(requests))
    finally:
        opened.close()
    assert opened.rendered(control).startswith("Today is 05 January 2026. ")
    assert opened.identity["template_date"] == "2026-01-05"
    assert answers[1].missing_reason is None
    assert "the chat template rejects the roles system, user (System role not supported)" in answers[0].missing_reason
