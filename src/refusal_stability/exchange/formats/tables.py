"""Plain tables of responses, labels or both: CSV, TSV, JSON, JSON lines, Parquet and Excel, long or wide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refusal_stability.exchange.answer_lists import rows_of_answers
from refusal_stability.exchange.log_format import TABLES, ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.exchange.repeat_column import map_of_repeats
from refusal_stability.exchange.spread_columns import SpreadColumns
from refusal_stability.exchange.table_cells import (
    answer_text,
    as_number,
    cell_text,
    is_blank,
    is_number,
    table_conversation,
    whole_id,
)
from refusal_stability.exchange.table_map import MISSING, ROW_COLUMNS, USUAL_NAMES, JudgeColumns, OneTable
from refusal_stability.params.checks import LARGEST as LARGEST_NUMBER
from refusal_stability.prompts.identity import UNCATEGORISED, joined_categories, prompt_id
from refusal_stability.records import HARMS, Message, Prompt
from refusal_stability.tables.user_files import READERS, UserRow, every_row

NO_COLUMN = "none"  # `--column repeat=none`: no column numbers the repeats; `prompt_id=none`: none names the prompts
ONE_JUDGE = "source"
LARGEST = 512 * 2**20
SUFFIXES = READERS.keys() - {".txt"}
LONGEST_NUMBER = 100
NUMBERED = re.compile(r"(.*[^0-9])[0-9]+")
WHOLE_FILES = (".csv", ".tsv", ".json", ".parquet", ".xlsx", ".xls")


def is_table(path: Path) -> bool:
    """Whether the file's name is that of a table; JSON must be a list, and plain text names no model."""
    if path.suffix.lower() == ".json" and not file_head(path).lstrip().startswith(b"["):
        return False
    return any(suffix.lower() in SUFFIXES for suffix in path.suffixes[-2:])


@log_format(TABLES, is_table, rank=9, names_runs=False)
def table_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Each row of each table: a response, labels of one, or both."""
    judges: dict[tuple[object, ...], str] = {}
    for pattern in options.table_map.tables:
        if not any(path.match(pattern) for path in paths):
            options.note(f"tables.{pattern} of the map: no table of this name is imported")
    for path in paths:
        _check_size(path)
        found: dict[str, Any] = {}
        reader: _TableReader | None = None
        blanks, empty, unlabelled = 0, list[str](), Counter[str]()
        spread = SpreadColumns(path, map_of_repeats(path, options))
        for row in (one for whole in every_row(path) for one in spread.rows(whole)):
            # A line of JSON lines may be the first to have a column.
            if reader is None or not found.keys() >= row.values.keys():
                found |= row.values
                reader = _TableReader.of(path, found, spread, unlabelled)
            responses = list(reader.responses(row))
            for response in responses:
                reader.check_judge(row, response, judges)
                yield replace(response, beside={name: row.values.get(name) for name in reader.unused})
            blanks += max(0, reader.chosen.repeats_in_a_row - len(responses))
            empty += [row.place] * (not responses)
        if reader is not None:
            reader.note_columns(path, found, options)
        for line in spread.notes():
            options.note(line)
        blanks, empty = blanks + spread.blanks, [*spread.empty, *empty]
        for judge, count in unlabelled.items():
            options.note(f"{path.name}: {count} empty label{'s' * (count > 1)} of judge {judge}: not labelled by it")
        if blanks:
            options.note(_on_blanks(path, blanks, empty))


def _on_blanks(path: Path, blanks: int, empty: Sequence[str]) -> str:
    rows = ""
    if empty:
        many = f"{len(empty)} rows have no other cell and are" if len(empty) > 1 else "1 row has no other cell and is"
        rows = f"; {many} left out (the first: {empty[0]})"
    cells = f"{blanks} blank cell{'s' * (blanks > 1)}"
    return (
        f"{path}: {cells} in columns of repeats: not sampled{rows}. If they are answers that are missing, write "
        "`blank: missing` into the map"
    )


def _check_size(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size > LARGEST and any(suffix.lower() in WHOLE_FILES for suffix in path.suffixes):
        raise LogError(
            f"{path}: {size / 2**20:,.0f} MB; a table over {LARGEST // 2**20} MB is read as JSON lines (.jsonl) only; "
            "convert it, or split it into several files"
        )


@dataclass(frozen=True)
class _TableReader:
    """One table: where each of our columns stands in it."""

    chosen: OneTable
    columns: Mapping[str, str]
    unlabelled: Counter[str]
    unused: Sequence[str] = ()

    @classmethod
    def of(cls, path: Path, found: Mapping[str, Any], spread: SpreadColumns, unlabelled: Counter[str]) -> _TableReader:
        """The reader of a table with the columns `found`; it counts each judge's empty labels in `unlabelled`."""
        chosen, columns = spread.chosen, dict[str, str]()
        plain = {str(name).strip().lower(): name for name in reversed(list(found))}
        for ours in chosen.columns_of_spread if spread.taken else chosen.columns_read:
            if ours in ("repeat", "prompt_id") and chosen.columns.get(ours) == NO_COLUMN:
                continue
            if ours in chosen.columns:
                theirs = chosen.columns[ours] if chosen.columns[ours] in found else None
            else:
                named = [plain[name] for name in (ours, *USUAL_NAMES.get(ours, ())) if name in plain]
                theirs = next(iter(named), None)
                if ours == "response" and "response" not in plain and len(named) > 1:
                    raise LogError(
                        f"{path}: the columns {', '.join(named)} may each be the response; say which: --column "
                        f"response={named[-1]}"
                    )
            if theirs is not None and (ours in chosen.columns or theirs not in chosen.columns.values()):
                columns[ours] = theirs
        reader = cls(chosen, columns, unlabelled)
        reader = replace(reader, unused=sorted(set(found) - reader.used()))
        reader.check(path, found)
        return reader

    def note_columns(self, path: Path, found: Mapping[str, Any], options: ImportOptions) -> None:
        """Tell the columns that are not read, and those that the map names but the table lacks."""
        if self.unused:
            names = [str(name).lower() for name in self.unused]
            labels = any(word in name for name in names for word in ("label", "judge", "verdict"))
            remedy = "; a --map reads judges that have columns of their own" if labels else ""
            options.note(f"{path.name}: columns not used: {', '.join(map(str, self.unused))}{remedy}")
        absent = sorted((self.used() | set(self.chosen.columns.values())) - {NO_COLUMN, *found})
        if absent:
            options.note(f"{path.name}: has no column {', '.join(absent)}, which the map names")

    def used(self) -> set[str]:
        """The table's columns that are read."""
        of_judges = {
            name
            for judge in self.chosen.judges.values()
            for name in (*judge.label, judge.confidence, judge.reasoning)
            if name is not None
        }
        return {*self.columns.values(), *self.chosen.responses, *of_judges}

    def check(self, path: Path, found: Mapping[str, Any]) -> None:
        """Refuse a table that lacks what is needed, or what the map names."""
        there = {*self.columns, *self.chosen.constants}
        lacking = [name for name in ("model", "temperature") if name not in there]
        if not there & {"prompt", "messages", "prompt_id"}:
            lacking.append("prompt, messages or prompt_id")
        if not (there & {"response", "label", "missing_reason"} or self.chosen.responses or self.chosen.judges):
            lacking.append("response or label")
        if lacking:
            repeats = _numbered_columns(found) if "response or label" in lacking else []
            remedy = (
                f"{', '.join(repeats)} look like repeats in columns of their own, which a --map reads: `responses: "
                f"[{', '.join(repeats)}]`, or as labels `judges: {{NAME: {{label: [...]}}}}` (docs/import.md, Tables)"
                if repeats
                else "name columns with --column ours=theirs, or give one value for all rows with --constant "
                "ours=value; if it holds no responses or labels, name the files to read instead of their folder"
            )
            remedy += (
                ". If the names of columns or of files say it: --column response={model}, --files {model}.csv "
                "(docs/import.md, Names that tell)" * bool({"model", "temperature"} & {*lacking})
            )
            raise LogError(f"{path}: no column {', '.join(lacking)}; found {', '.join(map(str, found))}; {remedy}")

    def check_judge(self, row: UserRow, response: LoggedResponse, judges: dict[tuple[object, ...], str]) -> None:
        """Refuse labels of two judges in rows of their own where no repeat tells which of them mean one response."""
        if response.repeat is not None or not {"judge", "label"} <= self.columns.keys():
            return
        judge = self._text(row, "judge")
        other = judges.setdefault((response.model, response.prompt.prompt_id, response.temperature), judge)
        if other != judge:
            raise row.error(
                self.columns["judge"],
                f"{other!r} labels this prompt too, and nothing tells which rows mean one response; add a column "
                "`repeat` that numbers each prompt's responses",
            )

    def responses(self, row: UserRow) -> Iterator[LoggedResponse]:
        """The row's response, or each of its repeats."""
        if self.columns_of_repeats:
            yield from self._responses(row)
            return
        of_each = self.used() - {column for ours, column in self.columns.items() if ours in (*ROW_COLUMNS, "judge")}
        for one in rows_of_answers(row, self.columns.get("response"), of_each):
            yield from self._responses(one)

    @property
    def columns_of_repeats(self) -> bool:
        """Whether several columns of a row hold a repeat each."""
        return bool(self.chosen.responses) or self.chosen.repeats_in_a_row > 1

    def _responses(self, row: UserRow) -> Iterator[LoggedResponse]:
        prompt = self._prompt(row)
        model, temperature = self._text(row, "model"), self._number(row, "temperature")
        if not model:
            raise row.error(self.columns["model"], "is empty; name the model")
        if self.columns_of_repeats:
            for position in range(self.chosen.repeats_in_a_row):
                text = answer_text(row, self.chosen.responses[position]) if self.chosen.responses else None
                if self.chosen.blank != MISSING and not text and not self._is_labelled(row, position):
                    continue
                yield LoggedResponse(
                    row.place,
                    model,
                    prompt,
                    temperature,
                    position + 1,
                    text,
                    labels=self._labels(row, position),
                    counted=True,
                )
            return
        repeat, reason = self._repeat(row), self._text(row, "missing_reason")
        text = answer_text(row, self.columns["response"]) if self.columns.get("response") in row.values else None
        yield LoggedResponse(
            row.place,
            model,
            prompt,
            temperature,
            repeat,
            text,
            self._text(row, "finish_reason"),
            reason,
            thinking=self._text(row, "thinking"),
            labels=self._labels(row, 0),
            counter="seed" not in str(self.columns.get("repeat", "seed")).lower(),
        )

    def _repeat(self, row: UserRow) -> int | None:
        """The number of the repeat, exactly: a seed may have more digits than a float keeps."""
        text = self._text(row, "repeat")
        if text.isascii() and text.isdigit():
            return int(text) if len(text) < LONGEST_NUMBER else LARGEST_NUMBER + 1
        if (column := self.columns.get("repeat")) and text and not is_number(text):
            raise row.error(
                column,
                f"{text[:60]!r} is no number of a repeat; name the column that numbers them (--column repeat=NAME), or "
                f"none (--column repeat=none); if it holds the responses: --column response={column}",
            )
        repeat = self._number(row, "repeat")
        if repeat is None:
            return None
        if repeat != int(repeat) or repeat < 0 or "," in text:
            raise row.error(self.columns["repeat"], f"{text} is no repeat; a whole number from 0 is expected")
        return int(repeat)

    def _prompt(self, row: UserRow) -> Prompt:
        messages: tuple[Message, ...] = ()
        there = [name for name in ("messages", "prompt") if self.columns.get(name) in row.values]
        filled = [name for name in there if not is_blank(row.values[self.columns[name]])]
        for asked in (filled or there)[:1]:
            messages = table_conversation(row, self.columns[asked], listed=asked == "messages")
        given = whole_id(self._text(row, "prompt_id"))
        if not messages and not given:
            raise row.error(self.columns.get("prompt_id", "prompt_id"), "the prompt's id is empty; fill it in")
        text = messages[-1].content if messages else given
        if not text.strip():
            raise row.error(self.columns.get("prompt", "prompt"), "the prompt is empty; write one or remove the row")
        harm = self._text(row, "harm")
        if harm not in ("", *HARMS):
            raise row.error(self.columns["harm"], f"{harm!r} is not {', '.join(HARMS)} or empty; leave the column out")
        return Prompt(
            given or prompt_id(text, messages[:-1]),
            text,
            joined_categories([self._text(row, "category")]) or UNCATEGORISED,
            self._text(row, "source"),
            messages if len(messages) > 1 else (),
            harm,
            self._text(row, "language"),
            self._text(row, "intent"),
        )

    def _labels(self, row: UserRow, position: int) -> dict[str, LoggedLabel]:
        """The labels of one response; a judge whose label is empty did not label it."""
        labels = {}
        for judge, at in self.chosen.judges.items():
            if (column := at.label[position]) in row.values:
                labels[judge] = self._label(row, column, at)
        if "label" in self.columns:
            judge = self._text(row, "judge") or ONE_JUDGE
            own = JudgeColumns([], self.columns.get("confidence"), self.columns.get("reasoning"))
            labels[judge] = self._label(row, self.columns["label"], own)
        self.unlabelled.update(judge for judge, label in labels.items() if label is None)
        return {judge: label for judge, label in labels.items() if label is not None}

    def _is_labelled(self, row: UserRow, position: int) -> bool:
        return any(cell_text(row, at.label[position]).strip() for at in self.chosen.judges.values())

    @staticmethod
    def _label(row: UserRow, column: str, at: JudgeColumns) -> LoggedLabel | None:
        label, reasoning = cell_text(row, column).strip(), cell_text(row, at.reasoning) if at.reasoning else ""
        confidence = None if at.confidence is None else as_number(row, at.confidence)
        if confidence is not None and not 0 <= confidence <= 1:
            raise row.error(str(at.confidence), f"{confidence!r} is no confidence; a number from 0 to 1 is expected")
        if not label:
            return None
        if (confidence or 0.0) < at.at_least:
            return LoggedLabel("", reasoning, f"confidence under {at.at_least:g}")
        return LoggedLabel(label, reasoning, "", confidence)

    def _text(self, row: UserRow, name: str) -> str:
        """A cell's text; the constant where there is no such column, or an empty cell."""
        text = cell_text(row, self.columns[name]).strip() if name in self.columns else ""
        return text or str(self.chosen.constants.get(name, ""))

    def _number(self, row: UserRow, name: str) -> float | None:
        number = as_number(row, self.columns[name]) if name in self.columns else None
        if number is not None:
            return number
        return float(self.chosen.constants[name]) if name in self.chosen.constants else None


def _numbered_columns(found: Mapping[str, Any]) -> list[str]:
    """The columns that a number tells apart, such as answer_1 and answer_2; empty where fewer than two are."""
    stems = {column: NUMBERED.fullmatch(str(column)) for column in found}
    counts = Counter(match[1] for match in stems.values() if match)
    return [str(column) for column, match in stems.items() if match and counts[match[1]] > 1]
