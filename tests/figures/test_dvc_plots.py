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

from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.palette import MODEL_COLOURS
from refusal_stability.figures.series import series_of
from refusal_stability.figures.style import figure_bytes

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
    """Two commits of a study: the second has one model more and other decisions. Tables and figures are DVC's."""
    folder = tmp_path_factory.mktemp("repository")
    run(folder, "git", "init", "-q")
    dvc(folder, "init", "-q")
    shutil.copytree(root / ".dvc/plots", folder / ".dvc/plots")
    copies = {
        name: {"cmd": f"mkdir -p $(dirname {out}) && cp -r {name} {out}", "deps": [name], "outs": [out]}
        for name, out in (("tables", "data/metrics"), ("drawn", "reports/figures"))
    }
    plots = yaml.safe_load((root / "dvc.yaml").read_text())["plots"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": copies, "plots": plots}, sort_keys=False))
    before = Path.cwd()
    for labels, n_prompts in (({"steady": None}, 20), ({"steady": None, "more": None}, 25)):
        for old in ("tables", "drawn"):
            shutil.rmtree(folder / old, ignore_errors=True)
        os.chdir(folder)
        try:
            study = synthetic_study(labels, n_prompts=n_prompts)
            write_study(study, folder)
            (folder / "data/metrics").rename(folder / "tables")
            (folder / "drawn").mkdir()
            for figure in GALLERY:
                if f"reports/figures/{figure.name}.png" in images(plots):
                    page = figure_bytes(figure.draw(study.tables, study.series_set), "png")
                    (folder / f"drawn/{figure.name}.png").write_bytes(page)
        finally:
            os.chdir(before)
        dvc(folder, "repro", "-q")
        run(folder, "git", "add", "dvc.lock", "dvc.yaml", ".dvc", "tables", "drawn")
        run(folder, "git", "commit", "-qm", "study")
    return folder


def images(plots: list[dict[str, Any]]) -> list[str]:
    """The plots that are files."""
    return [name for plot in plots for name in plot if name.startswith("reports/")]


def drawn(answer: str) -> dict[str, list[dict[str, Any]]]:
    """Plot -> what DVC has of it: one filled Vega-Lite specification, or an image for each revision."""
    read = json.loads(answer)
    assert not read.get("errors")
    return {name.removeprefix("dvc.yaml::"): plots for name, plots in read["data"].items()}


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


@pytest.fixture(scope="module")
def compared(repository: Path) -> dict[str, list[dict[str, Any]]]:
    return drawn(dvc(repository, "plots", "diff", "HEAD~1", "HEAD", "--json", "-o", "compared"))


def test_every_plot_of_a_table_compares_two_revisions(compared: dict[str, Any], root: Path) -> None:
    plots = yaml.safe_load((root / "dvc.yaml").read_text())["plots"]
    assert sorted(compared) == sorted(name for plot in plots for name in plot)
    for name in set(compared) - set(images(plots)):
        (plot,) = compared[name]
        specification = dict(plot["content"])
        rows = specification.pop("data")["values"]
        models = {rev: {row["model"] for row in rows if row["rev"] == rev} for rev in ("HEAD~1", "HEAD")}
        assert models == {"HEAD~1": {"steady"}, "HEAD": {"steady", "more"}}, name
        missing = fields(specification) - made(specification) - set(rows[0]) - {""}
        assert not missing, f"{name} reads {missing}"
        assert "DVC_METRIC" not in json.dumps(specification)
        assert "rev" in fields(specification), name


def test_every_figure_is_compared_as_an_image_of_each_revision(compared: dict[str, Any], root: Path) -> None:
    names = images(yaml.safe_load((root / "dvc.yaml").read_text())["plots"])
    assert len(names) == 3
    for name in names:
        pages = {version: Path(plot["url"]).read_bytes() for plot in compared[name] for version in plot["revisions"]}
        assert set(pages) == {"HEAD~1", "HEAD"}
        assert all(page.startswith(b"\x89PNG") for page in pages.values())
        assert pages["HEAD~1"] != pages["HEAD"]


def test_every_figure_of_the_gallery_has_its_numbers_or_itself_among_the_plots(root: Path) -> None:
    plots = yaml.safe_load((root / "dvc.yaml").read_text())["plots"]
    tables = {Path(path).stem for plot in plots for entry in plot.values() if entry for path in entry["y"]}
    as_they_are = {Path(name).stem for name in images(plots)}
    for figure in GALLERY:
        # DVC cannot plot the empty table of a study that lacks an optional figure.
        assert figure.optional or figure.name in as_they_are or set(figure.tables) <= tables, figure.name


def test_the_plots_of_the_working_tree_are_drawn_as_a_page(repository: Path, root: Path) -> None:
    dvc(repository, "plots", "show", "-o", "page")
    page = (repository / "page/index.html").read_text()
    names = images(yaml.safe_load((root / "dvc.yaml").read_text())["plots"])
    shown = drawn(dvc(repository, "plots", "show", "--json", "-o", "page"))
    assert page.count("vegaEmbed(") == len(shown) - len(names)
    assert page.count("<img") == len(names)


def colour_scales(part: Any) -> list[dict[str, Any]]:
    """Every encoding of a colour in a specification."""
    if isinstance(part, list):
        return [scale for one in part for scale in colour_scales(one)]
    if not isinstance(part, dict):
        return []
    here = [part["color"]] if isinstance(part.get("color"), dict) and "field" in part["color"] else []
    return here + [scale for key, value in part.items() if key != "data" for scale in colour_scales(value)]


def test_each_model_has_the_colour_that_it_has_in_the_figures(compared: dict[str, Any]) -> None:
    # Vega gives the colours of `range` in the order in which models appear in the rows, unless they are sorted.
    series_set = series_of(synthetic_study({"steady": None, "more": None}, n_prompts=1).params)
    expected = {one.model: one.colour for one in series_set.series}
    specifications = [plots[0]["content"] for plots in compared.values() if "content" in plots[0]]
    assert len(specifications) > 10
    for specification in specifications:
        scales = colour_scales(specification)
        assert scales
        order = list(dict.fromkeys(row["model"] for row in specification["data"]["values"]))
        for scale in scales:
            assert (scale["field"], scale["sort"]) == ("model", None)
            assert dict(zip(order, scale["scale"]["range"], strict=False)) == expected
            assert scale["scale"]["range"] == list(MODEL_COLOURS)
