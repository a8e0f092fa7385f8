"""A reasoning model whose thinking is sometimes cut is as stable as it is, and its lost answers are missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from refusal_stability.files import label_file
from refusal_stability.params.load import load_params
from refusal_stability.stages import generate, judge, metrics, prompts
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.study import LABEL_TABLE

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The benchmark's study, with its model served; gives its params.yaml."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark: Any = importlib.import_module("thinking_study")
    monkeypatch.chdir(tmp_path)
    with benchmark.serving() as port:
        path = benchmark.write_study(tmp_path, port)
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(params | {"metrics": {"n_resamples": 1000}}), encoding="utf-8")
        yield path


def test_thinking_that_was_cut_is_no_decision_and_no_instability(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts.run(study)
    generate.run("reasoner", study)
    judge.run("reasoner", study)
    metrics.run(study)
    row = metric_table("aggregate_by_model").iloc[0]
    assert row["pct_flipped"] == 0
    assert row["mean_ssi"] == 1
    assert row["n_missing"] > 0
    assert row["n_responses"] > 0
    assert row["n_missing"] + row["n_responses"] == 60
    for condition in load_params(study).conditions("reasoner"):
        labels = read_table(label_file(condition), LABEL_TABLE)
        lost = labels[labels["label"] == ""]
        assert lost["missing_reason"].str.contains("nothing but thinking before max_tokens").all()
    assert "ignore `seed`" not in capsys.readouterr().err
