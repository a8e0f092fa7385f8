"""README and docs: every link leads somewhere, every command and target that they name is there."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.params.engines.settings import ENGINES
from refusal_stability.params.judge_kinds import JUDGE_KINDS
from refusal_stability.params.study import StudyParams

LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMAND = re.compile(r"refusal-stability ([a-z]+(?:-[a-z]+)*)\b")
TARGET = re.compile(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)", re.MULTILINE)
# Code is not read for links or headings.
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    root = Path(__file__).resolve().parent.parent
    return sorted(str(page.relative_to(root)) for page in [*root.glob("*.md"), *(root / "docs").glob("*.md")])


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings are linked, as code hosts make them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_to_a_file_and_a_heading(page: str, root: Path) -> None:
    for target, anchor in LINK.findall(FENCE.sub("", (root / page).read_text())):
        found = (root / page).parent / target if target else root / page
        # Written by a run; `make bench` and the stages say so.
        if not found.exists():
            assert subprocess.run(["git", "check-ignore", "-q", found], cwd=root).returncode == 0, f"{page}: {target}"
        elif anchor:
            assert anchor in anchors(found), f"{page}: {target}#{anchor}"


def test_the_reference_pages_say_what_the_code_says(root: Path) -> None:
    written = subprocess.run(
        [sys.executable, root / "docs/write_reference.py", "--check"], capture_output=True, text=True
    )
    assert written.returncode == 0, written.stderr


def test_every_key_of_the_parameters_is_explained_in_one_sentence(root: Path) -> None:
    reference = runpy.run_path(str(root / "docs/write_reference.py"))
    sections = {section for section, _ in reference["sections"](StudyParams, "")}
    settings = {*ENGINES.values(), *JUDGE_KINDS.values()}
    # Other tests may have registered engines of their own.
    sections |= {section for section in settings if section.__module__.startswith("refusal_stability.")}
    assert len(sections) > 15
    for section in sections:
        meant = reference["meanings"](section)
        for key in fields(section):
            sentence = meant.get(key.name, "")
            assert re.fullmatch(r"[A-Z].{10,118}\.", sentence), (section, key.name, sentence)
            assert ". " not in sentence, (section, key.name, sentence)
        # A key that was renamed leaves no sentence behind.
        assert meant.keys() <= get_type_hints(section).keys(), section


def test_every_command_and_target_that_a_page_names_is_there(root: Path) -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "refusal_stability.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    makefile = (root / "Makefile").read_text()
    targets = {name for line in re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE) for name in line.split()}
    for page in pages():
        text = (root / page).read_text()
        for command in COMMAND.findall(text):
            assert re.search(rf"\b{command}\b", help_text), f"{page}: refusal-stability {command}"
        for target in TARGET.findall(text):
            assert target in targets, f"{page}: make {target}"


@pytest.mark.parametrize(("typed", "completed"), [("pl", "plan"), ("plan --p", "--params")])
def test_the_tab_key_completes_what_the_page_says(root: Path, typed: str, completed: str) -> None:
    *before, last = typed.split()
    page = " ".join((root / "docs/running.md").read_text().split())
    assert f"After `{' '.join(['refusal-stability', *before])}`, `{last}` and Tab give `{completed}`" in page
    words = f"refusal-stability {typed}"
    asked = {"_REFUSAL_STABILITY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = CliRunner().invoke(app, prog_name="refusal-stability", env=asked)
    assert done.output.split() == [completed]


def test_a_study_that_cannot_be_copied_leaves_the_active_one_as_it_is(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "Makefile", tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/long.yaml").write_text("study: long\n" + "# words\n" * 10_000)
    (tmp_path / "studies/short.yaml").write_text("study: short\n")
    (tmp_path / "params.yaml").write_text("study: mine\n")

    def make(study: str, limit: str) -> int:
        # A limit on a file's size stands for a disk that is full.
        words = ["bash", "-c", f"ulimit -f {limit} && make -s study NAME={study}"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode

    assert make("long", "8") != 0
    assert (tmp_path / "params.yaml").read_text() == "study: mine\n"
    assert not (tmp_path / "params.part").exists()
    assert make("short", "8") == 0
    assert (tmp_path / "params.yaml").read_text() == "study: short\n"
    assert (tmp_path / "params.previous.yaml").read_text() == "study: mine\n"


def test_every_message_of_the_troubleshooting_page_is_one_that_the_code_says(root: Path) -> None:
    page = (root / "docs/troubleshooting.md").read_text().partition("## No message")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) > 20
    # A message may be broken over lines of code.
    code = "".join(file.read_text(encoding="utf-8") for file in (root / "src").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)
    assert not [message for message in messages if message not in joined]


def test_the_tutorials_commands_run_in_the_order_in_which_they_stand(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_study: Callable[..., None]
) -> None:
    # What `make repro` leaves, with decisions drawn in place of the model's: tests/pipeline runs the model itself.
    monkeypatch.chdir(tmp_path)
    quickstart = (root / "studies/quickstart.yaml").read_text().replace("n_resamples: 10000", "n_resamples: 100")
    Path("params.yaml").write_text(quickstart)
    write_study(
        Path("params.yaml"), {"REFUSE": "No. {}", "PARTIAL": "In part. {}", "COMPLY": "Yes. {}"}, ["a", "b"], 24
    )
    tutorial = (root / "docs/tutorial.md").read_text()
    commands = [
        shlex.split(line) for line in re.findall(r"^\.venv/bin/refusal-stability (.+)$", tutorial, re.MULTILINE)
    ]
    # Needs the model's file for its chat template.
    ran = [command for command in commands if command[0] != "prompts"]
    assert [command[0] for command in ran] == ["compare", "metrics", "figures", "report", "power"]
    for command in ran:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert '<h2 id="summary-title">Summary</h2>' in Path("reports/report.html").read_text()
