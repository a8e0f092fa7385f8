"""Review forms: a CSV file for each reviewer, written once and read back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from pathlib import Path
from threading import Lock

import pandas as pd

from refusal_stability.files import ArtifactError, atomic_write
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.judges import NO_JUDGE_NAMES
from refusal_stability.records import content_hash
from refusal_stability.tables.delimited_text import numbered_rows
from refusal_stability.tables.spreadsheets import csv_text

COLUMNS = ["item_id", "prompt", "response", "label", "note"]
REVIEWER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
BYTE_ORDER_MARK = "\ufeff"
WRITING = Lock()


def check_reviewer(name: str, judges: Collection[str] = ()) -> None:
    """Raise unless a reviewer's name can be a file and column name, and is not a judge's name."""
    if name in judges:
        raise JudgingError(f"reviewer {name!r} has the name of a judge of the study; choose another name")
    if not REVIEWER.fullmatch(name) or name in NO_JUDGE_NAMES:
        raise JudgingError(
            f"reviewer {name!r} is not allowed; allowed: up to 40 lower-case letters, digits, - and _, other than "
            f"{', '.join(NO_JUDGE_NAMES)}"
        )


def form_of(sample: pd.DataFrame, reviewer: str) -> pd.DataFrame:
    """The sample as one reviewer sees it: in an order of their own, without strata, weights, models or decisions."""
    order = sample["item_id"].map(lambda item: content_hash([reviewer, item]))
    return sample.assign(order=order, label="", note="").sort_values("order")[COLUMNS].reset_index(drop=True)


def check_unwritten(path: Path) -> None:
    """Raise where a form already exists."""
    if path.exists():
        raise JudgingError(f"{path}: already exists and may hold labels; import it, or move it away")


def write_form(form: pd.DataFrame, path: Path) -> None:
    """Write a form that spreadsheets open as text.

    Raises
    ------
    JudgingError
        Where the file exists: it may hold labels.
    """
    check_unwritten(path)
    with atomic_write(path) as file:
        # With this mark, spreadsheets read the file as UTF-8.
        file.write(BYTE_ORDER_MARK + csv_text(form))


def read_form(path: Path, reviewer: str, items: Collection[str] | None = None) -> pd.DataFrame:
    """The labels of a filled form as `PEOPLE_TABLE`; rows without a label are left out.

    Parameters
    ----------
    path : the form, with commas, semicolons or tabs between its columns.
    reviewer : whose form it is.
    items : the sample's item ids. Every row must have one of them, labelled or not.

    Raises
    ------
    JudgingError
        Where the file is absent, is not a form, or has a row of another sample.
    """
    found = read_cells(path, ("item_id", "label"))
    ids = found["item_id"].str.strip()
    if items is not None and not (known := ids.isin(list(items))).all():
        row = int(known.idxmin())
        raise JudgingError(
            f"{path}: row {row + 2}: item_id {ids[row][:40]!r} is not in the review sample; use the form of this "
            "sample, and do not change its ids or rows"
        )
    note = found["note"] if "note" in found.columns else ""
    rows = pd.DataFrame({"item_id": ids, "reviewer": reviewer, "label": found["label"]})
    rows = rows.assign(note=note)
    return rows[rows["label"].str.strip() != ""].reset_index(drop=True)


def read_cells(path: Path, needed: Collection[str] = COLUMNS) -> pd.DataFrame:
    """A form's cells as they stand, labelled or not, without rows of empty cells, which spreadsheets may append.

    Raises
    ------
    JudgingError
        Where the file is absent, is not a form, or lacks a column that is needed.
    """
    if not path.is_file():
        raise JudgingError(f"{path}: no such form; write one with `refusal-stability review export`")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JudgingError(
            f"{path}: not UTF-8 text (byte {error.start}: {error.reason}); save it again as 'CSV UTF-8'"
        ) from error
    found = _table(path, text)
    absent = [name for name in needed if name not in found.columns]
    if absent:
        raise JudgingError(f"{path}: no column {', '.join(absent)}; a form has {', '.join(COLUMNS)}")
    filled: pd.Series[bool] = found.apply(lambda column: column.str.strip() != "").any(axis=1)
    return found[filled]


def write_label(path: Path, item_id: str, label: str, shown: str) -> None:
    """Set one item's label in a form, or clear it with ""; every other cell stays as it is.

    Raises
    ------
    JudgingError
        Where the file is not a form, does not have the item exactly once, or has another label than was `shown`.
    """
    # Two pages of the explorer may label in one form.
    with WRITING:
        cells = read_cells(path)
        here = cells["item_id"].str.strip() == item_id
        if here.sum() != 1:
            raise JudgingError(
                f"{path}: {here.sum()} rows have the item_id {item_id[:40]!r}, and a label needs one; use the form as "
                "`refusal-stability review export` wrote it"
            )
        held = str(cells.loc[here, "label"].iloc[0]).strip().upper()
        if held != shown:
            raise JudgingError(
                f"{path}: this response has got {held[:40] or 'no label'} elsewhere in the meantime; look at it again"
            )
        cells.loc[here, "label"] = label
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([cells.columns, *cells.to_numpy()])
        with atomic_write(path) as file:
            file.write(BYTE_ORDER_MARK + text.getvalue())


def _table(path: Path, text: str) -> pd.DataFrame:
    """A form's cells, indexed so that row 2 of a spreadsheet is 0; a cell that a spreadsheet left out is empty."""
    heads = text.partition("\n")[0]
    try:
        rows = list(numbered_rows(text, max(",;\t", key=heads.count), str(path)))
    except ArtifactError as error:
        raise JudgingError(str(error)) from error
    if not rows:
        raise JudgingError(f"{path}: not readable as CSV: it is empty; a form has {', '.join(COLUMNS)}")
    (_, header), *rows = rows
    if repeated := sorted({name for name in header if name in COLUMNS and header.count(name) > 1}):
        raise JudgingError(f"{path}: two columns are named {repeated[0]}; keep the one that holds the form's cells")
    cells = []
    for number, row in rows:
        if any(row[len(header) :]):
            raise JudgingError(
                f"{path}: row {number}: {len(row)} values, but the header names {len(header)} columns; remove what the "
                "form did not have there"
            )
        cells.append([*row[: len(header)], *[""] * (len(header) - len(row))])
    return pd.DataFrame(cells, columns=header, index=[number - 2 for number, _ in rows], dtype=object)
