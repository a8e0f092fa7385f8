"""The recorded judge: labels that exist already, in this project's layout, the published study's, or one table.

Nothing is guessed. An error names the file and the rows where a cell has no row or two rows, where a label is unknown,
or where a label belongs to another response than the study's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_stability.judging.label_names import decision_named
from refusal_stability.judging.protocol import Judge, Judgements, JudgingError
from refusal_stability.params.judge_kinds import RecordedLabelSettings
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import NO_INTERVENTION, Basis, Condition, Judgement, Response
from refusal_stability.tables.user_files import read_frame

if TYPE_CHECKING:
    import pandas as pd

# Where a source keeps one configuration's labels, under the folder that `path` names.
LAYOUTS = {
    "project": "data/labels/{name}/{name}{under}_temp{temperature!r}_seed{seed}_labels.csv",
    "published": "data/results/labels/{name}_temp{temperature!r}_seed{seed}_labels.csv",
}
NEEDED = ("model", "temperature", "seed", "label")
SHOWN = 5

Cell = tuple[str, str, float, int, str, int]


@dataclass(frozen=True)
class Recorded:
    """One recorded label and its row number in its file (the header is row 1)."""

    file: Path
    number: int
    label: str
    reasoning: str
    missing_reason: str
    response: str | None
    confidence: float | None
    basis: Basis


class RecordedJudge(Judge):
    """Looks decisions up in label files that exist already.

    Parameters
    ----------
    params : `path` is the source's folder, or one file of layout `table`; `repeats` is how many repeats it holds.
    settings : the layout, the source's names of models, columns and labels, and which labels mean missing.
    where : the judge's key in params.yaml, for error messages.

    Notes
    -----
    A cell is (model, intervention, temperature, seed, prompt, repeat). Labels of a table without a column
    `intervention`, and of the published layout, are of bare prompts: they are no labels of any intervention but `none`.
    Prompts are matched by text where the source has a `prompt`
    column, otherwise by `prompt_id`. A response is not needed, since labels may outlive responses. Where both the
    source and the study have the response, the two must be the same text.
    """

    def __init__(self, params: JudgeParams, settings: RecordedLabelSettings, where: str) -> None:
        self.repeats = params.repeats
        self._settings = settings
        self._where = where
        self._root = Path(params.path or "")
        self._missing = {label.casefold() for label in settings.missing}
        if not self._root.exists():
            raise JudgingError(f"{where}.path: {params.path!r}: no such file or folder; give the source of the labels")

    def knows(self, model: str) -> bool:
        """Whether the source has labels of this model."""
        return model in self._settings.models

    def judge(self, responses: Sequence[Response]) -> Judgements:
        """See `Judge.judge`. Labels are used as they are, whether or not there is a response."""
        by_condition: dict[Condition, list[int]] = defaultdict(list)
        for position, response in enumerate(responses):
            by_condition[response.condition].append(position)
        judged: dict[int, tuple[Judgement, ...]] = {}
        cells, by_text = self._read(list(by_condition))
        for condition, positions in by_condition.items():
            wanted = [responses[position] for position in positions]
            for position, row in zip(positions, self._find(cells, by_text, condition, wanted), strict=True):
                judged[position] = row
        return [judged[position] for position in range(len(responses))]

    def _find(
        self, cells: dict[Cell, Recorded], by_text: bool, condition: Condition, wanted: Sequence[Response]
    ) -> Judgements:
        model, found, absent = self._settings.models[condition.model], [], []
        for response in wanted:
            prompt = response.prompt.text if by_text else response.prompt.prompt_id
            keys = [
                (model, condition.intervention, float(condition.temperature), condition.seed, prompt, repeat)
                for repeat in range(self.repeats)
            ]
            rows = [cells.get(key) for key in keys]
            if None in rows:
                absent.append(response.prompt.prompt_id)
            found.append(tuple(self._judgement(row, response) for row in rows if row is not None))
        if absent:
            under = "" if condition.intervention == NO_INTERVENTION else f" under intervention {condition.intervention}"
            raise JudgingError(
                f"{self._where}: {self._root}: no label of {model!r}{under} at temperature {condition.temperature}, "
                f"seed {condition.seed} for {len(absent)} of {len(wanted)} prompts: {', '.join(absent[:SHOWN])}"
                f"{' ...' if len(absent) > SHOWN else ''}; leave these prompts, the configuration or the judge out"
            )
        return found

    def _judgement(self, row: Recorded, response: Response) -> Judgement:
        if row.response is not None and response.missing_reason is None and row.response != response.text:
            raise JudgingError(
                f"{row.file}: row {row.number}: this label belongs to another response than the study's to prompt "
                f"{response.prompt.prompt_id}; take the responses from the same source as the labels"
            )
        if row.missing_reason:
            return Judgement(None, row.reasoning, row.missing_reason)
        label = row.label.strip()
        decision = decision_named(label, self._settings.labels)
        if decision is not None:
            return Judgement(decision, row.reasoning, confidence=row.confidence, basis=row.basis)
        if label.casefold() in self._missing:
            return Judgement(None, row.reasoning, f"the source recorded {label!r}")
        raise JudgingError(
            f"{row.file}: row {row.number}: label {row.label!r} is unknown; map it to a decision in "
            f"{self._where}.settings.labels, or list it in {self._where}.settings.missing"
        )

    def _read(self, conditions: Sequence[Condition]) -> tuple[dict[Cell, Recorded], bool]:
        """Every row of the files in use by its cell, and whether prompts are matched by their text."""
        cells: dict[Cell, Recorded] = {}
        texts = set()
        for file, condition in self._files(conditions):
            table = self._table(file)
            texts.add("prompt" in table)
            self._add(cells, file, table, condition)
        if len(texts) > 1:
            raise JudgingError(
                f"{self._root}: some label files have a prompt column and some do not; give them all one"
            )
        return cells, texts == {True}

    def _files(self, conditions: Sequence[Condition]) -> list[tuple[Path, Condition | None]]:
        if self._settings.layout == "table":
            if not self._settings.files:
                return [(self._root, None)]
            return [(self._root / name, None) for name in self._settings.files]
        return [(self._root / self._file(condition), condition) for condition in conditions]

    def _file(self, condition: Condition) -> str:
        """The file of one configuration, under the source's folder."""
        layout, bare = self._settings.layout, condition.intervention == NO_INTERVENTION
        if layout == "published" and not bare:
            raise JudgingError(
                f"{self._where}: labels of layout `published` stand for bare prompts; leave intervention "
                f"{condition.intervention} or the judge out"
            )
        return LAYOUTS[layout].format(
            name=self._settings.models[condition.model],
            under="" if bare else f"_{condition.intervention}",
            temperature=float(condition.temperature),
            seed=int(condition.seed),
        )

    def _add(self, cells: dict[Cell, Recorded], file: Path, table: pd.DataFrame, condition: Condition | None) -> None:
        """Add a table's rows, each to its cell; `condition` is what the file's name promises."""
        models = table["model"].tolist()
        if condition is not None and len(set(models)) > 1:
            other = next(i for i, model in enumerate(models) if model != models[0])
            rows = f"rows {table.index[0]} and {table.index[other]}"
            raise JudgingError(f"{file}: {rows} hold two models, {models[0]!r} and {models[other]!r}; split the file")
        numbers = [_numbers(file, table, name) for name in ("temperature", "seed", "repeat")]
        prompts = table["prompt" if "prompt" in table else "prompt_id"].tolist()
        bare = [NO_INTERVENTION if condition is None else condition.intervention] * len(table)
        under = table["intervention"].tolist() if "intervention" in table else bare
        for row, model, intervention, temperature, seed, prompt, repeat in zip(
            _rows(file, table), models, under, numbers[0], numbers[1], prompts, numbers[2], strict=True
        ):
            if condition is not None:
                model = self._settings.models[condition.model]
                if intervention != condition.intervention:
                    raise JudgingError(
                        f"{file}: row {row.number}: intervention {intervention!r} in the file of intervention "
                        f"{condition.intervention!r}; correct the row or the name"
                    )
                if (temperature, seed) != (condition.temperature, condition.seed):
                    raise JudgingError(
                        f"{file}: row {row.number}: temperature {temperature}, seed {seed:.0f} in the file of "
                        f"temperature {condition.temperature}, seed {condition.seed}; correct the row or the name"
                    )
            first = cells.setdefault((model, intervention, temperature, int(seed), prompt, int(repeat)), row)
            if first is not row:
                alike = "twice" if first.label == row.label else f"as {first.label!r} and as {row.label!r}"
                raise JudgingError(
                    f"{first.file}, row {first.number} and {row.file}, row {row.number} label one response {alike} "
                    f"(model {model!r}, temperature {temperature}, seed {seed:.0f}, prompt {prompt[:60]!r}); keep the "
                    "row that is right, or name one judge in settings.judge"
                )

    def _table(self, file: Path) -> pd.DataFrame:
        if not file.is_file():
            raise JudgingError(
                f"{file}: no such file; correct {self._where} (path, settings), or leave its model, temperature or "
                "seed out of the study"
            )
        return self._ours(file, read_frame(file))

    def _ours(self, file: Path, found: pd.DataFrame) -> pd.DataFrame:
        """The source's table under our column names: the chosen judge's rows only."""
        import pandas as pd

        from refusal_stability.params.judge_kinds import RECORDED_LABEL_COLUMNS

        sources = {name: self._settings.columns.get(name, name) for name in RECORDED_LABEL_COLUMNS}
        present = {name: source for name, source in sources.items() if source in found.columns}
        constants = self._settings.constants
        absent = [sources[name] for name in NEEDED if name not in present and name not in constants]
        absent += [source for name, source in self._settings.columns.items() if name not in present]
        if "prompt" not in present and "prompt_id" not in present:
            absent.append(f"{sources['prompt_id']} or {sources['prompt']}")
        if absent:
            raise JudgingError(
                f"{file}: no column {', '.join(dict.fromkeys(absent))}; found {', '.join(map(str, found.columns))}; "
                f"name them in {self._where}.settings.columns, or give a value for all rows in settings.constants"
            )
        table = pd.DataFrame({name: found[source] for name, source in present.items()})
        table = table.assign(**{name: value for name, value in constants.items() if name not in present})
        if self._settings.layout == "project" and "basis" in found:
            table["basis"] = found["basis"]
        if "repeat" not in table:
            table["repeat"] = "0"
        if self._settings.judge is not None:
            if "judge" not in table:
                raise JudgingError(
                    f"{file}: no judge column to find {self._settings.judge!r} in; leave settings.judge out"
                )
            if self._settings.judge not in set(table["judge"]):
                judges = ", ".join(map(repr, sorted(set(table["judge"]))[:SHOWN]))
                raise JudgingError(f"{file}: no label by {self._settings.judge!r}; its judges: {judges}")
            # The index, which is the row's number in the file, stays.
            return table[table["judge"] == self._settings.judge]
        return table


def _numbers(file: Path, table: pd.DataFrame, name: str) -> list[float]:
    import pandas as pd

    values = pd.to_numeric(table[name], errors="coerce")
    if values.isna().any():
        row = values.index[values.isna()][0]
        raise JudgingError(f"{file}: row {row}: {name} {table[name][row]!r} is not a number; correct it")
    found: list[float] = values.astype(float).tolist()
    return found


def _rows(file: Path, table: pd.DataFrame) -> Iterator[Recorded]:
    nothing = [""] * len(table)
    labels, reasonings, reasons = (
        table[name].tolist() if name in table else nothing for name in ("label", "reasoning", "missing_reason")
    )
    responses = table["response"].tolist() if "response" in table else [None] * len(table)
    confidences = _confidences(file, table) if "confidence" in table else [None] * len(table)
    known = {basis.value: basis for basis in Basis}
    bases = [known.get(text, Basis.JUDGE) for text in table.get("basis", nothing)]
    columns = (labels, reasonings, reasons, responses, confidences, bases)
    for number, *cells in zip(table.index.tolist(), *columns, strict=True):
        yield Recorded(file, number, *cells)


def _confidences(file: Path, table: pd.DataFrame) -> list[float | None]:
    given = table[table["confidence"].str.strip() != ""]
    numbers = dict(zip(given.index, _numbers(file, given, "confidence"), strict=True))
    return [numbers.get(place) for place in table.index]
