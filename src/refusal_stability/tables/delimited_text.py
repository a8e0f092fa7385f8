"""CSV and TSV text as numbered rows, with quotation marks inside a field read as they are written."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator

from refusal_stability.files import ArtifactError

# A field whose quotation marks are as the format wants them, up to the delimiter or the end of the line.
QUOTED = r'"([^"]*(?:""[^"]*)*)"(?=[{delimiter}\r\n]|\Z)'
# A text of its own that begins and ends with a quoted word: `"yes" or "no"`.
PAIRED_WORDS = re.compile(r'"[^"]*[^"\s]"(?!\w)[^"]+(?:"[^"]*"[^"]+)*"[^"]+"$')
LINE_END = re.compile(r"\r\n|\r|\n")


def numbered_rows(text: str, delimiter: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number that a spreadsheet shows: blank lines count, and row 1 is the header.

    A text that keeps to the format is read by Python's `csv`. Any other text is read anew, field by field: a bare
    quotation mark is then part of its field.
    """
    csv.field_size_limit(sys.maxsize)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        rows = list(_leniently(text, delimiter, file))
    return ((number, row) for number, row in enumerate(rows, start=1) if row)


def _leniently(text: str, delimiter: str, file: str) -> Iterator[list[str]]:
    """Rows of a text with bare quotation marks; an unclosed one is an error that names its row."""
    quoted = re.compile(QUOTED.format(delimiter=delimiter))
    bare = re.compile(rf"[^{delimiter}\r\n]*")
    row: list[str] = []
    number, position = 1, 0
    while position < len(text):
        if match := quoted.match(text, position):
            row.append(match[1].replace('""', '"'))
        else:
            match = bare.match(text, position)
            assert match is not None
            row.append(_as_written(match[0], f"{file}: row {number}"))
        position = match.end()
        if text.startswith(delimiter, position):
            position += 1
            if position == len(text):
                row.append("")
            continue
        yield [] if row == [""] and not match[0] else row
        row = []
        number += 1
        end = LINE_END.match(text, position)
        position = end.end() if end else len(text)
    if row:
        yield row


def _as_written(field: str, place: str) -> str:
    if not field.startswith('"'):
        return field
    if len(field) > 1 and field.endswith('"') and not PAIRED_WORDS.match(field):
        return field[1:-1].replace('""', '"')
    if field.count('"') == 1:
        raise ArtifactError(
            f'{place}: a quotation mark is not closed; close it, or write a " that belongs to the text as ""'
        )
    return field
