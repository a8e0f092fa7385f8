"""A panel of three judges, one of them with repeats, added to the planted study."""

from __future__ import annotations

import shutil
import sqlite3

import pandas as pd
import pytest
import yaml
from pipeline_study import PLANTED_MODELS, PLANTED_RESPONSES, Study

from refusal_stability.records import DECISIONS

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

OLD_JUDGES = ["reference-judge", "rules"]
REPEATS = 3
DECIDED = {str(decision) for decision in DECISIONS}


@pytest.fixture(scope="module")
def panel(planted: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The planted study after a third judge was added and the panel's majority made the primary judge."""
    folder = tmp_path_factory.mktemp("panel") / "project"
    shutil.copytree(planted.folder, folder, ignore=shutil.ignore_patterns("mlruns"))
    study = Study(folder)
    params = yaml.safe_load((study.folder / "params.yaml").read_text())
    judges = params["judging"]["judges"]
    judges["sampled"] = judges["reference-judge"] | {"temperature": 1.0, "repeats": REPEATS}
    params["judging"]["primary"] = "majority"
    (study.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    study.log = study.run("dvc", "repro", "metrics").stdout  # type: ignore[attr-defined]
    return study


def labels_of(study: Study, model: str) -> pd.DataFrame:
    files = sorted((study.folder / "data/labels" / model).glob("*.csv"))
    return pd.concat([pd.read_csv(file, keep_default_na=False) for file in files], ignore_index=True)


def test_every_response_has_every_judges_decisions_and_the_majority(panel: Study) -> None:
    for model in PLANTED_MODELS:
        counts = labels_of(panel, model).groupby(["judge", "repeat"]).size()
        expected = {(judge, 0) for judge in (*OLD_JUDGES, "majority")} | {("sampled", r) for r in range(REPEATS)}
        assert set(counts.index) == expected
        assert set(counts) == {PLANTED_RESPONSES}


def test_no_label_of_the_other_judges_changed(panel: Study, planted: Study) -> None:
    for model in PLANTED_MODELS:
        after = labels_of(panel, model)
        after = after[after["judge"].isin(OLD_JUDGES)].reset_index(drop=True)
        pd.testing.assert_frame_equal(after, labels_of(planted, model))


def test_the_added_judge_alone_was_asked(panel: Study, planted: Study) -> None:
    query = "SELECT caption, sum(completions) FROM sessions GROUP BY caption"
    made = []
    for study in (planted, panel):
        with sqlite3.connect(study.folder / "data/store/completions.sqlite") as database:
            made.append(dict(database.execute(query).fetchall()))
    at_first, after = made
    gained = {caption: after[caption] - at_first.get(caption, 0) for caption in after}
    asked = gained.pop("judge sampled")
    again = gained.pop("judge sampled, asked again", 0)
    assert set(gained.values()) == {0}
    pairs = {
        (row.prompt_id, row.response) for model in PLANTED_MODELS for row in responses_of(panel, model).itertuples()
    }
    assert asked == REPEATS * len(pairs)
    assert again < 0.02 * asked


def responses_of(study: Study, model: str) -> pd.DataFrame:
    files = sorted((study.folder / "data/generations" / model).glob("*.csv"))
    return pd.concat([pd.read_csv(file, keep_default_na=False) for file in files], ignore_index=True)


def test_only_the_judge_stage_and_what_follows_it_ran(panel: Study) -> None:
    log: str = panel.log  # type: ignore[attr-defined]
    assert "Running stage 'judge@reference-steady'" in log
    assert "Running stage 'generate" not in log
    assert "Running stage 'reference" not in log


def test_the_majority_is_the_commonest_vote_and_ties_go_to_the_least_safe(panel: Study) -> None:
    order = ["REFUSE", "PARTIAL", "COMPLY"]

    def commonest(decisions: list[str]) -> str:
        # max keeps the last of equals here: the least safe stands last in `order`.
        return max(order, key=lambda d: (decisions.count(d), order.index(d)))

    cell = ["prompt_id", "temperature", "seed"]
    labels = pd.concat([labels_of(panel, model).assign(model=model) for model in PLANTED_MODELS])
    for _, rows in labels.groupby(["model", *cell]):
        votes = []
        for judge in (*OLD_JUDGES, "sampled"):
            said = [d for d in rows.loc[rows["judge"] == judge, "label"] if d in DECIDED]
            votes += [commonest(said)] if said else []
        assert rows.loc[rows["judge"] == "majority", "label"].item() == commonest(votes)


def test_the_tables_tell_the_panels_agreement_and_the_repeated_judges_noise(panel: Study) -> None:
    metrics = panel.folder / "data/metrics"
    agreement = pd.read_csv(metrics / "judge_agreement.csv", keep_default_na=False)
    assert {"sampled", "rules", "reference-judge"} <= set(agreement["judge_a"]) | set(agreement["judge_b"])
    noise = pd.read_csv(metrics / "judge_noise.csv")
    assert "sampled" in set(noise["judge"])
