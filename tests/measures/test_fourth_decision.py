"""A decision is added by one line in `records.py`: the drill, done on a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import numpy as np
from small_studies import study_of, tables_of
from refusal_stability.measures.reliability import compositions
from refusal_stability.tables.metrics import METRIC_TABLES

# The order is REFUSE, PARTIAL, DEFLECT, COMPLY.
cube = np.array([[[0, 1], [2, 3]], [[2, 2], [2, 2]], [[0, 3], [3, -1]]])
tables = tables_of(study_of(cube, cube[::-1], categories=["a", "a", "b"]))
for name, table in tables.items():
    assert table.empty or set(table.columns) == set(METRIC_TABLES[name][1].columns), name
prompts = tables["per_prompt_metrics"].iloc[:3]
assert prompts["n_deflect"].tolist() == [1, 4, 0]
assert prompts["deflect_rate"].tolist() == [0.25, 1.0, 0.0]
assert prompts["ssi"].tolist() == [0.25, 1.0, 2 / 3]
assert prompts["majority"].tolist() == ["COMPLY", "DEFLECT", "COMPLY"]
assert prompts["ssi_entropy"].tolist()[0] == 0.0, "four decisions once each"
row = tables["aggregate_by_model"].iloc[0]
assert row["mean_deflect_rate"] == 1.25 / 3
scored = tables["binary_scoring"].set_index(["model", "scoring"])
assert scored.loc[("m0", "conservative"), "mean_comply_rate"] == (0.75 + 1 + 2 / 3) / 3
assert scored.loc[("m0", "lenient"), "mean_comply_rate"] == (0.25 + 0 + 2 / 3) / 3
assert len(compositions(5)) == 56 and (compositions(5).sum(axis=1) == 5).all()
print("done")
"""


def test_a_fourth_decision_is_one_line(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "refusal_stability"
    shutil.copytree(root / "src/refusal_stability", package, ignore=shutil.ignore_patterns("__pycache__"))
    records = package / "records.py"
    line = '    COMPLY = "COMPLY"\n'
    text = records.read_text()
    assert text.count(line) == 1
    records.write_text(text.replace(line, f'    DEFLECT = "DEFLECT"\n{line}'))
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "done\n", ran.stderr
