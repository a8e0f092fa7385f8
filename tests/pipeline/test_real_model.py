"""A short study of the quickstart's model, through the real GGUF file, from prompts to report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from pipeline_study import Study, copy_project

from refusal_stability.files import UNPACKED_MODELS

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

MODEL = "smollm2-135m"
N_PROMPTS = 6


@pytest.fixture(scope="module")
def real(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The quickstart's study with few prompts, a short grid and short answers, after one `dvc repro report`."""
    study = copy_project(root, tmp_path_factory.mktemp("real") / "project", "quickstart")
    params = yaml.safe_load((study.folder / "params.yaml").read_text())
    file = Path(params["models"][MODEL]["path"])
    if not (root / file).is_file():
        pytest.skip(f"{file} is absent; `make setup` fetches it")
    (study.folder / file).symlink_to((root / file).absolute())
    if (root / UNPACKED_MODELS).is_dir():
        # Where the checkout's own quickstart has run, its unpacked model is this one's.
        (study.folder / UNPACKED_MODELS).symlink_to((root / UNPACKED_MODELS).absolute())
    params["prompts"] |= {"limit": N_PROMPTS, "shuffle_seed": 1}
    params["sampling"] |= {"temperatures": [0.0, 1.0], "seeds": [1, 2], "max_tokens": 16}
    params["judging"]["max_missing"] = 0.9
    (study.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    # An address that nobody answers at: whatever asked the hub would fail.
    study.environment |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(study.folder / "tmp")}
    study.run("dvc", "repro", "report")
    return study


def responses(study: Study, intervention: str, temperature: float) -> list[list[str]]:
    """The responses of each seed."""
    found = []
    for file in sorted((study.folder / "data/generations" / MODEL).glob("*.csv")):
        rows = list(csv.DictReader(file.open(encoding="utf-8", newline="")))
        if rows[0]["intervention"] == intervention and float(rows[0]["temperature"]) == temperature:
            found.append([row["response"] for row in rows])
    return found


def test_it_answers_every_prompt_in_every_configuration_and_greedily_the_same(real: Study) -> None:
    for intervention in ("none", "cautious"):
        greedy, sampled = responses(real, intervention, 0.0), responses(real, intervention, 1.0)
        assert [len(texts) for texts in (*greedy, *sampled)] == [N_PROMPTS] * 4
        assert greedy[0] == greedy[1]
        assert sampled[0] != sampled[1]
    assert responses(real, "none", 0.0) != responses(real, "cautious", 0.0)


def test_the_report_has_both_interventions(real: Study) -> None:
    summary = json.loads((real.folder / "data/metrics/summary.json").read_text())
    assert set(summary["models"][MODEL]) == {"none", "cautious"}
    assert summary["n_responses"] + summary["n_missing"] == N_PROMPTS * 2 * 4
    assert "SmolLM2 135M" in (real.folder / "reports/report.html").read_text(encoding="utf-8")


def test_the_prompt_without_intervention_holds_the_templates_own_system_text(real: Study) -> None:
    shown = real.run("refusal-stability", "prompts", "--show", "1").stdout
    assert "You are a helpful AI assistant named SmolLM" in shown
    assert "You are a careful assistant." in shown


def test_without_the_file_the_stage_says_in_one_line_how_to_get_it(real: Study) -> None:
    file = next((real.folder / "models").glob("*.gguf"))
    target = file.readlink()
    file.unlink()
    failed = real.run("refusal-stability", "generate", MODEL, check=False)
    file.symlink_to(target)
    assert failed.returncode == 1
    assert [line for line in failed.stderr.splitlines() if line] == [failed.stderr.strip()]
    assert "no such file; `make setup` fetches the quickstart's model" in failed.stderr


def test_git_and_dvc_leave_the_file_and_what_it_is_unpacked_into_alone(real: Study) -> None:
    status = json.loads(real.run("dvc", "status", "--with-deps", "report", "--json").stdout)
    assert status == {}
    for name in (".gitignore", ".dvcignore"):
        ignored = {line.lstrip("/").rstrip("/") for line in (real.folder / name).read_text().splitlines()}
        assert {"models/*.gguf", "models/unpacked"} <= ignored
