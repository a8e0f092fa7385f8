"""The prompts stage, run through the command line as DVC runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refusal_stability.files import PROMPTS
from refusal_stability.prompts.identity import prompt_id
from refusal_stability.stages import prompts as stage
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import PROMPT_TABLE

STUDY = """
study: test
prompts: {prompts}
interventions: {{none: {{}}}}
models: {{m: {{path: nowhere}}}}
judging: {{primary: rules, judges: {{rules: {{kind: rules}}}}}}
"""


def study(folder: Path, prompts: str = "{}") -> Path:
    path = folder / "params.yaml"
    path.write_text(STUDY.format(prompts=prompts), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "refusal_stability.cli", "prompts", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_built_in_set_becomes_the_prompt_table(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.run(study(inside))
    table = read_table(PROMPTS, PROMPT_TABLE)
    assert len(table) == 84
    assert (table["prompt_id"] == table["prompt"].map(prompt_id)).all()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("84 prompts in data/prompts/prompts.csv: animal_abuse 5; harmless 14; child_abuse 5;")


def test_the_same_study_gives_the_same_bytes(inside: Path) -> None:
    path = study(inside, "{shuffle_seed: 3, per_category: 2, limit: 9}")
    stage.run(path)
    once = PROMPTS.read_bytes()
    stage.run(path)
    assert PROMPTS.read_bytes() == once


def test_awkward_texts_reach_the_table_word_for_word(inside: Path) -> None:
    texts = ['a "quoted", text', "two\r\nlines\n", "NA", "Ünïcödé 🌱 \u2028 end", "=1+1"]
    quoted = "".join('"' + t.replace('"', '""') + '"\n' for t in texts)
    (inside / "mine.csv").write_bytes(("question\n" + quoted).encode())
    stage.run(study(inside, "{source: table, path: mine.csv, columns: {prompt: question}}"))
    assert list(read_table(PROMPTS, PROMPT_TABLE)["prompt"]) == texts


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("question\nWhy?\n", "mine.csv: no column 'prompt' (check prompts.columns); found question"),
        ("prompt\nWhy?\nWhy?\n", "mine.csv: row 3, column prompt: the same prompt as in row 2"),
        ('prompt\nWhy?\n" "\n', "mine.csv: row 3, column prompt: the prompt is empty"),
    ],
)
def test_a_bad_prompt_file_is_one_line_on_stderr_and_leaves_the_last_table(
    inside: Path, content: str, problem: str
) -> None:
    stage.run(study(inside))
    before = PROMPTS.read_bytes()
    (inside / "mine.csv").write_text(content, encoding="utf-8")
    study(inside, "{source: table, path: mine.csv, columns: {prompt: prompt}}")
    done = command()
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {problem}")
    assert done.stderr.count("\n") == 1
    assert PROMPTS.read_bytes() == before
    assert os.listdir(PROMPTS.parent) == [PROMPTS.name]  # noqa: PTH208
