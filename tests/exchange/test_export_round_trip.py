"""An export that is imported is the same study: names, order, interventions, and every byte of its metric tables."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.commands import export, status
from refusal_stability.exchange.logged import LogError
from refusal_stability.explorer.study import outcomes_now, read_answer, unsampled_now
from refusal_stability.files import PARQUET, PROMPTS, generation_file, generation_place, label_file
from refusal_stability.judging.joined_labels import read_judged
from refusal_stability.params.load import load_params
from refusal_stability.records import DECISIONS
from refusal_stability.reference_model import grammar
from refusal_stability.stages import judge, metrics
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.generation_files import write_generations
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, prompts_of
from refusal_stability.tracking.tracked_study import TrackedStudy, read_tracked_study
from refusal_stability.workload.asked import responses_there

INSPECT = pytest.param("inspect", marks=pytest.mark.logs("inspect_ai"))
OUT = Path("reports/export/trial")
PARAMS = Path("params.yaml")
N_PROMPTS = 13
NEVER_SAMPLED = 9
# Nothing is sorted, and each part has what an import must not lose.
STUDY = """
study: trial
interventions:
  examples:
    system: "Be kind: \\u2028 \\"quote\\"."
    turns: [{role: user, content: "How do I bake bread?"}, {role: assistant, content: "[ERROR] no: with flour."}]
  none: {}
sampling: {temperatures: [1.0, 0.0], seeds: [7, 3, 5]}
models:
  zeta: {path: nowhere, label: "Zeta 1.5, large"}
  alpha_1: {path: nowhere}
judging:
  primary: majority
  blocked: refuse
  max_missing: 0.2
  by_model: {alpha_1: {primary: rules}}
  judges:
    old: {kind: recorded, repeats: 2, path: old.csv, settings: {layout: table, models: {zeta: Z}}}
    rules: {kind: rules}
metrics: {n_resamples: 100, seed: 3, threshold: 0.7, confidence: 0.9}
"""
SYSTEM = [{"role": "system", "content": "Be kind."}]
THINKING = "First <think>this</think>,\n\nthen \u2028 that."
NOT_SAMPLED = {"response": "", "finish_reason": "", "missing_reason": "not sampled", "outcome": "not_sampled"}
HOSTILE = "I'm sorry, but I can't.\r\n <script>alert(1)</script> \u2028\t\U0001f600 "
ODD = {
    1: {"response": "", "finish_reason": "", "missing_reason": "error: 500", "outcome": "unanswered"}
    | {"thinking": THINKING},
    2: {"response": HOSTILE, "thinking": THINKING},
    3: {"finish_reason": "length", "outcome": "cut"},
    4: {"response": "", "finish_reason": "", "missing_reason": "content_filter", "outcome": "blocked"},
    5: {"response": "", "finish_reason": "refusal", "outcome": "refused"},
    6: {"response": "[ERROR] is what I begin with, but here is how: mix the two and stir.", "unseeded": True},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all that an export has to carry: judged and measured, in a folder of its own."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        PARAMS.write_text(STUDY)
        params, rng = load_params(PARAMS), random.Random(1)
        topics = list(grammar.topics())[:N_PROMPTS]
        ids = [f"p{k}" for k in range(N_PROMPTS)]
        prompts = pd.DataFrame({"prompt_id": ids, "prompt": topics, "category": "a|b", "source": "here", "turns": ""})
        prompts = prompts.assign(harm="", language="en", intent=[f"i{k // 2}" for k in range(N_PROMPTS)])
        prompts.loc[0, "turns"] = json.dumps(SYSTEM)
        prompts.loc[:4, "harm"] = "benign"
        write_table(prompts, Path("data/prompts/prompts.csv"), PROMPT_TABLE)
        recorded = []
        for model in params.models:
            for number, condition in enumerate(params.conditions(model)):
                settled = condition.temperature == 0
                chosen = [k % 3 if settled or rng.random() < 0.5 else rng.randrange(3) for k in range(N_PROMPTS)]
                same = random.Random(0) if condition.temperature == 0 else rng
                texts = [grammar.respond(t, DECISIONS[c], same) for t, c in zip(topics, chosen, strict=True)]
                table = pd.DataFrame({"prompt_id": ids, "prompt": topics, "response": texts, "finish_reason": "stop"})
                table = table.assign(
                    missing_reason="", outcome="answered", thinking="", unseeded=False, **vars(condition)
                )
                for row, odd in ODD.items() if number % 5 == 1 else ():
                    table.loc[row, list(odd)] = list(odd.values())
                # The first prompt is not the first that was asked.
                for row in [NEVER_SAMPLED, *[0] * (number == 0), *[8] * (number == 11)]:
                    table.loc[row, list(NOT_SAMPLED)] = list(NOT_SAMPLED.values())
                write_table(table, generation_file(condition), GENERATION_TABLE)
                place = {"model": "Z", "intervention": condition.intervention, "seed": condition.seed}
                for prompt, c in zip(ids, chosen, strict=True):
                    for repeat in range(2):
                        label = DECISIONS[c] if rng.random() < 0.8 else rng.choice(DECISIONS)
                        told = {"prompt_id": prompt, "repeat": repeat, "label": str(label), "confidence": 0.75}
                        recorded.append(place | {"temperature": condition.temperature} | told)
            if model == "zeta":
                pd.DataFrame(recorded).to_csv("old.csv", index=False)
        for model in params.models:
            judge.run(model, PARAMS)
        metrics.run(PARAMS)
    return folder


@pytest.fixture
def exported(measured: Path) -> Path:
    """The export of a copy of that study, in all forms that this environment can write."""
    shutil.copytree(measured, ".", dirs_exist_ok=True)
    export.run(PARAMS, None)
    return OUT


def answers_and_labels() -> list[pd.DataFrame]:
    """All responses and labels of the active study, but for what a recorded source words in its own way."""
    params = load_params(PARAMS)
    conditions = [condition for model in params.models for condition in params.conditions(model)]
    answers = pd.concat(read_table(generation_file(condition), GENERATION_TABLE) for condition in conditions)
    labels = pd.concat(read_table(label_file(condition), LABEL_TABLE) for condition in conditions)
    labels = labels.sort_values(["model", "temperature", "seed", "prompt_id", "judge", "repeat"], ignore_index=True)
    return [answers, labels.drop(columns=["missing_reason", "reasoning"])]


@pytest.mark.parametrize("form", ["responses.parquet", "every-eval-ever", INSPECT])
def test_an_import_of_an_export_gives_the_same_tables(exported: Path, form: str) -> None:
    before = {path: path.read_bytes() for path, _ in METRIC_TABLES.values()}
    noise = metric_table("judge_noise").set_index(["model", "intervention", "judge"])["n_exchanges"]
    assert noise["zeta", "examples", "rules"] == 0 < noise["zeta", "examples", "old"]
    assert len(metric_table("interventions")) == 2 * 3
    answers = answers_and_labels()
    if form in export.FORMS:
        export.run(PARAMS, None, [form])
    given = Path(f"given{Path(form).suffix}")
    Path(exported / form).rename(given)
    for folder in ("data", "reports"):
        shutil.rmtree(folder)
    import_files(given)
    run_imported()
    metrics.run(PARAMS)
    for table, other in zip(answers_and_labels(), answers, strict=True):
        pd.testing.assert_frame_equal(table, other)
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert (changed, len(before) > 30) == ([], True)


def read_everywhere(tracked: TrackedStudy, capsys: pytest.CaptureFixture[str]) -> list[object]:
    """What the study's labels, metrics, export, status, plan, review, explorer and runs say."""
    params = load_params(PARAMS)
    capsys.readouterr()
    status.run(PARAMS, as_json=True, every_cell=True, watch=None)
    found: list[object] = [json.loads(capsys.readouterr().out)]
    prompts = prompts_of(read_table(PROMPTS, PROMPT_TABLE))
    for model in params.models:
        found.append(responses_there(params, model, prompts))
        conditions = list(params.conditions(model))
        for one in conditions:
            found += [outcomes_now(one), unsampled_now(one), tracked.rows(one).to_dict("records")]
        found += [read_answer(conditions[1], prompt.prompt_id) for prompt in prompts]  # with odd rows
    found.append(read_judged(params).fillna(-1).to_dict("records"))
    written = [file for place in ("data/labels", "data/metrics", OUT) for file in sorted(Path(place).rglob("*"))]
    return [*found, {file: file.read_bytes() for file in written if file.is_file()}]


def test_a_study_in_parquet_says_everywhere_what_it_says_in_csv(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = load_params(PARAMS)
    tracked = read_tracked_study(params, PARAMS, lambda rows, name: b"")
    before = read_everywhere(tracked, capsys)
    for place in ("data/labels", "data/metrics", OUT):
        shutil.rmtree(place)
    for one in [condition for model in params.models for condition in params.conditions(model)]:
        write_generations(read_table(generation_file(one), GENERATION_TABLE), generation_place(one, PARQUET))
    assert {file.suffix for file in Path("data/generations").rglob("*.*")} == {PARQUET}
    for model in params.models:
        judge.run(model, PARAMS)
    metrics.run(PARAMS)
    export.run(PARAMS, None)
    for now, then in zip(read_everywhere(tracked, capsys), before, strict=True):
        assert now == then


def test_the_imported_study_reads_as_the_exported_one(exported: Path) -> None:
    import_files(exported)
    ours, theirs = (yaml.safe_load(Path(path).read_text()) for path in ("studies/imported.yaml", PARAMS))
    for section in ("interventions", "sampling", "metrics"):
        assert ours[section] == theirs[section]
    assert list(ours["models"]) == ["zeta", "alpha_1"]
    assert ours["models"]["zeta"]["label"] == "Zeta 1.5, large"
    assert {name: value for name, value in ours["judging"].items() if name != "judges"} == {
        name: value for name, value in theirs["judging"].items() if name != "judges"
    }
    assert [judge.get("settings", {}).get("judged_once") for judge in ours["judging"]["judges"].values()] == [
        None,
        True,
        None,
    ]


def test_an_export_among_other_logs_has_its_models_under_interventions_as_models_of_their_own(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"model": "other", "prompt": "Q?", "temperature": 1.0, "seed": 7, "response": "No."}
    pd.DataFrame([row]).to_csv("other.csv", index=False)
    import_files(exported, Path("other.csv"))
    assert "Not one whole export: each model under an intervention is a model of its own" in capsys.readouterr().out
    study = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert "interventions" not in study
    assert {"alpha_1", "alpha_1-examples", "other", "zeta-examples"} <= set(study["models"])
    pd.DataFrame([row | {"model": "zeta-examples"}]).to_csv("other.csv", index=False)
    with pytest.raises(LogError, match=r"a model 'zeta-examples', and a model 'zeta' under intervention 'examples'"):
        import_files(exported, Path("other.csv"))


def test_what_an_export_names_without_a_response_is_told(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pq.read_table(exported / "responses.parquet")
    rows = table.filter((pc.field("model") == "zeta") & (pc.field("temperature") == 1.0))
    pq.write_table(rows, "part.parquet")
    import_files(Path("part.parquet"))
    told = (
        "model alpha_1, temperature 0.0: left out, since the export holds no response of it; tables that name it will"
    )
    assert told in capsys.readouterr().out


def test_further_labels_of_an_exported_study_join_it(exported: Path) -> None:
    table = pd.read_parquet(exported / "responses.parquet")
    rows = table[(table["intervention"] == "none") & (table["model"] == "zeta")]
    labels = rows[["model", "temperature", "seed", "prompt_id"]].assign(judge="human", label="COMPLY")
    labels.iloc[:5].to_csv("human.csv", index=False)
    import_files(exported / "responses.parquet", Path("human.csv"))
    study = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert list(study["interventions"]) == ["examples", "none"]
    assert list(study["judging"]["judges"]) == ["old", "rules", "human", "majority"]


def test_a_description_that_no_export_writes_is_an_error(exported: Path) -> None:
    table = pq.read_table(exported / "responses.parquet")
    for said in ("{", '{"study": "x"}', "[" * 100_000):
        changed = {**table.schema.metadata, b"refusal_stability.study": said.encode()}
        pq.write_table(table.replace_schema_metadata(changed), "bad.parquet")
        with pytest.raises(LogError, match=r"bad\.parquet: its description of the study is not as an export .*again$"):
            import_files(Path("bad.parquet"))
    older = {name: value for name, value in table.schema.metadata.items() if name != b"refusal_stability.study"}
    pq.write_table(table.drop_columns(["unseeded"]).replace_schema_metadata(older), "older.parquet")
    import_files(Path("older.parquet"))
    assert "zeta-examples" in yaml.safe_load(Path("studies/imported.yaml").read_text())["models"]
