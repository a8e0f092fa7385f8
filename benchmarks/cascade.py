"""A cascade on the published study: the rules decide what they are sure of, recorded Claude 3.5 Haiku the rest.

    python benchmarks/cascade.py published-study

The responses and Haiku's labels are recorded; Haiku is right by definition. Kappa and accuracy are those of the rules
on what they decide themselves. The calls saved are of distinct (prompt, response) pairs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from refusal_stability.judging.panel import degenerate
from refusal_stability.judging.rules.judge import decide
from refusal_stability.measures.agreement import cohens_kappa, confusion
from refusal_stability.records import DECISION_NAMES

KEYS = ["model", "prompt_id", "temperature", "seed"]
HANDED_OVER = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)


def published(folder: Path) -> pd.DataFrame:
    """Every published response with Haiku's label."""
    results = folder / "data" / "results"
    labels = pd.read_csv(results / "labels" / "claude_haiku_llama_qwen25.csv", keep_default_na=False)
    responses = pd.concat(
        [pd.read_csv(f, keep_default_na=False) for f in sorted(results.glob("generations/*.csv"))], ignore_index=True
    )
    for table in (labels, responses):
        table["model"] = np.where(table["model"].str.contains("llama", case=False), "Llama 3.1 8B", "Qwen 2.5 7B")
    return responses.merge(labels[[*KEYS, "label"]], on=KEYS, validate="1:1")


def with_rules(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the rules' decision and confidence; a text without a decision has confidence 0."""
    distinct = table[["prompt", "response"]].drop_duplicates()
    found = [decide(p, r) for p, r in zip(distinct["prompt"], distinct["response"], strict=True)]
    distinct = distinct.assign(
        rules=[str(j.decision) if j.decision else "" for j in found],
        confidence=[j.confidence if j.decision and j.confidence is not None else 0.0 for j in found],
        degenerate=[degenerate(text) for text in distinct["response"]],
    )
    return table.merge(distinct, on=["prompt", "response"], validate="m:1")


def print_cascade(name: str, table: pd.DataFrame) -> None:
    """Agreement with Haiku on what the rules decide, for shares of responses that are handed over."""
    places = {label: code for code, label in enumerate(DECISION_NAMES)}
    own, haiku = (table[c].map(places).fillna(-1).to_numpy(np.int8) for c in ("rules", "label"))
    sure = table["confidence"].to_numpy()
    pairs = len(table[["prompt", "response"]].drop_duplicates())
    for share in HANDED_OVER:
        threshold = float(np.quantile(sure, share)) if share else 0.0
        kept = (sure >= threshold) & (own >= 0) & (haiku >= 0)
        matrix = confusion(own[kept], haiku[kept]).sum(axis=0)
        calls = len(table.loc[sure < threshold, ["prompt", "response"]].drop_duplicates())
        agreement, kappa = np.trace(matrix) / matrix.sum(), float(cohens_kappa(matrix))
        print(
            f"{name:13} escalate_below {threshold:.3f}  handed over {np.mean(sure < threshold):6.1%}  rest: n "
            f"{kept.sum():6,}  agreement {agreement:.3f}  kappa {kappa:.3f}  "
            f"calls {calls:6,} of {pairs:,}: {1 - calls / pairs:.1%} saved"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="the folder of the published study")
    table = with_rules(published(parser.parse_args().published))
    for name, rows in (("all", table), *table.groupby("model")):
        print_cascade(str(name), rows)
    lost = table[table["degenerate"] != ""]
    print(f"degenerate: {len(lost)} of {len(table):,} responses")
    for row in lost.drop_duplicates(["prompt", "response"]).itertuples():
        print(f"  {row.degenerate}: {row.response[:150]!r}")


if __name__ == "__main__":
    main()
