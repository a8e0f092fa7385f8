"""Where sides have unequal numbers of decisions, their p-value has a mark and the table says what it means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from small_studies import study_of, tables_of

from refusal_stability.params.load import load_params
from refusal_stability.report.findings import models, temperature
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.unequal import MARK, UNEQUAL_NOTE, differ, paired_p
from refusal_stability.tables.layout import Layout

rng = np.random.default_rng(5)
CUBES = [rng.choice([0, 1, 2], p=p, size=(30, 3, 6)) for p in ([0.8, 0.1, 0.1], [0.5, 0.2, 0.3])]
STUDY = {"study": "unequal", "models": {name: {"path": "nowhere"} for name in ("m0", "m1")}}


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The tables of two models' sections by name, from decisions; negative ones are missing."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(STUDY))

    def tables(*cubes: np.ndarray) -> dict[str, Layout]:
        found = tables_of(study_of(*cubes))
        labels = {(name, "none"): name for name in ("m0", "m1")}
        inputs = ReportInputs(load_params(Path("params.yaml")), "", pd.DataFrame(), found, {}, labels, ())
        return {table.name: table for section in (models, temperature) for table in section(inputs).tables}

    return tables


def marked(table: Layout) -> list[tuple[str, ...]]:
    """The rows with a mark; a table has its explanation where it has one, and only there."""
    rows = [row for row in table.cells if any(MARK in cell for cell in row)]
    assert (UNEQUAL_NOTE in table.notes) == bool(rows)
    return rows


def test_only_sides_with_unequal_numbers_are_marked_and_explained(shown) -> None:
    fewer = CUBES[1].copy()
    fewer[:, 2, 2:] = -1  # at the last temperature two decisions of six
    tables = shown(CUBES[0], fewer)
    assert [row[0] for row in marked(tables["temperature_tests"])] == ["m1"]
    # of m1 the two pairs that the last temperature is in, of m0 none
    pairs = marked(tables["temperature_pairs"])
    assert [row[:3] for row in pairs] == [("m1", "0", "0.7"), ("m1", "0.3", "0.7")]
    assert len(tables["temperature_pairs"].cells) == 6
    (pair,) = marked(tables["model_pairs"])
    assert pair[:2] == ("m0", "m1")


def test_equal_numbers_have_neither_mark_nor_explanation(shown) -> None:
    tables = shown(*CUBES)
    assert {name for name in ("model_pairs", "temperature_tests", "temperature_pairs") if marked(tables[name])} == set()


def test_five_percent_is_still_equal_and_no_p_value_has_no_mark() -> None:
    assert not differ(20, 19)
    assert differ(20, 18.9)
    row = {"p_holm": 0.5, "mean_n_a": 20.0, "mean_n_b": 10.0}
    assert paired_p(row).endswith(MARK)
    assert MARK not in paired_p(row | {"p_holm": float("nan")})
    assert MARK not in paired_p(row | {"mean_n_b": 19.0})
