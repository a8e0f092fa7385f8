"""Each source registers its own name; what the parameters say is checked against the source that they name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import refusal_stability
from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.load import load_prompts, registered_sources
from refusal_stability.records import StudyError

NEW_SOURCE = """
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import Prompt

@prompt_source("proverbs", has_file=False)
def proverbs(path, params):
    return [Prompt("p1", "Explain a proverb.", "uncategorised", "proverbs")]
"""


def test_the_sources_are_those_that_the_data_card_describes() -> None:
    assert set(registered_sources()) == {"builtin", "table", "advbench", "beavertails", "harmbench"}


@pytest.mark.parametrize(
    ("params", "key", "allowed"),
    [
        ({"source": "beaver"}, "prompts.source: 'beaver'", "one of advbench, beavertails, builtin, harmbench, table"),
        ({"path": "x.csv"}, "prompts.path: 'x.csv'", "null for source builtin"),
        ({"sha256": "0" * 64}, "prompts.sha256: '0000", "null for source builtin"),
        ({"columns": {"prompt": "q"}}, "prompts.columns: {'prompt': 'q'}", "{} for source builtin"),
        ({"source": "advbench", "path": "x.csv", "columns": {"prompt": "q"}}, "prompts.columns", "{} for source advb"),
        ({"source": "table", "columns": {"prompt": "q"}}, "prompts.path: None", "a file for source table"),
    ],
)
def test_a_parameter_that_the_source_cannot_use_names_its_key_value_and_what_is_allowed(
    params: dict[str, Any], key: str, allowed: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load_prompts(PromptParams(**params))
    assert str(caught.value).startswith(f"{key}")
    assert f"is not allowed; allowed: {allowed}" in str(caught.value)


def test_a_new_source_is_one_new_file(tmp_path: Path) -> None:
    copy = tmp_path / "refusal_stability"
    shutil.copytree(Path(refusal_stability.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "prompts" / "sources" / "proverbs.py").write_text(NEW_SOURCE, encoding="utf-8")
    script = (
        "from refusal_stability.params.prompts import PromptParams\n"
        "from refusal_stability.prompts.load import load_prompts\n"
        "print([p.text for p in load_prompts(PromptParams(source='proverbs'))])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert ran.stdout == "['Explain a proverb.']\n", ran.stderr
