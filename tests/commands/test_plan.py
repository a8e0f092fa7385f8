"""`refusal-stability plan` on a study of two paid models and a paid judge; no server is there to be asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import refusal_stability
from refusal_stability.files import PROMPTS, generation_file
from refusal_stability.records import Condition
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE

PAID = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "NO_SUCH_KEY", "price_in": 1.0, "price_out": 2.0}
STUDY = {
    "study": "paid",
    "prompts": {"source": "table", "path": "mine.csv", "columns": {"prompt": "prompt", "id": "id"}},
    "interventions": {"none": {}},
    "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2], "max_tokens": 100},
    "models": {
        "small": {"engine": "openai", "path": "small", "settings": PAID},
        "large": {"engine": "openai", "path": "large", "settings": PAID | {"price_in": None, "max_requests": 7}},
    },
    "judging": {
        "primary": "judge",
        "judges": {
            "judge": {"kind": "model", "model": {"engine": "openai", "path": "judge", "settings": PAID}},
            "rules": {"kind": "rules"},
        },
    },
}


def plan(folder: Path, columns: int = 200) -> list[str]:
    command = [sys.executable, "-m", "refusal_stability.cli", "plan"]
    # The code at test, wherever it lies; nothing else of the environment.
    env = {"COLUMNS": str(columns), "PATH": "", "PYTHONPATH": str(Path(refusal_stability.__file__).parent.parent)}
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=env)
    assert max(map(len, ran.stdout.splitlines())) <= columns
    return [" ".join(line.split()) for line in ran.stdout.splitlines()]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(STUDY))
    (tmp_path / "mine.csv").write_text(f"id,prompt\na,{'x' * 40}\nb,{'y' * 40}\n")
    return tmp_path


def test_requests_tokens_and_cost_are_shown_and_nothing_is_sent(study: Path) -> None:
    lines = plan(study)
    # 2 prompts x 2 temperatures x 2 seeds = 8 requests of 10 + 8 tokens and at most 100 in the answer:
    # 8 x 18 x 1 / 10^6 + 8 x 100 x 2 / 10^6 = 0.0017.
    assert "small 8 0 8 144 800 0.00" in lines
    assert "large 8 0 8 144 800 no price" in lines
    assert "large: exceeds the cap settings.max_requests; the run would stop before it sends anything" in lines
    assert not (study / "data/store").exists()


def test_the_prompts_are_those_of_the_source_and_not_of_the_study_before(study: Path) -> None:
    stale = pd.DataFrame({"prompt_id": ["z"], "prompt": ["z" * 40], "category": "", "source": "test"})
    write_table(stale, study / PROMPTS, PROMPT_TABLE)
    assert "study paid: 2 prompts" in plan(study)


def test_the_table_fits_a_terminal_of_80_columns(study: Path) -> None:
    name = "a-model-of-a-long-name"
    models = {name: {"engine": "openai", "path": "m", "settings": PAID}}
    many = {"temperatures": [0.0, 0.3, 0.7, 1.0], "seeds": [*range(100, 160)], "max_tokens": 30_000}
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"models": models, "sampling": many}))
    lines = plan(study, columns=80)
    # 2 prompts x 240 requests; 480 x 30,000 tokens at 2 a million.
    assert any(line.endswith("480 0 480 8,640 14.4 M 28.81") for line in lines)
    assert any(line.startswith(name) for line in lines)


def test_a_judge_is_asked_about_distinct_pairs_once_the_responses_exist(study: Path) -> None:
    assert any(line.startswith("judge on small 8 0 8") for line in plan(study))
    for temperature in (0.0, 1.0):
        for seed in (1, 2):
            condition = Condition("small", "none", temperature, seed)
            table = pd.DataFrame(
                {
                    "prompt_id": ["a", "b"],
                    "prompt": ["x" * 40, "y" * 40],
                    "response": ["always the same", f"{temperature} {seed}"],
                    "temperature": temperature,
                    "seed": seed,
                    "model": "small",
                    "intervention": "none",
                    "finish_reason": "stop",
                    "missing_reason": "",
                }
            )
            write_table(table, study / generation_file(condition), GENERATION_TABLE)
    # One distinct pair of the first prompt, four of the second.
    assert any(line.startswith("judge on small 5 0 5") for line in plan(study))
    # Thinking of its own in every response to the first prompt: four more pairs.
    judged = STUDY["judging"] | {"thinking": "judge"}
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": judged}))
    assert any(line.startswith("judge on large 16 0 16") for line in plan(study))
    for path in study.glob("data/generations/small/*.csv"):
        thinking = [f"Thinking of {path.stem}.", ""]
        write_table(read_table(path, GENERATION_TABLE).assign(thinking=thinking), path, GENERATION_TABLE)
    assert any(line.startswith("judge on small 9 0 9") for line in plan(study))


def test_a_judge_on_call_is_counted_as_an_upper_bound_and_exceeds_no_cap_for_certain(study: Path) -> None:
    paid = {"engine": "openai", "path": "judge", "settings": PAID | {"max_requests": 7}}
    settings = {"escalate_below": 0.8, "escalate_to": "expensive"}
    judges = {
        "cheap": {"kind": "trained", "path": "models/judges/cheap.json", "settings": settings},
        "expensive": {"kind": "model", "on_call": True, "model": paid},
    }
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": {"primary": "cheap", "judges": judges}}))
    lines = plan(study)
    assert any(line.startswith("expensive on small 8 0 8") for line in lines)
    said = "\n".join(lines)
    assert "expensive on small: judges only what another judge hands over; its row assumes every response" in said
    assert "expensive on small: would exceed the cap settings.max_requests if it were asked about every" in said
    assert "expensive on small: exceeds the cap" not in said
