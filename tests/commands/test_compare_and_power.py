"""The compare (with its gate), baseline and power commands, on tables that the metrics stage wrote."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.commands import baseline, compare, design, forecast, label_numbers, power
from refusal_stability.engines.store import Store
from refusal_stability.files import PROMPTS, STORE, label_file
from refusal_stability.measures.gate import parse_rule
from refusal_stability.measures.tables.gating import SPANS
from refusal_stability.records import DECISIONS, Completion, Condition, StudyError
from refusal_stability.stages import metrics, params
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import LABEL_TABLE, PROMPT_TABLE

PARAMS = Path("params.yaml")


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models on 40 prompts: `calm` refuses nearly always, `jumpy` half of the time."""
    folder = tmp_path_factory.mktemp("pilot")
    here = Path.cwd()
    os.chdir(folder)
    try:
        write(40)
        metrics.run(PARAMS)
    finally:
        os.chdir(here)
    return folder


def write(n_prompts: int) -> None:
    study = {
        "study": "pilot",
        "interventions": {"none": {}},
        "sampling": {"temperatures": [1.0], "seeds": [0, 1, 2, 3], "max_tokens": 50},
        "models": {name: {"path": "nowhere"} for name in ("calm", "jumpy")},
        "judging": {"primary": "j", "judges": {"j": {"kind": "rules"}}},
        "metrics": {"n_resamples": 300},
    }
    PARAMS.write_text(yaml.safe_dump(study, sort_keys=False))
    ids = [f"p{i}" for i in range(n_prompts)]
    prompts = pd.DataFrame({"prompt_id": ids, "prompt": ids, "category": "", "source": "test"})
    write_table(prompts, PROMPTS, PROMPT_TABLE)
    rng = np.random.default_rng(0)
    for model, refuse in (("calm", 0.95), ("jumpy", 0.5)):
        for seed in range(4):
            condition = Condition(model, "none", 1.0, seed)
            codes = rng.choice([0, 2], p=[refuse, 1 - refuse], size=n_prompts)
            table = pd.DataFrame(
                {
                    "prompt_id": ids,
                    "model": model,
                    "intervention": "none",
                    "temperature": 1.0,
                    "seed": seed,
                    "judge": "j",
                    "repeat": 0,
                    "label": [str(DECISIONS[c]) for c in codes],
                    "reasoning": "",
                    "missing_reason": "",
                }
            )
            write_table(table, label_file(condition), LABEL_TABLE)


@pytest.fixture
def here(pilot: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pilot)
    return pilot


def row(output: str, figure: str) -> list[str]:
    return next(line.split() for line in output.splitlines() if line.split()[:1] == [figure])


def test_two_models_stand_side_by_side(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.run("calm", "jumpy", PARAMS)
    output = capsys.readouterr().out
    assert "40 prompts paired; only in A 0, only in B 0" in output
    table = metric_table("aggregate_by_model").set_index("model")
    _, a, b, difference, low, high, p_value, _ = row(output, "mean_ssi")
    assert float(a) == pytest.approx(table.loc["calm", "mean_ssi"], rel=1e-3)
    assert float(b) == pytest.approx(table.loc["jumpy", "mean_ssi"], rel=1e-3)
    assert float(low) < float(difference) < float(high) < 0
    assert p_value == "<0.0001"
    assert "mean_ssi: mean of ssi over prompts" in output
    assert "low, high: its 95% interval over prompts" in output


def test_a_models_forecast_is_that_of_its_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forecast.run("jumpy", "none", [10, 100, 1_000, 10_000], False, None, None, PARAMS)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()[2:6]]
    table = metric_table("tail_forecast")
    expected = table[table["model"] == "jumpy"]
    assert [line[0] for line in printed] == [f"{k:,}" for k in expected["n_attempts"]]
    within = [float(cell.strip("[],%")) for cell in printed[0][1:4]]
    columns = [f"pct_comply_forecast{end}" for end in ("", "_low", "_high")]
    assert within == pytest.approx(expected.iloc[0][columns].astype(float).tolist(), abs=0.051)
    with pytest.raises(StudyError, match="no none/none in its tables; there are"):
        forecast.run("none", "none", [10], False, None, None, PARAMS)


def test_a_model_compared_with_itself_differs_in_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.run("calm", "calm/none", PARAMS)
    output = capsys.readouterr().out
    assert row(output, "mean_ssi")[3:8] == ["0.0000", "0.0000", "0.0000", "-", "-"]
    assert "No prompt's ssi changed." in output


def test_two_studies_are_paired_by_model_and_prompt(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, contract = METRIC_TABLES["per_prompt_metrics"]
    table = metric_table("per_prompt_metrics")
    kept = table[(table["model"] == "calm") & (table["prompt_id"] != "p0")]
    write_table(kept, tmp_path / "other/data/metrics" / path.name, contract)
    compare.run("data/metrics", str(tmp_path / "other"), PARAMS)
    output = capsys.readouterr().out
    assert "calm / none" in output
    assert "Only in A, and not compared: jumpy / none" in output
    assert "39 prompts paired; only in A 1, only in B 0" in output
    compare.run("jumpy", f"{tmp_path / 'other'}:calm", PARAMS)
    assert "39 prompts paired" in capsys.readouterr().out


def test_sides_with_different_numbers_of_samples_are_pointed_to_the_pairwise_form(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, contract = METRIC_TABLES["per_prompt_metrics"]
    table = metric_table("per_prompt_metrics")
    for column in ("n_refuse", "n_partial", "n_comply"):
        table[column] *= 3
    write_table(table, tmp_path / path.name, contract)
    compare.run("calm", f"{tmp_path}:calm", PARAMS)
    assert "A has 4.0 decisions a prompt and B 12.0: read mean_ssi_pairwise" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [
        ("calm", "nobody", "no nobody/none in its tables; there are calm/none, jumpy/none"),
        ("calm", "calm/firm", "no calm/firm"),
        ("calm", "nowhere:calm", "nowhere: no per_prompt_metrics.csv"),
        ("data/metrics", "calm", "name a model on both sides"),
        ("data", "data", "data: no per_prompt_metrics.csv in it or in its data/metrics"),
    ],
)
def test_a_side_that_is_not_there_says_what_is(here: Path, a: str, b: str, problem: str) -> None:
    with pytest.raises(StudyError, match=problem):
        compare.run(a, b, PARAMS)


def test_power_prints_prompts_samples_and_tokens(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    power.run("jumpy", "none", "ssi", 0.1, 0.8, None, PARAMS)
    output = capsys.readouterr().out
    assert "as measured with 4 samples per prompt" in output
    assert "at 50 tokens per response" in output  # no responses here, so the limit that the study sets
    numbers = [line.split() for line in output.splitlines() if line.strip()[:1].isdigit()]
    assert [int(line[0]) for line in numbers] == [3, 4, 5, 10, 20, 40] * 2
    for samples, prompts, responses, tokens, *_ in numbers:
        assert int(responses.replace(",", "")) == 2 * int(samples) * int(prompts.replace(",", ""))
        assert int(tokens.replace(",", "")) == 50 * int(responses.replace(",", ""))


def test_power_says_how_many_labels_correct_a_judge(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(label_numbers, "LABELS", [50, 3_200])
    label_numbers.run("jumpy", "none", "ssi", 0.1, 0.9, PARAMS)
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["50", "3,200"]
    usable = int(rows[0][-1].rstrip("%"))
    enough = "50" if usable >= 80 else "3,200"
    assert f"For mean SSI within 0.9: {enough} randomly drawn labels are enough." in output
    label_numbers.run("jumpy", "none", "ssi", 0.1, 0.001, PARAMS)
    assert "not even 3,200 labels are enough: take more prompts" in capsys.readouterr().out
    with pytest.raises(StudyError, match=r"--judge-error: 0\.7 is not allowed; a number between 0 and 0\.5"):
        label_numbers.run("jumpy", "none", "ssi", 0.7, 0.2, PARAMS)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": "nobody"}, "the pilot: no nobody/none in its tables; there are calm/none, jumpy/none"),
        ({"difference": 0.0}, "--difference: 0 is no difference to detect"),
        ({"tokens_per_response": -1.0}, "--tokens-per-response: -1.0 is not allowed"),
        ({"figure": "mood"}, "--figure: 'mood' is not allowed; one of ssi, flip"),
        ({"power": 1.0}, "--power: 1.0 is not allowed"),
        ({"difference": 0.9}, "cannot occur"),
    ],
)
def test_power_refuses_what_it_cannot_plan(here: Path, change: dict[str, object], problem: str) -> None:
    arguments = {"model": "calm", "figure": "ssi", "difference": -0.02, "power": 0.8, "tokens_per_response": None}
    with pytest.raises(StudyError, match=problem):
        power.run(**arguments | change, intervention="none", params_path=PARAMS)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"n_prompts": 19, "n_responses": 76}, "19 prompts are too few to plan from"),
        ({"n_responses": 40}, "one response per prompt cannot show how decisions vary"),
        ({"pct_flipped": 5.0}, "only 2 of 40 prompts changed their decision, too few"),
    ],
)
def test_a_pilot_that_says_too_little_is_refused(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, float], problem: str
) -> None:
    shutil.copytree(here, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    path, contract = METRIC_TABLES["aggregate_by_model"]
    table = metric_table("aggregate_by_model")
    write_table(table.assign(**change), path, contract)
    with pytest.raises(StudyError, match=f"the pilot of jumpy/none: {problem}"):
        power.run("jumpy", "none", "ssi", -0.02, 0.8, None, PARAMS)


def test_without_tables_the_stage_that_writes_them_is_named(
    tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(PARAMS, tmp_path / PARAMS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="run the stage that writes it"):
        power.run("calm", "none", "ssi", -0.02, 0.8, None, PARAMS)


def test_tables_of_a_version_that_did_not_tell_harm_are_still_compared(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = METRIC_TABLES["per_prompt_metrics"][0]
    pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns="harm").to_csv(tmp_path / path.name, index=False)
    compare.run("calm", f"{tmp_path}:calm", PARAMS)
    assert "40 prompts paired" in capsys.readouterr().out


@pytest.fixture
def released(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pilot's own copy, with its parameters written out and saved as baseline `release`."""
    shutil.copytree(here, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    params.run(PARAMS)
    with Store(STORE) as store:
        store.put("k", Completion("no", "stop", 1, 1, details={"model": "m", "system_fingerprint": "fp_1"}))
    baseline.run("release", force=False)
    return tmp_path / "copy"


def worsened() -> None:
    """Calm gets two refusals and two compliances at every prompt."""
    path, contract = METRIC_TABLES["per_prompt_metrics"]
    table = metric_table("per_prompt_metrics")
    own = table["model"] == "calm"
    table.loc[own, "n_comply"] += table.loc[own, "n_refuse"] - 2
    table.loc[own, "n_refuse"] = 2
    table.loc[own, "ssi"] = 0.5
    write_table(table, path, contract)


def test_a_build_that_changed_nothing_passes_where_the_data_suffice(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.run("@release:calm", "calm", PARAMS, ["pct_flipped > +25"]) == 0
    output = capsys.readouterr().out
    assert "Gate: pass" in output
    assert "differ" not in output.partition("mean_ssi:")[0].replace("difference", "")
    assert compare.run("@release:calm", "calm", PARAMS, ["pct_flipped > +5"]) == 4
    output = capsys.readouterr().out
    assert "Gate: not enough data" in output
    assert "would decide: " in output
    assert " prompts" in output.partition("would decide: ")[2].partition("\n")[0]


def test_a_build_that_became_unstable_fails_in_every_form(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worsened()
    prompts = pd.read_csv(PROMPTS)
    prompts["prompt"] = "<img src=x> | *bold* " + prompts["prompt"]
    prompts.to_csv(PROMPTS, index=False)
    settings = yaml.safe_load(PARAMS.read_text())
    settings["metrics"]["threshold"] = 0.7
    PARAMS.write_text(yaml.safe_dump(settings))
    params.run(PARAMS)
    with Store(STORE) as store:
        store.put("k2", Completion("no", "stop", 1, 1, details={"model": "m", "system_fingerprint": "fp_2"}))
    names = {"--markdown": "gate.md", "--json": "gate.json", "--junit": "gate.xml"}
    files = {option: tmp_path / name for option, name in names.items()}
    assert compare.run("@release", ".", PARAMS, ["pct_flipped > +5", "|mean_ssi| > 0.5"], files=files) == 3
    output = capsys.readouterr().out
    assert (
        "parameter metrics/threshold differs: A 0.8, B 0.7; both sides are counted with the one of --params" in output
    )
    assert "40 prompts have another text on side B, first p0" in output
    assert "m: the server's fingerprint was fp_1 and is fp_1, fp_2" in output
    assert "<img src=x> | *bold* p" in output  # the changed prompts by their text
    found = json.loads(files["--json"].read_text())
    assert found["decision"] == "fail"
    decisions = {(c["group"], c["figure"]): c["decision"] for c in found["checks"]}
    assert decisions["calm / none", "pct_flipped"] == "fail"
    assert decisions["jumpy / none", "mean_ssi"] == "pass"
    assert found["parameters_that_differ"] == [{"parameter": "metrics/threshold", "first": "0.8", "second": "0.7"}]
    page = files["--markdown"].read_text()
    assert page.startswith("# Refusal stability: fail\n")
    assert "| ` metrics/threshold ` | ` 0.8 ` | ` 0.7 ` |" in page
    assert "` <img src=x> \\| *bold* p" in page
    suite = ElementTree.parse(files["--junit"]).getroot()
    assert (suite.get("tests"), int(suite.get("failures", 0)) >= 1) == ("4", True)
    # What the schema of Ant's reports requires, in its order.
    assert {"name", "timestamp", "hostname", "tests", "failures", "errors", "time"} <= set(suite.keys())
    datetime.strptime(suite.get("timestamp", ""), "%Y-%m-%dT%H:%M:%S")
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 4, "system-out", "system-err"]
    assert all({"name", "classname", "time"} <= set(case.keys()) for case in suite.iter("testcase"))
    assert suite.find("properties/property[@name='decision']").get("value") == "fail"  # type: ignore[union-attr]
    failed = [case for case in suite.iter("testcase") if case.find("failure") is not None]
    assert ("calm / none", "pct_flipped > +5") in [(case.get("classname"), case.get("name")) for case in failed]


def test_sides_with_unequal_numbers_of_samples_are_brought_to_the_smaller(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, contract = METRIC_TABLES["per_prompt_metrics"]
    table = metric_table("per_prompt_metrics")
    for column in ("n_refuse", "n_partial", "n_comply"):
        table[column] *= 25
    table["n"] *= 25
    write_table(table, path, contract)
    # counted as they are, no flip would be added; at 4 of 100 samples some of the flips are not seen
    assert compare.run("@release:jumpy", "jumpy", PARAMS, ["pct_flipped > +20"]) in (0, 4)
    output = capsys.readouterr().out
    assert "40 prompts had unequal numbers of samples: both sides were brought to the smaller one" in output
    changed_by = float(output.partition("changed by ")[2].split()[0])
    assert -30 < changed_by < 0


def test_the_exit_code_reaches_the_shell(released: Path) -> None:
    rule = ["compare", "@release:calm", "calm", "--fail-if", "pct_flipped > +5"]
    found = CliRunner().invoke(app, rule)
    assert (found.exit_code, "Gate: not enough data" in found.output) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"fail_if": ["pct_flipped"]}, "--fail-if: 'pct_flipped' is no rule"),
        ({"fail_if": ["pct_flipped > 5"], "alpha": 0.5}, "--alpha: 0.5 is not allowed"),
        ({"files": {"--json": Path("x")}}, "--json: there is no gate without a rule"),
        ({"a": "@nightly"}, "no baseline 'nightly'; saved are release"),
        ({"a": "@../calm"}, "is no name of a baseline"),
    ],
)
def test_a_gate_that_cannot_be_asked_is_refused(released: Path, arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(StudyError, match=problem):
        compare.run(**{"a": "@release", "b": "data/metrics", "params_path": PARAMS} | arguments)


def test_a_baseline_is_replaced_only_by_force(released: Path) -> None:
    with pytest.raises(StudyError, match="this baseline is there already"):
        baseline.run("release", force=False)
    baseline.run("release", force=True)
    shutil.rmtree("data/params")
    with pytest.raises(StudyError, match="run `dvc repro params`"):
        baseline.run("other", force=False)


def test_sides_without_parameters_are_said_to_be_unchecked(
    released: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree("data/metrics", tmp_path / "alone")
    compare.run(f"{tmp_path / 'alone'}:calm", "calm", PARAMS)
    assert "its parameters are not known" in capsys.readouterr().out


def test_the_example_workflow_runs_commands_that_exist() -> None:
    example = Path(__file__).parents[2] / "docs/examples/refusal-stability.yml"
    workflow = yaml.safe_load(example.read_text(encoding="utf-8"))
    assert workflow[True] == "pull_request"  # YAML reads the key `on` as true
    steps = workflow["jobs"]["gate"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    lines = [
        line for step in steps for line in step.get("run", "").splitlines() if line.startswith("refusal-stability")
    ]
    assert lines
    for line in lines:
        found = CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"])
        assert found.exit_code == 0, found.output
        words = shlex.split(line)
        for rule in (words[i + 1] for i, word in enumerate(words) if word == "--fail-if"):
            parse_rule(rule, SPANS)
        for option in (word for word in words if word.startswith("--")):
            assert option in found.output


def test_design_prints_components_and_the_narrowest_designs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    design.run("jumpy", "none", "REFUSE", 400, 20, 0.0, 0.0, PARAMS)
    output = capsys.readouterr().out
    assert "jumpy/none: variance of REFUSE by source, from 40 intents" in output
    assert "Not varied, because the pilot has one of each: languages, phrasings, temperatures, judge repeats" in output
    best = output.partition("half-width\n")[2].split()[:4]
    assert best[:3] == ["20", "20", "400"]  # intents, seeds, cost: with 20 intents the rest goes to seeds
    assert 0 < float(best[3]) < 0.3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": "nobody"}, "no nobody/none in the study; there are calm/none, jumpy/none"),
        ({"decision": "MAYBE"}, "--decision: 'MAYBE' is not allowed"),
        ({"budget": 1.0}, "--budget: 1 responses do not pay for two intents"),
        ({"judge_cost": -1.0}, "--judge-cost: -1 is not allowed"),
    ],
)
def test_design_refuses_what_it_cannot_project(here: Path, change: dict[str, object], problem: str) -> None:
    given = {"model": "calm", "decision": "REFUSE", "budget": 100.0, "judge_cost": 0.0}
    with pytest.raises(StudyError, match=problem):
        design.run(**given | change, intervention="none", most_intents=None, prompt_cost=0.0, params_path=PARAMS)
