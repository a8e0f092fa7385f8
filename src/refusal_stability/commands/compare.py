"""Two sides' tables -> their figures side by side, paired by prompt, and a gate's decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from refusal_stability.engines.store_view import StoreView
from refusal_stability.files import STORE, atomic_write, write_json
from refusal_stability.measures.gate import FAIL, NOT_ENOUGH, PASS, gate_decision, parse_rule
from refusal_stability.measures.tables.comparing import Comparison, compare_groups
from refusal_stability.measures.tables.gating import SPANS, Gated, gate_groups
from refusal_stability.params.load import load_params
from refusal_stability.plain_text import visible_line
from refusal_stability.records import StudyError
from refusal_stability.report.console import comparison_legend, comparison_text
from refusal_stability.report.gate_page import GatePage, gate_json, gate_junit, gate_markdown, gate_text
from refusal_stability.study.label_files import settings_of
from refusal_stability.study.side_settings import (
    by_model,
    changed_texts,
    differing,
    parameter_differences,
    prompt_texts,
    read_served,
    served_differences,
)
from refusal_stability.study.sides import Side, pair_up, parse_side
from refusal_stability.tables.layout import plain_line
from refusal_stability.workload.served import served_to

# 1 is an error and 2 a wrong command line, as everywhere.
EXIT_CODES = {PASS: 0, FAIL: 3, NOT_ENOUGH: 4}
EXCERPT = 60


def run(
    a: str,
    b: str,
    params_path: Path,
    fail_if: Sequence[str] = (),
    alpha: float = 0.05,
    files: Mapping[str, Path] | None = None,
) -> int:
    """Print the comparison of two studies, models or interventions; the exit code says what its gate decided."""
    settings = settings_of(load_params(params_path).metrics)
    rules = [parse_rule(text, SPANS) for text in fail_if]
    if not 0 < alpha < 0.5:
        raise StudyError(f"--alpha: {alpha:g} is not allowed; a number over 0 and under 0.5, such as 0.05")
    if files and not rules:
        raise StudyError(f"{next(iter(files))}: there is no gate without a rule; add --fail-if, or leave it out")
    first, second = parse_side(a), parse_side(b)
    pairings, lonely = pair_up(first, second)
    differences, notes = parameter_differences(first, second)
    served = [_served(side.root, params_path) for side in (first, second)]
    notes += [*_other_texts(first, second), *served_differences(*served)]
    print("\n".join([f"A = {a}, B = {b}", *lonely, *map(visible_line, [*differing(differences), *notes])]))
    texts = prompt_texts(second, first)
    compared: dict[str, Comparison] = {}
    for pairing in pairings:
        found = compared[pairing.name] = compare_groups(pairing.first, pairing.second, settings, first.same_as(second))
        changed = found.changed.assign(prompt=[_excerpt(texts, p) for p in found.changed["prompt_id"]])
        print("\n".join([f"\n{pairing.name}"] * bool(pairing.name) + found.notes()))
        print(comparison_text(found.figures, changed))
    shown = dict.fromkeys(figure for found in compared.values() for figure in found.figures["figure"])
    print(f"\n{comparison_legend(list(shown), settings.resampling.confidence)}")
    if not rules:
        return 0
    n_tests = len(pairings) * sum(len(rule.signs) for rule in rules)
    gated = [gate_groups(p.name, p.first, p.second, rules, settings, alpha, n_tests) for p in pairings]
    decision = gate_decision([found for group in gated for found in group.checks])
    notes = [*lonely, *notes, *_pairing_notes(compared, gated)]
    page = GatePage(
        a,
        b,
        decision,
        [{"group": g.name, **asdict(c), "rule": c.rule.text, "figure": c.rule.figure} for g in gated for c in g.checks],
        [asdict(difference) for difference in differences],
        notes,
        [
            {"group": name, "prompt": texts.get(row["prompt_id"], row["prompt_id"])}
            | {key: row[key] for key in ("prompt_id", "ssi_a", "ssi_b", "change")}
            for name, found in compared.items()
            for row in found.changed.to_dict("records")
        ],
        alpha,
        settings.threshold,
    )
    print(f"\n{gate_text(page)}")
    _write(page, files or {})
    return EXIT_CODES[decision]


def _excerpt(texts: Mapping[str, str], prompt_id: str) -> str:
    text = visible_line(plain_line(texts.get(prompt_id, "")))
    return text if len(text) <= EXCERPT else f"{text[: EXCERPT - 1]}…"


def _pairing_notes(compared: Mapping[str, Comparison], gated: Sequence[Gated]) -> list[str]:
    """What a reader of the gate's decision must know of the pairing."""
    notes = [note for found in compared.values() for note in found.notes()[:1] if found.n_left_out]
    thinned = sum(group.thinned for group in gated)
    if thinned:
        notes.append(f"{thinned:,} prompts had unequal numbers of samples: both sides were brought to the smaller one")
    single = sum(group.single for group in gated)
    if single:
        notes.append(f"{single:,} prompts have a single sample on a side: rules about stability leave them out")
    return notes


def _other_texts(first: Side, second: Side) -> list[str]:
    other = changed_texts(first, second)
    if not other:
        return []
    return [f"{len(other):,} prompts have another text on side B, first {other[0]}: they ask something else"]


def _served(root: Path, params_path: Path) -> dict[str, tuple[str, ...]]:
    """The models that were served to a side: of a baseline as saved, of a checkout from its store."""
    saved = read_served(root)
    if saved or not (root / STORE).is_file():
        return saved
    if root.resolve() == Path.cwd():
        return by_model(served_to(params_path))
    with StoreView(root / STORE) as store:
        return by_model(store.served())


def _write(page: GatePage, files: Mapping[str, Path]) -> None:
    for option, path in files.items():
        if option == "--json":
            write_json(gate_json(page), path)
            continue
        with atomic_write(path) as file:
            # Only this form asks for a time.
            now = datetime.now(timezone.utc)
            file.write(gate_markdown(page) if option == "--markdown" else gate_junit(page, now))
