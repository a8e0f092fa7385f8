"""The active study in open formats: responses as Parquet, metric tables as a data package, a dataset card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from refusal_stability.exchange.data_package import data_package
from refusal_stability.exchange.dataset_card import contents_of, dataset_card
from refusal_stability.exchange.every_eval_ever_files import write_every_eval_ever
from refusal_stability.exchange.export_folder import CARD, EVERY_EVAL_EVER, FORMS, INSPECT, METRICS, PACKAGE, RESPONSES
from refusal_stability.exchange.inspect_files import write_inspect_logs
from refusal_stability.exchange.response_table import write_responses
from refusal_stability.files import EXPORTS, atomic_write, write_json
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.study.label_files import read_prompts
from refusal_stability.study.measured_with import check_measured_with
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table


def run(params_path: Path, out: Path | None, forms: Sequence[str] = ()) -> None:
    """Write the export of what the stages wrote, also in the named forms of other tools; say where."""
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise StudyError(f"--form {unknown[0]!r} is not allowed; allowed: {', '.join(FORMS)}")
    params = load_params(params_path)
    folder = EXPORTS / params.study if out is None else out
    prompts = read_prompts()
    tables = {}
    for name, (path, contract) in METRIC_TABLES.items():
        metric_table(name)  # raises where the stage has not written it
        tables[folder / METRICS / path.name] = (path, contract)
    check_measured_with(params, params_path)
    count = write_responses(params, prompts, folder / RESPONSES)
    for copy, (path, _) in tables.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    contracts = {copy: contract for copy, (_, contract) in tables.items()}
    title = f"{params.study}: stability of safety decisions"
    write_json(data_package(params.study, title, folder, contracts, folder / RESPONSES), folder / PACKAGE)
    with atomic_write(folder / CARD) as file:
        file.write(dataset_card(params, contents_of(folder / RESPONSES), [f"{METRICS}/{copy.name}" for copy in tables]))
    print(f"{count} responses in {folder / RESPONSES}; {len(tables)} tables, {PACKAGE} and {CARD} beside it")
    stability, contract = METRIC_TABLES["aggregate_by_temperature"]
    written = stability.stat().st_mtime
    if EVERY_EVAL_EVER in forms:
        table = read_table(stability, contract)
        samples = write_every_eval_ever(params, prompts, table, written, folder / EVERY_EVAL_EVER)
        print(f"{samples} samples in the form of Every Eval Ever in {folder / EVERY_EVAL_EVER}")
    if INSPECT in forms:
        logs = write_inspect_logs(params, prompts, written, folder / INSPECT)
        print(f"{logs} logs of Inspect in {folder / INSPECT}; look at them: inspect view --log-dir {folder / INSPECT}")
