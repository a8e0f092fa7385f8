"""A server whose API takes no seed: the study says everywhere that its repeats are unseeded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from aiohttp import web

from refusal_stability.explorer.study import read_answer
from refusal_stability.files import PROMPTS, SUMMARY, generation_file
from refusal_stability.params.load import load_params
from refusal_stability.records import Condition
from refusal_stability.report.build import build_report
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.stages import generate, judge, metrics
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE
from refusal_stability.tracking.plans import run_plans
from refusal_stability.tracking.tracked_study import read_tracked_study

PARAMS = Path("params.yaml")
REMINDER = "Repeats of hosted are unseeded: a seed is only the number of a repeat there."


def answer(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    """Refusals, and an error for a seed except where the model `seeded` is asked."""
    if "seed" in body and body["model"] != "seeded":
        return 400, {"error": {"message": "Unrecognized request argument supplied: seed", "param": None}}
    text = f"I cannot help with that. ({body['temperature']}, {body.get('seed')})"
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


@pytest.fixture
def study(serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study, up to its metric tables, of one model whose server rejects `seed` and of one whose server takes it."""
    monkeypatch.chdir(tmp_path)
    settings = {"base_url": f"http://127.0.0.1:{serve(answer).port}/v1"}
    models = {
        "hosted": {"engine": "openai", "path": "hosted", "settings": settings},
        "local": {"engine": "openai", "path": "seeded", "settings": settings},
    }
    params = {
        "study": "small",
        "interventions": {"none": {}},
        "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2]},
        "models": models,
        "judging": {"primary": "rules", "judges": {"rules": {}}},
        "metrics": {"n_resamples": 200},
    }
    PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    asked = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["A?", "B?"], "category": "c", "source": "test"})
    write_table(asked, PROMPTS, PROMPT_TABLE)
    for model in models:
        generate.run(model, PARAMS)
        judge.run(model, PARAMS)
    metrics.run(PARAMS)
    return tmp_path


def test_files_and_tables_hold_what_is_unseeded(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model, unseeded in (("hosted", True), ("local", False)):
        for condition in load_params(PARAMS).conditions(model):
            assert read_table(generation_file(condition), GENERATION_TABLE)["unseeded"].tolist() == [unseeded] * 2
            assert read_answer(condition, "a").unseeded is unseeded
    counts = metric_table("outcomes").set_index(["model", "temperature"])["n_unseeded"]
    assert counts["hosted"].tolist() == [8, 4, 4]
    assert counts["local"].tolist() == [0, 0, 0]
    assert metric_table("outcomes_by_configuration")["n_unseeded"].tolist() == [2] * 4 + [0] * 4
    models = json.loads(SUMMARY.read_text())["models"]
    assert models["hosted"]["none"]["n_unseeded"] == 8
    assert "n_unseeded" not in models["local"]["none"]


def test_the_report_says_it_wherever_seeds_are_spoken_of(study: Path) -> None:
    params = load_params(PARAMS)
    tables = {name: metric_table(name) for name in METRIC_TABLES}
    labels = {(name, "none"): name for name in params.models}
    inputs = ReportInputs(params, "", read_table(PROMPTS, PROMPT_TABLE), tables, {}, labels, ())
    sections = {section.slug: section for section in build_report(inputs).sections}
    assert dict(sections["asked"].terms)["Seeds"] == "1, 2; hosted: unseeded, the server takes none"
    assert sections["models"].paragraphs[1:] == (
        "hosted: 8 of 8 responses are unseeded, since the server takes no seed. They are independent draws, but no "
        "rerun reproduces them.",
    )
    assert REMINDER in sections["temperature"].paragraphs
    assert REMINDER in sections["sources"].paragraphs
    seeded = ReportInputs(params, "", inputs.prompts, tables | {"outcomes": tables["outcomes"][3:]}, {}, labels, ())
    assert "unseeded" not in str([(one.paragraphs, one.terms) for one in build_report(seeded).sections])


def test_mlflow_runs_have_a_tag(study: Path) -> None:
    plans = run_plans(read_tracked_study(load_params(PARAMS), PARAMS, lambda rows, title: b""))
    tags = {plan.name: plan.tags.get("unseeded") for plan in plans}
    assert tags["hosted"] == "8 of 8"
    assert tags["hosted T=1 seed=2"] == "2 of 2"
    assert {tag for name, tag in tags.items() if name.startswith("local")} == {None}


def test_files_of_before_count_as_seeded(study: Path) -> None:
    for model in ("hosted", "local"):
        for condition in load_params(PARAMS).conditions(model):
            path = generation_file(condition)
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            table.drop(columns="unseeded").to_csv(path, index=False)
    metrics.run(PARAMS)
    assert set(metric_table("outcomes")["n_unseeded"]) == {0}
    assert read_answer(Condition("hosted", "none", 0.0, 1), "a").unseeded is False
