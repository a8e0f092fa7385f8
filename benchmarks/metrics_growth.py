"""Time the metrics stage on synthetic label files, from 20 thousand labels to 20 million.

Run: `python benchmarks/metrics_growth.py [--json] [--models N] [PROMPTS ...]`; the default is 1,000 10,000 100,000
1,000,000 prompts of one model. Each size runs in a process of its own, on files that the stage reads as it reads any
study's (20 CSV files a model, one a configuration), with 10,000 resamples. `--json` prints one JSON list of
`{"prompts", "labels", "seconds", "cpu_seconds", "peak_mb"}` instead of a table; `--models 4 876` has the published
study's 70,080 labels.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TEMPERATURES, SEEDS = (0.0, 0.3, 0.7, 1.0), (42, 43, 44, 45, 46)


def lay_out(n_prompts: int, n_models: int) -> None:
    """Write params.yaml, prompts and labels into the working directory."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv
    import yaml

    from refusal_stability.files import PROMPTS

    params = {
        "study": "growth",
        "interventions": {"none": {}},
        "sampling": {"temperatures": list(TEMPERATURES), "seeds": list(SEEDS)},
        "models": {f"synthetic-{m}": {"path": "nowhere"} for m in range(n_models)},
        "judging": {"primary": "rules", "judges": {"rules": {"kind": "rules"}}},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params))
    rng = np.random.default_rng(0)
    ids = pa.array([f"{i:016x}" for i in range(n_prompts)])
    categories = np.array(
        [f"category {i % 14}" + ("|category 3" if i % 5 == 0 else "") for i in range(70)], dtype=object
    )
    prompts = {
        "prompt_id": ids,
        "prompt": pc.binary_join_element_wise(pa.scalar("a request numbered"), ids, " "),
        "category": pa.array(categories[np.arange(n_prompts) % 70]),
        "source": pa.repeat("synthetic", n_prompts),
    }
    PROMPTS.parent.mkdir(parents=True)
    pyarrow.csv.write_csv(pa.table(prompts), PROMPTS)
    for m in range(n_models):
        _lay_out_model(f"synthetic-{m}", ids, rng)


def _lay_out_model(model: str, ids: Any, rng: np.random.Generator) -> None:
    """Write one model's label files: decisions drawn from shares that are sharper at low temperature."""
    import pyarrow as pa
    import pyarrow.csv

    from refusal_stability.files import label_file
    from refusal_stability.records import DECISIONS, Condition

    n = len(ids)
    names = pa.array([*map(str, DECISIONS), ""])
    reasons = pa.array(["", "verdict could not be read"])
    shares = rng.dirichlet([0.5, 0.15, 0.1], size=n)
    for temperature in TEMPERATURES:
        sharpened = shares ** (1 / (0.2 + temperature))
        edges = np.cumsum(sharpened / sharpened.sum(axis=1, keepdims=True), axis=1)[:, :2]
        for seed in SEEDS:
            condition = Condition(model, "none", temperature, seed)
            codes = (rng.random(n)[:, None] > edges).sum(axis=1)
            codes[rng.random(n) < 0.001] = 3
            table = {
                "prompt_id": ids,
                "model": pa.repeat(model, n),
                "intervention": pa.repeat("none", n),
                "temperature": pa.repeat(temperature, n),
                "seed": pa.repeat(seed, n),
                "judge": pa.repeat("rules", n),
                "repeat": pa.repeat(0, n),
                "label": names.take(pa.array(codes)),
                "reasoning": pa.repeat("a rule of the rule judge decided this response", n),
                "missing_reason": reasons.take(pa.array((codes == 3).astype(int))),
            }
            path = label_file(condition)
            path.parent.mkdir(parents=True, exist_ok=True)
            pyarrow.csv.write_csv(pa.table(table), path)


def measure() -> None:
    """Run the stage in the working directory and print its seconds and peak memory as JSON."""
    start = time.perf_counter()
    from refusal_stability.stages import metrics

    metrics.run(Path("params.yaml"))
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    kilobyte = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    found = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * kilobyte / 1e6, 1),
    }
    print(json.dumps(found))


def grow(sizes: Sequence[int], n_models: int = 1) -> Iterator[dict[str, float]]:
    """Prompts, labels, wall and CPU seconds and peak memory (10^6 bytes) of the stage for each number of prompts."""
    for n_prompts in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("--lay-out", "--measure"):
                command = [sys.executable, str(Path(__file__).resolve()), step, str(n_prompts), str(n_models)]
                output = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
        labels = n_prompts * n_models * len(TEMPERATURES) * len(SEEDS)
        yield {"prompts": n_prompts, "labels": labels, **json.loads(output)}


def main() -> None:
    """Print a row for each size, or all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", nargs="*", type=lambda text: int(text.replace(",", "")), default=list(SIZES))
    parser.add_argument("--models", type=int, default=1, help="models in the study (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(list(grow(options.prompts, options.models))))
        return
    print(f"{'labels':>12} {'seconds':>9} {'CPU s':>8} {'peak MB':>9} {'µs a label':>11}")
    for row in grow(options.prompts, options.models):
        print(
            f"{row['labels']:>12,} {row['seconds']:>9.1f} {row['cpu_seconds']:>8.1f} {row['peak_mb']:>9.0f} "
            f"{1e6 * row['seconds'] / row['labels']:>11.1f}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lay-out"]:
        lay_out(int(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["--measure"]:
        os.environ.setdefault("OMP_NUM_THREADS", "2")
        measure()
    else:
        main()
