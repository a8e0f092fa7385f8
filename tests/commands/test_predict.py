from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from refusal_stability.commands import predict
from refusal_stability.files import PROMPTS
from refusal_stability.measures.prompt_features import READ
from refusal_stability.records import StudyError
from refusal_stability.study.predicted import predicted_instability
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import METRIC_TABLES
from refusal_stability.tables.prediction import PREDICTION_TABLES
from refusal_stability.tables.study import PROMPT_TABLE

PARAMS = Path("params.yaml")
N = 120


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Tables of two models on prompts of which those on locks flip; ten prompts were not sampled."""
    folder = tmp_path_factory.mktemp("predicted")
    rng = np.random.default_rng(0)
    topic = np.array(["locks", "bread", "stars", "rivers"])[np.arange(N) % 4]
    prompts = pd.DataFrame({"prompt_id": [f"p{i:03}" for i in range(N)], "category": "", "source": "made"})
    prompts["prompt"] = [f"Tell me about {t}, number {i}." for i, t in enumerate(topic)]
    prompts["intent"] = [f"i{i // 2}" for i in range(N)]
    prompts = prompts.assign(turns="", harm="", language="")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        PARAMS.write_text(yaml.safe_dump({"study": "t", "models": {"a": {"path": "x"}, "b": {"path": "x"}}}))
        write_table(prompts, PROMPTS, PROMPT_TABLE)
        path, contract = METRIC_TABLES["per_prompt_metrics"]
        sampled = prompts.iloc[:110]
        rows = []
        for model, rate in (("a", 0.95), ("b", 0.9)):
            flips = rng.random(110) < np.where(topic[:110] == "locks", rate, 0.05)
            table = pd.DataFrame(index=range(110), columns=list(contract.columns))
            kinds = contract.columns
            for column, kind in kinds.items():
                table[column] = "" if kind == "text" else (False if kind == "flag" else 4)
            table = table.assign(model=model, intervention="none", prompt_id=sampled["prompt_id"], flip=flips, n=4)
            rows.append(table.assign(unstable=False, majority="REFUSE"))
        write_table(pd.concat(rows, ignore_index=True), path, contract)
        patch.setattr(predict, "RESAMPLES", 20)
        predict.run(PARAMS)
    return folder


@pytest.fixture(autouse=True)
def here(study, monkeypatch):
    monkeypatch.setattr(predict, "RESAMPLES", 20)
    monkeypatch.chdir(study)


def test_the_predictor_is_held_out_by_prompt_and_by_intent():
    found = read_table(*PREDICTION_TABLES["cross_validation"])
    assert set(found["held_out"]) == {"prompt", "intent"}
    assert set(found["event"]) == {"flip"}  # no prompt is unstable, so that is not predicted
    words = found[(found["predictor"] == "words") & (found["held_out"] == "prompt")]
    length = found[(found["predictor"] == "length") & (found["held_out"] == "prompt")]
    assert (words["auc"].to_numpy() > length["auc"].to_numpy()).all()


def test_a_model_that_reads_the_prompts_adds_a_predictor(tiny_model):
    words = read_table(*PREDICTION_TABLES["cross_validation"])
    predict.run(PARAMS, str(tiny_model))
    found = read_table(*PREDICTION_TABLES["cross_validation"])
    assert set(found["predictor"]) - set(words["predictor"]) == {READ}
    kept = found[found["predictor"] != READ].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, words)
    assert len(predicted_instability("a")) == N
    predict.run(PARAMS)


def test_one_model_predicts_the_other():
    found = read_table(*PREDICTION_TABLES["transfer"])
    assert set(zip(found["model"], found["learned_from"], strict=True)) == {("a", "b/none"), ("b", "a/none")}
    assert (found["auc"] > 0.65).all()


def test_a_sampler_gets_every_prompts_chance_also_of_those_not_sampled():
    chances = predicted_instability("a")
    assert len(chances) == N
    assert chances["p112"] > 2 * chances["p113"]  # on locks, on bread: neither was sampled
    assert predicted_instability("a", event="p_unstable") == {}
    assert predicted_instability("nobody") == {}


def test_twice_gives_the_same_bytes():
    files = [path for path, _ in PREDICTION_TABLES.values()]
    before = [file.read_bytes() for file in files]
    predict.run(PARAMS)
    assert [file.read_bytes() for file in files] == before


def test_a_study_of_steady_models_is_refused_in_one_line(tmp_path, study, monkeypatch):
    path, contract = METRIC_TABLES["per_prompt_metrics"]
    steady = read_table(path, contract).assign(flip=False)
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    monkeypatch.chdir(tmp_path)
    PARAMS.write_text((study / PARAMS).read_text())
    write_table(prompts, PROMPTS, PROMPT_TABLE)
    write_table(steady, path, contract)
    with pytest.raises(StudyError, match=r"0 prompts .* change their decision, fewer than 10"):
        predict.run(PARAMS)
