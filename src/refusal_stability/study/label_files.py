"""A study's label and generation files as dense arrays; a file that does not match its grid names the row.

Prompts may have unequal numbers of responses. A generation file has a row for every prompt; a row whose outcome is
`not_sampled` says that this prompt was not asked in this configuration, and the label file has no row for it.

Twenty million labels pass through here, so files are read by column and checked as arrays. Where a check fails, the
file is read again row by row to name the row and the remedy.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from refusal_stability.files import PROMPTS, ArtifactError, generation_file, label_file
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import DECISIONS, MISSING, NOT_SAMPLED, OUTCOMES, Condition, Outcome
from refusal_stability.study.arrow_columns import coded, positions, read_columns
from refusal_stability.study.thinking_labels import read_thinking
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, check_labels

NOT_JUDGED = "not judged"
NO_LABEL = len(DECISIONS)
LABEL_CODES = {**{str(decision): code for code, decision in enumerate(DECISIONS)}, "": NO_LABEL}
OUTCOME_CODES = {str(outcome): code for code, outcome in enumerate(OUTCOMES)}
NOT_SAMPLED_OUTCOME = OUTCOMES.index(Outcome.NOT_SAMPLED)


@dataclass(frozen=True)
class Judged:
    """One judge's decisions in one file: codes (P, R), and why some are missing."""

    codes: Any
    reasons: Counter[str]


def read_prompts() -> pd.DataFrame:
    """The study's prompts; a table without any, or that breaks its contract, names the stage that writes it."""
    remedy = "run `dvc repro prompts` to write it anew"
    try:
        prompts = read_table(PROMPTS, PROMPT_TABLE)
    except ArtifactError as error:
        raise ArtifactError(str(error) if "dvc repro" in str(error) else f"{error}; {remedy}") from error
    if prompts.empty:
        raise ArtifactError(f"{PROMPTS}: holds no prompt; {remedy}")
    return prompts


def read_decisions(params: StudyParams, prompts: pd.DataFrame) -> DecisionArrays:
    """Every decision of the models that `params.yaml` names, from exactly the files that its grid names.

    A judge other than the primary may be absent from whole files (it was added later, or knows some models only):
    its decisions there are missing, with the reason `not judged`.
    """
    import pyarrow as pa

    ids = pa.array(prompts["prompt_id"], pa.string())
    missing: dict[tuple[str, str, str], Counter[str]] = {}
    missing_at: dict[tuple[str, str, str], dict[float, Counter[str]]] = {}
    groups = []
    for model in params.models:
        for intervention in params.interventions:
            conditions = [c for c in params.conditions(model) if c.intervention == intervention]
            group, reasons, by_temperature = _read_group(params, conditions, ids)
            groups.append(group)
            missing_at |= {(model, intervention, judge): why for judge, why in by_temperature.items()}
            missing |= {(model, intervention, judge): why for judge, why in reasons.items()}
    pa.default_memory_pool().release_unused()  # what the files took; of a million prompts a third of a gigabyte
    return DecisionArrays(
        prompts["prompt_id"].to_numpy(object),
        prompts["category"].to_numpy(object),
        tuple(params.sampling.temperatures),
        tuple(params.sampling.seeds),
        tuple(groups),
        missing,
        prompts["harm"].to_numpy(object),
        prompts["intent"].to_numpy(object),
        prompts["language"].to_numpy(object),
        missing_at,
    )


def settings_of(metrics: MetricsParams) -> Settings:
    """The metrics parameters as the measures take them."""

    def rng(*names: object) -> np.random.Generator:
        """The generator of one table and scope: its name and the study's seed decide it, and nothing else does."""
        digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
        return np.random.default_rng([metrics.seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])

    resampling = Resampling(metrics.n_resamples, metrics.confidence, rng)
    return Settings(metrics.threshold, tuple(metrics.thresholds), resampling)


def _read_group(
    params: StudyParams, conditions: list[Condition], ids: Any
) -> tuple[Group, dict[str, Counter[str]], dict[str, dict[float, Counter[str]]]]:
    """One model under one intervention: its decisions, and why each judge made none, also by temperature."""
    repeats = {name: judge.repeats for name, judge in params.judging.judges.items()}
    primary = params.judging.of(conditions[0].model).primary
    shape = (len(ids), len(params.sampling.temperatures), len(params.sampling.seeds))
    texts, outcomes, unseeded = _read_responses(conditions, ids, shape)
    sampled = np.ones(shape, dtype=bool) if outcomes is None else outcomes != NOT_SAMPLED_OUTCOME
    cubes: dict[str, Any] = {}
    reasons: dict[str, Counter[str]] = {}
    by_temperature: dict[str, dict[float, Counter[str]]] = {}
    tables = _read_ahead(label_file(condition) for condition in conditions)
    for position, (condition, (path, table)) in enumerate(zip(conditions, tables, strict=True)):
        t, s = divmod(position, shape[2])
        for judge, judged in _labels_of(table, path, condition, ids, sampled[:, t, s], repeats, primary).items():
            cube = cubes.setdefault(judge, np.full((*shape, repeats[judge]), MISSING, dtype=np.int8))
            cube[:, t, s] = judged.codes
            reasons.setdefault(judge, Counter()).update(judged.reasons)
            there = by_temperature.setdefault(judge, {})
            there.setdefault(condition.temperature, Counter()).update(judged.reasons)
    for judge, params_of in params.judging.judges.items():
        # A judge that knows none of this model's responses has no decisions, but a count of what it left out.
        if judge not in cubes and not params_of.on_call:
            reasons[judge] = Counter({NOT_JUDGED: int(sampled.sum()) * repeats[judge]})
    if not sampled.any():
        # Nothing of this model was asked, so no file has a row: its tables say so.
        cubes.setdefault(primary, np.full((*shape, repeats[primary]), NOT_SAMPLED, dtype=np.int8))
    for judge, cube in cubes.items():
        cube[~sampled] = NOT_SAMPLED
        reasons.setdefault(judge, Counter())[NOT_JUDGED] += int((cube == MISSING).sum()) - reasons[judge].total()
        reasons[judge] = +reasons[judge]
    first = conditions[0]
    ordered = {judge: cubes[judge] for judge in repeats if judge in cubes}
    once = frozenset(name for name in params.judging.judges if params.judging.labels_texts_once(name))
    thinking_judge = params.judging.thinking
    thinking = None if thinking_judge is None else read_thinking(thinking_judge, conditions, ids.to_pylist(), sampled)
    measured = Group(first.model, first.intervention, ordered, primary, texts, once, outcomes, thinking, unseeded)
    return measured, reasons, by_temperature


def _read_ahead(paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
    """Each label file with its columns; the next one is read while this one is put in its place."""
    thread = ThreadPoolExecutor(1)
    try:
        ahead: tuple[Path, Future[Any]] | None = None
        for path in paths:
            before, ahead = ahead, (path, thread.submit(read_columns, path, LABEL_TABLE))
            if before is not None:
                yield before[0], before[1].result()
        if ahead is not None:
            yield ahead[0], ahead[1].result()
    finally:
        thread.shutdown(cancel_futures=True)


def _labels_of(
    table: Any, path: Path, condition: Condition, ids: Any, sampled: Any, repeats: dict[str, int], primary: str
) -> dict[str, Judged]:
    """Each judge's decisions in one configuration's label file; `sampled` marks the prompts that were asked."""
    judged = None if table is None else _arrange(table, condition, ids, sampled, repeats)
    if judged is None or (primary not in judged and sampled.any()):
        _explain_labels(path, condition, ids, sampled, repeats, primary)
    return judged


def _arrange(
    table: Any, condition: Condition, ids: Any, sampled: Any, repeats: dict[str, int]
) -> dict[str, Judged] | None:
    """Rows laid out on the grid of sampled prompts x judges x repeats; None where they do not fill it exactly."""
    temperature, seed, repeat = (table[c].to_numpy() for c in ("temperature", "seed", "repeat"))
    judge = coded(table["judge"], {name: i for i, name in enumerate(repeats)})
    label = coded(table["label"], LABEL_CODES)
    unexplained = coded(table["missing_reason"], {"": 1}) == 1
    position = positions(table["prompt_id"], ids)
    in_place = (
        (coded(table["model"], {condition.model: 0}) == 0)
        & (coded(table["intervention"], {condition.intervention: 0}) == 0)
        & (temperature == condition.temperature)
        & (seed == condition.seed)
        & (judge >= 0)
        & (repeat >= 0)
        & (repeat < np.array([*repeats.values()])[judge])
        & (position >= 0)
        & (label >= 0)
        & ((label == NO_LABEL) != unexplained)
    )
    if not in_place.all():
        return None
    judged = {}
    for i, (name, n_repeats) in enumerate(repeats.items()):
        rows = slice(None) if len(repeats) == 1 else judge == i
        cells = position[rows] * n_repeats + repeat[rows]
        if not len(cells):
            continue
        size = len(ids) * n_repeats
        if (np.bincount(cells, minlength=size) != np.repeat(sampled, n_repeats)).any():
            return None
        codes = np.full(size, NOT_SAMPLED, dtype=np.int8)
        codes[cells] = np.where(label[rows] == NO_LABEL, MISSING, label[rows])
        undecided = table["missing_reason"].filter((label == NO_LABEL) & (judge == i))
        judged[name] = Judged(codes.reshape(len(ids), n_repeats), Counter(undecided.to_pylist()))
    return judged


def _explain_labels(
    path: Path, condition: Condition, ids: Any, sampled: Any, repeats: dict[str, int], primary: str
) -> NoReturn:
    """Raise the error that names what is wrong with a label file."""
    if not path.is_file():
        read_table(path, LABEL_TABLE)  # raises, and names the stage that writes it
    try:
        table = read_table(path, LABEL_TABLE)
        check_labels(table, str(path))
    except ArtifactError as error:
        raise ArtifactError(f"{error}; {_remedy(condition)}") from error
    _explain_place(path, table, condition, ids)
    asked = [prompt for prompt, was in zip(ids.to_pylist(), sampled.tolist(), strict=True) if was]
    known = set(asked)
    places = zip(table["prompt_id"].tolist(), table["judge"].tolist(), table["repeat"].tolist(), strict=True)
    for row, (prompt, judge, repeat) in enumerate(places):
        if prompt not in known:
            problem = f"a label of prompt {prompt}, whose outcome in the generation file is `{Outcome.NOT_SAMPLED}`"
            _refuse(path, row, problem, condition)
        if judge not in repeats:
            _refuse(path, row, f"judge {judge!r} is not in judging.judges ({', '.join(repeats)})", condition)
        if not 0 <= repeat < repeats[judge]:
            _refuse(path, row, f"repeat {repeat} of judge {judge!r}, which has {repeats[judge]} repeats", condition)
    for judge in table["judge"].unique().tolist():
        rows = table[table["judge"] == judge]
        lacking = len(asked) * repeats[judge] - len(rows)
        if lacking:
            n = rows.groupby("prompt_id").size()
            prompt = next(i for i in asked if n.get(i, 0) < repeats[judge])
            raise ArtifactError(
                f"{path}: judge {judge!r} has {len(rows)} of {len(rows) + lacking} rows; {lacking} are lacking, the "
                f"first for prompt {prompt}; {_remedy(condition)}"
            )
    if primary not in set(table["judge"]):
        raise ArtifactError(
            f"{path}: no row by judge {primary!r}, the primary judge of {condition.model}; {_remedy(condition)}"
        )
    raise ArtifactError(f"{path}: not a label file as this project writes it; {_remedy(condition)}")


def _explain_place(path: Path, table: pd.DataFrame, condition: Condition, ids: Any, stage: str = "judge") -> None:
    """Raise for the first row that belongs to another configuration, or to a prompt that the study does not have."""
    for column in ("model", "intervention", "temperature", "seed"):
        expected = getattr(condition, column)
        wrong = (table[column] != expected).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            found = table[column].tolist()[row]
            _refuse(path, row, f"{column} {found!r}; this file holds {column} {expected!r}", condition, stage)
    unknown = ~table["prompt_id"].isin(ids.to_pylist()).to_numpy()
    if unknown.any():
        row = int(unknown.argmax())
        prompt = table["prompt_id"].iloc[row]
        _refuse(path, row, f"prompt_id {prompt!r} is not among the study's prompts", condition, stage)


def _refuse(path: Path, row: int, problem: str, condition: Condition, stage: str = "judge") -> NoReturn:
    raise ArtifactError(f"{path}: row {row + 2}: {problem}; {_remedy(condition, stage)}")


def _remedy(condition: Condition, stage: str = "judge") -> str:
    return f"run `dvc repro {stage}@{condition.model}` to write it anew"


def _is_of(table: Any, condition: Condition) -> bool:
    """Whether every row of a table belongs to one configuration."""
    names = ("model", "intervention")
    named = all((coded(table[name], {getattr(condition, name): 0}) == 0).all() for name in names)
    at = all((table[name].to_numpy() == getattr(condition, name)).all() for name in ("temperature", "seed"))
    return named and at


def _holds_each(position: Any, n_prompts: int) -> bool:
    """Whether the rows' positions among the study's prompts (-1: not among them) are each of them once."""
    return len(position) == n_prompts and bool((np.sort(position) == np.arange(n_prompts)).all())


def _explain_generations(path: Path, condition: Condition, ids: Any) -> NoReturn:
    """Raise the error that names what is wrong with a generation file."""
    remedy = _remedy(condition, "generate")
    try:
        table = read_table(path, GENERATION_TABLE)
    except ArtifactError as error:
        raise ArtifactError(str(error) if "dvc repro" in str(error) else f"{error}; {remedy}") from error
    _explain_place(path, table, condition, ids, "generate")
    there = set(table["prompt_id"])
    lacking = [prompt for prompt in ids.to_pylist() if prompt not in there]
    first = f"; {len(lacking)} prompts are lacking, the first {lacking[0]!r}" if lacking else ""
    raise ArtifactError(f"{path}: not a generation file that holds every prompt once{first}; {remedy}")


def _read_responses(conditions: list[Condition], ids: Any, shape: tuple[int, int, int]) -> tuple[Any, Any, Any]:
    """(P, T, S) numbers equal exactly for byte-identical responses, 0 for none; outcome codes; and what is unseeded.

    The numbers are 64-bit hashes: among a prompt's few responses a collision has a chance of about 1e-17. Without
    generation files all are None, and every cell counts as sampled.
    """
    if not any(generation_file(condition).is_file() for condition in conditions):
        return None, None, None
    outcomes = np.empty(shape, dtype=np.int8)
    unseeded = np.zeros(shape, dtype=bool)
    texts = np.zeros(shape, dtype=np.uint64)
    for place, condition in enumerate(conditions):
        path = generation_file(condition)
        table = read_columns(path, GENERATION_TABLE)
        position = None if table is None else positions(table["prompt_id"], ids)
        if table is None or position is None or not _is_of(table, condition) or not _holds_each(position, len(ids)):
            _explain_generations(path, condition, ids)
        cell = (position, place // shape[2], place % shape[2])
        there = coded(table["missing_reason"], {"": 1}) == 1
        hashes = pd.util.hash_array(table["response"].to_numpy().astype(object), categorize=False)
        texts[cell] = np.where(there, np.maximum(hashes, 1), 0)
        codes = _outcome_codes(table, there)
        if (codes < 0).any():
            row = int(np.argmin(codes))
            problem = f"outcome {table['outcome'][row].as_py()!r} is not one of {', '.join(OUTCOME_CODES)}"
            _refuse(path, row, problem, condition, "generate")
        outcomes[cell] = codes
        if "unseeded" in table.column_names:
            unseeded[cell] = table["unseeded"].to_numpy()
    return texts, outcomes, unseeded if unseeded.any() else None


def _outcome_codes(table: Any, there: Any) -> Any:
    """Each row's position in `OUTCOMES`; in a file from before outcomes were kept, what its other columns tell."""
    if "outcome" in table.column_names:
        return coded(table["outcome"], OUTCOME_CODES)
    cut = coded(table["finish_reason"], {"length": 1}) == 1
    text = np.where(cut, OUTCOMES.index(Outcome.CUT), OUTCOMES.index(Outcome.ANSWERED))
    return np.where(there, text, OUTCOMES.index(Outcome.UNANSWERED))
