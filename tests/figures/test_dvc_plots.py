"""`dvc plots show` and `dvc plots diff` between two revisions, by the real DVC in a real git repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from synthetic_study import synthetic_study, write_study

from refusal_stability.figures.palette import MODEL_COLOURS

IDENTITY = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run(folder: Path, *command: str) -> str:
    environment = os.environ | IDENTITY | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / ".site")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(folder: Path, *words: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *words)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Two commits of a study: the second has one model more and other decisions. The tables are DVC's, not git's."""
    folder = tmp_path_factory.mktemp("repository")
    run(folder, "git", "init", "-q")
    dvc(folder, "init", "-q")
    shutil.copytree(root / ".dvc/plots", folder / ".dvc/plots")
    copy = {"cmd": "cp -r tables data/metrics", "deps": ["tables"], "outs": ["data/metrics"]}
    plots = yaml.safe_load((root / "dvc.yaml").read_text())["plots"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"metrics": copy}, "plots": plots}, sort_keys=False))
    before = Path.cwd()
    for labels, n_prompts in (({"steady": None}, 20), ({"steady": None, "more": None}, 25)):
        shutil.rmtree(folder / "tables", ignore_errors=True)
        os.chdir(folder)
        try:
            write_study(synthetic_study(labels, n_prompts=n_prompts), folder)
            (folder / "data/metrics").rename(folder / "tables")
        finally:
            os.chdir(before)
        dvc(folder, "repro", "-q")
        run(folder, "git", "add", "dvc.lock", "dvc.yaml", ".dvc", "tables")
        run(folder, "git", "commit", "-qm", "study")
    return folder


def drawn(answer: str) -> dict[str, dict[str, Any]]:
    """Plot -> its filled Vega-Lite specification."""
    read = json.loads(answer)
    assert not read.get("errors")
    return {name.removeprefix("dvc.yaml::"): plot["content"] for name, (plot,) in read["data"].items()}


def fields(part: Any) -> set[str]:
    """Every field that a specification reads from its data."""
    if isinstance(part, dict):
        here = {part["field"]} if isinstance(part.get("field"), str) else set()
        here |= set(re.findall(r"datum(?:\.(\w+)|\['(\w+)'\])", part["calculate"])[0]) if "calculate" in part else set()
        return here.union(*(fields(value) for value in part.values()))
    return set().union(*map(fields, part)) if isinstance(part, list) else set()


def made(part: Any) -> set[str]:
    """Every field that a specification's transforms make."""
    if isinstance(part, dict):
        here = {part["as"]} if isinstance(part.get("as"), str) else set()
        return here.union(*(made(value) for key, value in part.items() if key != "data"))
    return set().union(*map(made, part)) if isinstance(part, list) else set()


def test_every_plot_compares_two_revisions(repository: Path, root: Path) -> None:
    specifications = drawn(dvc(repository, "plots", "diff", "HEAD~1", "HEAD", "--json"))
    names = [name for plot in yaml.safe_load((root / "dvc.yaml").read_text())["plots"] for name in plot]
    assert sorted(specifications) == sorted(names)
    for name, specification in specifications.items():
        rows = specification.pop("data")["values"]
        models = {rev: {row["model"] for row in rows if row["rev"] == rev} for rev in ("HEAD~1", "HEAD")}
        assert models == {"HEAD~1": {"steady"}, "HEAD": {"steady", "more"}}, name
        missing = fields(specification) - made(specification) - set(rows[0]) - {""}
        assert not missing, f"{name} reads {missing}"
        assert "DVC_METRIC" not in json.dumps(specification)
        assert "rev" in fields(specification), name


def test_the_plots_of_the_working_tree_are_drawn_as_a_page(repository: Path) -> None:
    dvc(repository, "plots", "show", "-o", "page")
    page = (repository / "page/index.html").read_text()
    assert page.count("vegaEmbed(") == len(drawn(dvc(repository, "plots", "show", "--json")))


def test_models_have_the_colours_of_the_figures(root: Path) -> None:
    for template in sorted((root / ".dvc/plots").glob("*.json")):
        assert json.dumps(list(MODEL_COLOURS))[1:-1] in json.dumps(json.loads(template.read_text()))
