"""Two sides' tables -> their figures side by side, paired by prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from refusal_stability.artifacts import METRIC_TABLES, METRICS, read_table
from refusal_stability.label_grid import settings_of
from refusal_stability.measures.tables.pairs import side_by_side
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.params import load_params
from refusal_stability.records import NO_INTERVENTION, StudyError

COUNTS = ["n_refuse", "n_partial", "n_comply"]
MOST_CHANGED = 10


@dataclass(frozen=True)
class Side:
    """One side of a comparison: where its tables lie, and which model and intervention (None: each that both have)."""

    folder: Path
    model: str | None
    intervention: str

    def rows(self) -> pd.DataFrame:
        """The side's per-prompt rows."""
        path, contract = METRIC_TABLES["per_prompt_metrics"]
        table = read_table(self.folder / path.name, contract)
        if self.model is None:
            return table
        found = table[(table["model"] == self.model) & (table["intervention"] == self.intervention)]
        if found.empty:
            groups = table[["model", "intervention"]].drop_duplicates().itertuples(index=False)
            known = ", ".join(f"{m}/{v}" for m, v in groups)
            raise StudyError(f"{self.folder}: no {self.model}/{self.intervention} in its tables; there are {known}")
        return found


def parse_side(text: str) -> Side:
    """`MODEL`, `MODEL/INTERVENTION`, `FOLDER:MODEL[/INTERVENTION]`, or `FOLDER` alone for a whole study."""
    folder, colon, name = text.rpartition(":")
    if not colon and "/" not in text and not Path(text).is_dir():
        return Side(METRICS, text, NO_INTERVENTION)
    if not colon and Path(text).is_dir():
        return Side(_tables_in(Path(text)), None, NO_INTERVENTION)
    model, _, intervention = name.partition("/")
    return Side(_tables_in(Path(folder)) if colon else METRICS, model, intervention or NO_INTERVENTION)


def _tables_in(folder: Path) -> Path:
    """The metrics folder itself, or that of a study's checkout."""
    name = METRIC_TABLES["per_prompt_metrics"][0].name
    for candidate in (folder, folder / METRICS):
        if (candidate / name).is_file():
            return candidate
    raise StudyError(f"{folder}: no {name} in it or in its {METRICS}; name a folder with a study's metric tables")


def run(a: str, b: str, params_path: Path) -> None:
    """Print the comparison of two studies, models or interventions."""
    settings = settings_of(load_params(params_path).metrics)
    first, second = parse_side(a), parse_side(b)
    if (first.model is None) != (second.model is None):
        raise StudyError(f"{a} and {b}: compare a study with a study, or name a model on both sides (FOLDER:MODEL)")
    print(f"A = {a}, B = {b}")
    left, right = first.rows(), second.rows()
    if first.model is not None:
        _show(left, right, settings)
        return
    keys = ["model", "intervention"]
    theirs = dict(list(right.groupby(keys, sort=False)))
    common = [(group, rows) for group, rows in left.groupby(keys, sort=False) if group in theirs]
    if not common:
        raise StudyError(f"{a} and {b}: no model and intervention in common; name one on each side (FOLDER:MODEL)")
    for group, rows in common:
        print(f"\n{group[0]} / {group[1]}")
        _show(rows, theirs[group], settings)


def _show(left: pd.DataFrame, right: pd.DataFrame, settings: Settings) -> None:
    """Print one pair of sides: every figure, and the prompts that changed most."""
    both = left.merge(right, on="prompt_id", suffixes=("_a", "_b"))
    if both.empty:
        raise StudyError("the two sides have no prompt in common, so they cannot be paired")
    first, second = (both[[f"{c}_{side}" for c in COUNTS]].to_numpy() for side in "ab")
    figures = pd.DataFrame(side_by_side(first, second, settings.threshold, settings.resampling, *_scope(both)))
    print(f"{len(both)} prompts paired; only in A {len(left) - len(both)}, only in B {len(right) - len(both)}")
    samples = [float(counts.sum(axis=1).mean()) for counts in (first, second)]
    if abs(samples[0] - samples[1]) > 0.05 * max(samples):
        print(
            f"A has {samples[0]:.1f} decisions a prompt and B {samples[1]:.1f}: read mean_ssi_pairwise, which does not "
            "depend on their number; the other stability figures do."
        )
    print(figures.to_string(index=False, float_format="{:.4g}".format))
    both["change"] = both["ssi_b"] - both["ssi_a"]
    most = both.loc[both["change"].abs().sort_values(ascending=False, kind="stable").index[:MOST_CHANGED]]
    print("\nPrompts whose ssi changed most:")
    columns = ["prompt_id", "category_a", "ssi_a", "ssi_b", "change", "majority_a", "majority_b"]
    print(most[columns].rename(columns={"category_a": "category"}).to_string(index=False, float_format="{:.3g}".format))


def _scope(both: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(both[f"{name}_{side}"].iloc[0]) for side in "ab" for name in ("model", "intervention"))
