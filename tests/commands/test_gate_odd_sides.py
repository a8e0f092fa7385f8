"""The gate on sides that a build can give: other models, other prompts, missing labels, one sample, torn tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from refusal_stability.commands import compare
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import per_prompt_metrics
from refusal_stability.records import StudyError
from refusal_stability.report.gate_page import GatePage, gate_markdown
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES

PARAMS = Path("params.yaml")
PATH, CONTRACT = METRIC_TABLES["per_prompt_metrics"]
SETTINGS = Settings(0.8, (0.8,), Resampling(100, 0.95, lambda *_: np.random.default_rng(0)))
REFUSED, FLIPPED, UNDECIDED = [0, 0, 0, 0], [0, 0, 2, 2], [-1, -1, -1, -1]

Write = Callable[..., str]


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a side: a row of decision codes for each prompt of each model. Gives its folder."""
    monkeypatch.chdir(tmp_path)
    PARAMS.write_text("study: s\nmodels: {m: {path: nowhere}}\nmetrics: {n_resamples: 100}\n")

    def write(
        name: str,
        rows: Sequence[Sequence[int]],
        models: Sequence[str] = ("m",),
        ids: Sequence[str] | None = None,
        harm: str = "",
    ) -> str:
        cube = np.array(rows, dtype=np.int8)[:, None, :, None]
        n, _, seeds, _ = cube.shape
        study = DecisionArrays(
            np.array(ids or [f"p{i}" for i in range(n)], dtype=object),
            np.full(n, "", dtype=object),
            (1.0,),
            tuple(range(seeds)),
            tuple(Group(model, "none", {"j": cube}, "j") for model in models),
            {},
            np.full(n, harm, dtype=object),
        )
        table = pd.concat(per_prompt_metrics(study, SETTINGS)).assign(primary_judge="j", estimated=False)
        Path(name).mkdir()
        write_table(table.reindex(columns=list(CONTRACT.columns)), Path(name) / PATH.name, CONTRACT)
        return name

    return write


def gate(a: str, b: str, *rules: str) -> tuple[int, dict[str, object], str]:
    """Exit code, JSON and Markdown; every form must agree on the decision."""
    files = {"--json": Path("gate.json"), "--markdown": Path("gate.md"), "--junit": Path("gate.xml")}
    code = compare.run(a, b, PARAMS, rules, files=files)
    found = json.loads(files["--json"].read_text())
    page = files["--markdown"].read_text()
    assert {0: "pass", 3: "fail", 4: "not enough data"}[code] == found["decision"]
    assert page.startswith(f"# Refusal stability: {found['decision']}\n")
    suite = ElementTree.parse(files["--junit"]).getroot()
    assert (int(suite.get("failures", 0)) > 0) == (code == 3)
    assert (int(suite.get("errors", 0)) > 0) == any(c["decision"] == "not enough data" for c in found["checks"])
    return code, found, page


def test_a_known_change_by_hand(side: Write) -> None:
    # 40 of 200 prompts flip on side B: +20 points, far beyond 5
    a, b = side("a", [REFUSED] * 200), side("b", [FLIPPED] * 40 + [REFUSED] * 160)
    code, found, page = gate(a, b, "pct_flipped > +5")
    assert code == 3
    (check,) = found["checks"]
    assert (check["change"], check["n_prompts"]) == (20.0, 200)
    assert "+20.0" in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines[:3]} == {8}
    assert {line.count("|") for line in lines[3:]} == {5}
    # the same the other way round is an improvement
    assert gate(b, a, "pct_flipped > +5")[0] == 0
    # SSI falls from 1 to 1/2 at a fifth of the prompts
    assert gate(a, b, "mean_ssi < -2%")[1]["checks"][0]["change"] == pytest.approx(-0.1)


def test_one_sample_a_prompt_cannot_pass_a_rule_about_stability(side: Write) -> None:
    a, b = side("a", [[0]] * 300), side("b", [[0]] * 300)
    code, found, page = gate(a, b, "pct_flipped > +5", "|mean_ssi| > 0.02", "pct_unstable > +5")
    assert code == 4
    assert {c["n_prompts"] for c in found["checks"]} == {0}
    assert {c["samples_needed"] for c in found["checks"]} == {2}
    assert "at least 2 samples a prompt and side" in page
    assert "300 prompts have a single sample on a side: rules about stability leave them out" in found["notes"]
    # a rate needs no second sample
    assert gate(a, b, "safety_comply_rate > +0.05")[0] == 0


def test_a_build_that_lost_its_samples_does_not_pass(side: Write) -> None:
    a = side("a", [FLIPPED] * 20 + [REFUSED] * 280)
    b = side("b", [[2, -1, -1, -1]] * 290 + [REFUSED] * 10)
    code, found, page = gate(a, b, "pct_flipped > +5")
    assert (code, found["checks"][0]["n_prompts"]) == (4, 10)
    assert "290 prompts have a single sample on a side" in page


def test_prompts_without_a_decision_are_counted_and_said(side: Write) -> None:
    a, b = side("a", [REFUSED] * 200), side("b", [REFUSED] * 150 + [UNDECIDED] * 50)
    code, found, _ = gate(a, b, "pct_flipped > +5")
    assert (code, found["checks"][0]["n_prompts"]) == (0, 150)
    assert any("left out because a side has no decision 50" in note for note in found["notes"])


def test_a_figure_that_no_prompt_has_is_no_pass_and_says_so(side: Write) -> None:
    a, b = side("a", [REFUSED] * 50, harm="benign"), side("b", [REFUSED] * 50, harm="benign")
    code, _, page = gate(a, b, "safety_comply_rate > +0.05")
    assert code == 4
    assert "prompts that have this figure, of which there are none" in page
    assert gate(a, b, "over_refusal > +0.1")[0] == 0
    harmful = side("c", [REFUSED] * 50, harm="harmful")
    assert gate(harmful, harmful, "over_refusal > +0.1")[0] == 4


def test_one_prompt_is_never_enough(side: Write) -> None:
    a, b = side("a", [REFUSED]), side("b", [FLIPPED])
    code, found, page = gate(a, b, "pct_flipped > +5")
    assert (code, found["checks"][0]["n_prompts"]) == (4, 1)
    assert "at least 2 prompts" in page


def test_prompts_that_only_one_side_has_are_left_out_and_said(side: Write) -> None:
    a = side("a", [REFUSED] * 200)
    b = side("b", [REFUSED] * 200, ids=[f"p{i}" for i in range(50, 250)])
    code, found, _ = gate(a, b, "pct_flipped > +5")
    assert (code, found["checks"][0]["n_prompts"]) == (0, 150)
    assert "150 prompts paired; only in A 50, only in B 50" in found["notes"]
    other = side("c", [REFUSED] * 9, ids=[f"q{i}" for i in range(9)])
    with pytest.raises(StudyError, match="cannot be paired: of their 200 and 9 prompts 0 are in both"):
        gate(a, other, "pct_flipped > +5")


def test_models_that_one_side_lacks_are_said_and_no_common_model_is_an_error(side: Write) -> None:
    a, b = side("a", [REFUSED] * 200, models=("m", "old")), side("b", [REFUSED] * 200, models=("m", "new"))
    code, found, page = gate(a, b, "pct_flipped > +5")
    assert (code, [c["group"] for c in found["checks"]]) == (0, ["m / none"])
    assert "Only in A, and not compared: old / none" in found["notes"]
    assert "Only in B, and not compared: new / none" in found["notes"]
    with pytest.raises(StudyError, match="no model and intervention in common; name one on each side"):
        gate(a, side("c", [REFUSED] * 9, models=("other",)), "pct_flipped > +5")
    assert "| group | fails if | outcome |" in page
    assert "| m / none | ` pct_flipped > +5 ` | pass |" in page
    # two names for one thing can be compared by naming both; there is no group then
    code, _, page = gate("a:old", "b:new", "pct_flipped > +5")
    assert code == 0
    assert "\n| fails if | outcome | change | bounds | prompts | would decide |\n|---|---|---:|---:|---:|---|\n" in page
    assert "\n| ` pct_flipped > +5 ` | pass |" in page


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: text[: len(text) // 2].rpartition(",")[0], "per_prompt_metrics.csv"),
        (lambda text: text + text.splitlines()[1] + "\n", "per_prompt_metrics.csv.*p0"),
        (lambda text: text.replace("n_comply", "n_compliance", 1), "per_prompt_metrics.csv.*n_comply"),
        (lambda _: "", "per_prompt_metrics.csv"),
    ],
)
def test_a_torn_table_or_a_doubled_prompt_is_an_error_that_names_the_file(
    side: Write, damage: Callable[[str], str], problem: str
) -> None:
    a, b = side("a", [REFUSED] * 20), side("b", [REFUSED] * 20)
    file = Path(b) / PATH.name
    file.write_text(damage(file.read_text()))
    with pytest.raises(StudyError, match=problem):
        gate(a, b, "pct_flipped > +5")


def test_several_rules_pass_only_together(side: Write) -> None:
    a, b = side("a", [REFUSED] * 200), side("b", [FLIPPED] * 40 + [REFUSED] * 160)
    code, found, _ = gate(a, b, "pct_flipped > +50", "safety_comply_rate > +0.02", "|mean_ssi_pairwise| > 0.4")
    assert (code, [c["decision"] for c in found["checks"]]) == (3, ["pass", "fail", "pass"])


def test_two_builds_that_agree_may_still_differ_elsewhere_and_a_side_and_itself_may_not(
    side: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = side("a", [REFUSED] * 100), side("b", [REFUSED] * 100)

    def bounds(first: str, second: str) -> list[float]:
        compare.run(first, second, PARAMS)
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("pct_flipped  "))
        return [float(cell) for cell in line.split()[4:6]]

    assert bounds(a, "./a") == [0, 0]
    # 0 of 100: 1 - 0.025^(1/100) = 3.6 points on either side
    assert bounds(a, b) == [-3.62, 3.62]


def test_long_values_of_a_parameter_are_cut_so_that_the_difference_is_seen() -> None:
    values = {side: f'"{"be kind " * 40}{letter}"' for side, letter in (("first", "A"), ("second", "B"))}
    about = {"parameter": "interventions/careful/system"} | values
    page = GatePage("a", "b", "pass", [], [about], [], [], 0.05, 0.8)
    table = gate_markdown(page)
    assert 'kind A" ' in table
    assert 'kind B" ' in table
    assert max(map(len, table.splitlines())) < 400
    short = gate_markdown(replace(page, differences=[about | {"first": "0.8", "second": "0.7"}]))
    assert "| ` 0.8 ` | ` 0.7 ` |" in short
