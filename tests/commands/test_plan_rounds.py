"""`refusal-stability plan` where a study is sampled in rounds that start from predictions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from refusal_stability.commands import plan
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.prediction import PREDICTION_TABLES

N = 40
PAID = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "NO_SUCH_KEY", "price_in": 1e4, "price_out": 1e4}
RAW = Path("data/raw/predictions.csv")
STUDY = {
    "study": "rounds",
    "prompts": {"source": "table", "path": "mine.csv", "columns": {"prompt": "prompt", "id": "id"}},
    "sampling": {
        "temperatures": [0.0, 1.0],
        "seeds": [1, 2, 3, 4, 5],
        "max_tokens": 100,
        "adaptive": {"population": {"predictions": str(RAW)}},
    },
    "models": {name: {"engine": "openai", "path": name, "settings": PAID} for name in ("steady", "jumpy", "new")},
    "judging": {"judges": {"rules": {"kind": "rules"}}},
}


@pytest.fixture
def planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], list[str]]:
    """What `plan` prints of the study in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    Path("params.yaml").write_text(yaml.safe_dump(STUDY))
    Path("mine.csv").write_text("id,prompt\n" + "".join(f"p{i},ask {i}\n" for i in range(N)))
    rows = [
        {"model": model, "intervention": "none", "prompt_id": f"p{i}", "p_flip": chance, "p_unstable": chance}
        for model, chance in (("steady", 0.02), ("jumpy", 0.5))
        for i in range(N)
    ]
    write_table(pd.DataFrame(rows), RAW, PREDICTION_TABLES["predictions"][1])

    def lines() -> list[str]:
        with pytest.raises(SystemExit):  # no server is there, which is a problem and no error
            plan.run(Path("params.yaml"))
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return lines


def test_predictions_say_what_the_rounds_will_take_and_cost(planned: Callable[[], list[str]]) -> None:
    lines = planned()
    said = re.compile(r"(\w+): by the predictions, its rounds .* (\d+) of 400 samples and ([\d.]+) of the cost")
    found = {match[1]: match for line in lines if (match := said.match(line))}
    assert set(found) == {"steady", "jumpy"}  # nothing is predicted of the third
    steady, jumpy = (found[name] for name in ("steady", "jumpy"))
    # a quarter of the prompts is audited in full, and each other one gets five of its ten samples first
    assert all(0.25 * 400 + 0.75 * 200 <= int(one[2]) < 400 for one in found.values())
    assert steady[2] != jumpy[2]
    whole = next(float(line.split()[-1]) for line in lines if line.startswith("steady 400 0 400"))
    assert float(steady[3]) == pytest.approx(whole * int(steady[2]) / 400, rel=0.01)


def test_predictions_that_are_not_there_or_of_other_models_are_said(planned: Callable[[], list[str]]) -> None:
    RAW.unlink()
    assert any(re.match(rf"PROBLEM .*{RAW}", line) for line in planned())
    other = pd.DataFrame([{"model": "x", "intervention": "none", "prompt_id": "p1", "p_flip": 0.5, "p_unstable": 0.5}])
    write_table(other, RAW, PREDICTION_TABLES["predictions"][1])
    assert f"{RAW} predicts nothing for the models still to be sampled" in planned()
