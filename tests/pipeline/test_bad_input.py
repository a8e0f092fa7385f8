"""What goes wrong at the command line ends in one line that says what to do, exit code 1, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

STUDY: dict[str, Any] = {
    "study": "test",
    "prompts": {"source": "table", "path": "mine.csv", "columns": {"prompt": "text", "id": "id"}},
    "interventions": {"none": {}},
    "sampling": {"temperatures": [0.0, 1.0], "seeds": [1], "max_tokens": 8},
    "models": {"tiny": {"path": "models/absent/tiny"}},
    "judging": {"primary": "rules", "judges": {"rules": {}}},
}
PROMPTS = "id,text\na,How do kites fly?\nb,Why is the sky blue?\n"


def run(folder: Path, *command: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, with at most `limit` bytes in any file it writes."""
    code = (
        "import resource, signal, sys; from refusal_stability.cli import main\n"
        f"limit = {limit}\n"
        "if limit is not None:\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=False
    )


def prepare(folder: Path, prompts: str = PROMPTS, **changes: Any) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))
    (folder / "mine.csv").write_text(prompts)


def assert_one_line_error(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("error: ")
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": {"seeds": [1, 1]}}, ["params.yaml: sampling.seeds", "[1, 1]", "each value once"]),
        ({"sampling": {"temperatures": [-1.0]}}, ["sampling.temperatures", "-1.0", "0 to 5"]),
        ({"sampling": {"sedes": [1]}}, ["sampling.sedes", "unknown key", "seeds"]),
        ({"models": {"tiny": {"path": "x", "engine": "magic"}}}, ["models.tiny.engine", "'magic'", "transformers"]),
        ({"judging": {"primary": "nobody", "judges": {"rules": {}}}}, ["judging.primary", "'nobody'", "rules"]),
    ],
)
def test_a_bad_parameter(changes: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    prepare(tmp_path, **changes)
    assert_one_line_error(run(tmp_path, "prompts"), *words)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ("id,question\na,x\n", ["mine.csv", "text", "question"]),
        ("id,text\na,x\na,y\n", ["mine.csv", "'a'", "2", "3"]),
        ("id,text\na,x\nb,\n", ["mine.csv", "3", "empty"]),
    ],
)
def test_a_bad_prompt_file(prompts: str, words: list[str], tmp_path: Path) -> None:
    prepare(tmp_path, prompts)
    assert_one_line_error(run(tmp_path, "prompts"), *words)
    assert not (tmp_path / "data/prompts/prompts.csv").exists()


def test_a_model_that_does_not_exist(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert run(tmp_path, "prompts").returncode == 0
    assert_one_line_error(run(tmp_path, "generate", "tiny"), "'models/absent/tiny'", "no such folder")
    assert not (tmp_path / "data/generations").exists()


def test_a_model_that_the_study_does_not_name(tmp_path: Path) -> None:
    prepare(tmp_path)
    run(tmp_path, "prompts")
    assert_one_line_error(run(tmp_path, "generate", "other"), "no model 'other'", "tiny")


def test_a_full_disk(tmp_path: Path) -> None:
    many = "id,text\n" + "".join(f"{i},Question number {i}?\n" for i in range(500))
    prepare(tmp_path, many)
    assert_one_line_error(run(tmp_path, "prompts", limit=4000), "data/prompts/prompts.csv", "free some space")
    assert list((tmp_path / "data/prompts").iterdir()) == []


def test_no_parameter_file(tmp_path: Path) -> None:
    assert_one_line_error(run(tmp_path, "prompts"), "params.yaml", "make study")
