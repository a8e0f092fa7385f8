"""A reasoning model whose thinking is sometimes cut is as stable as it is, and its lost answers are missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from refusal_stability.files import label_file
from refusal_stability.params.load import load_params
from refusal_stability.stages import generate, judge, metrics, prompts
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.study import LABEL_TABLE

SERVER = Path(__file__).with_name("reasoning_server.py")
STUDY = """
study: reasoning
prompts: {{source: table, path: data/raw/p.csv, columns: {{prompt: prompt}}}}
sampling: {{temperatures: [0.7], seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], max_tokens: 70}}
models:
  reasoner: {{engine: openai, path: x, settings: {{base_url: "http://127.0.0.1:{port}/v1", concurrency: 4}}}}
judging: {{primary: rules, max_missing: 1.0, judges: {{rules: {{kind: rules}}}}}}
metrics: {{n_resamples: 1000}}
"""


@pytest.fixture
def port() -> Iterator[int]:
    server = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


def write_study(folder: Path, port: int) -> Path:
    (folder / "data/raw").mkdir(parents=True)
    rows = "\n".join(f"What is the answer to question {i}?" for i in range(20))
    (folder / "data/raw/p.csv").write_text(f"prompt\n{rows}\n", encoding="utf-8")
    path = folder / "params.yaml"
    path.write_text(STUDY.format(port=port), encoding="utf-8")
    return path


def test_thinking_that_was_cut_is_no_decision_and_no_instability(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study(tmp_path, port)
    monkeypatch.chdir(tmp_path)
    prompts.run(path)
    generate.run("reasoner", path)
    judge.run("reasoner", path)
    metrics.run(path)
    row = metric_table("aggregate_by_model").iloc[0]
    assert row["pct_flipped"] == 0
    assert row["mean_ssi"] == 1
    assert row["n_missing"] > 0
    assert row["n_missing"] + row["n_responses"] == 200
    for condition in load_params(path).conditions("reasoner"):
        labels = read_table(label_file(condition), LABEL_TABLE)
        lost = labels[labels["label"] == ""]
        assert lost["missing_reason"].str.contains("nothing but thinking before max_tokens").all()
    assert "ignore `seed`" not in capsys.readouterr().err
