"""Where every file lies, atomic writes, and JSON. A write that fails leaves what stood there before."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from refusal_stability.records import Condition, StudyError

PARAMS_IN_FULL = Path("data/params")
PROMPTS = Path("data/prompts/prompts.csv")
GENERATIONS = Path("data/generations")
LABELS = Path("data/labels")
METRICS = Path("data/metrics")
SAMPLED = Path("data/sampled")
STORE = Path("data/store/completions.sqlite")
DOWNLOADS = Path("data/store/downloads")
REFERENCE_MODELS = Path("models/reference")
UNPACKED_MODELS = Path("models/unpacked")
FIGURES = Path("reports/figures")
TABLES = Path("reports/tables")
REPORT = Path("reports/report.html")
JUDGE_REPORT = Path("reports/judges")
PEOPLE = Path("data/people")
REVIEW_SAMPLE = PEOPLE / "sample.csv"
PEOPLE_LABELS = PEOPLE / "labels.csv"
REVIEW_FORMS = PEOPLE / "forms"
REVIEW_GUIDE = PEOPLE / "README.md"
TRACKED = Path("reports/mlflow.json")
VALIDATION = Path("reports/validation.md")
SUMMARY = METRICS / "summary.json"
IMPORTED = Path("data/raw")
STUDIES = Path("studies")
REPORTS = Path("reports")
EXPORTS = Path("reports/export")
BASELINES = Path("data/baselines")
HISTORY = Path("reports/history")
SERVED = Path("served.json")
PARQUET = ".parquet"


class ArtifactError(StudyError):
    """A file that breaks its contract: names the file, the row or column, and the remedy."""


def generation_file(condition: Condition) -> Path:
    """Where one configuration's responses lie, in the form that they were written in."""
    return form_there(generation_place(condition, ".csv"), "run the stage `generate` of this model again, or ")


def generation_place(condition: Condition, suffix: str) -> Path:
    """Where one configuration's responses are written as a CSV or Parquet file."""
    return GENERATIONS / condition.model / f"{condition.stem}_generations{suffix}"


def form_there(csv: Path, remedy: str = "") -> Path:
    """The file that holds a table: `csv`, or a Parquet file of the same name, which is how large ones are written.

    Both at once are an error. It says to delete the old one, after a better `remedy` where there is one.
    """
    large = csv.with_suffix(PARQUET)
    if not large.exists():
        return csv
    if csv.exists():
        raise ArtifactError(f"{csv}: {large.name} is there too, and one of them is old; {remedy}delete the old one")
    return large


def label_file(condition: Condition) -> Path:
    """Where one configuration's labels lie."""
    return LABELS / condition.model / f"{condition.stem}_labels.csv"


def thinking_label_file(condition: Condition) -> Path:
    """Where the labels of one configuration's thinking lie, in a study that judges it (`judging.thinking`)."""
    return LABELS / condition.model / f"{condition.stem}_thinking_labels.csv"


def replication_page(name: str) -> Path:
    """Where a replication's comparison with the published figures lies, for people."""
    return REPORTS / f"{name}.md"


def replication_tables(name: str) -> Path:
    """Where a replication's tables lie."""
    return REPORTS / name


PART = ".part"
METRICS_README = METRICS / "README.md"


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place only when all was written.

    A failed write (a full disk, a kill) leaves whatever stood at `path` before, and no temporary file where that can
    be helped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "b" not in mode
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".{os.getpid()}{PART}", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ArtifactError(
            f"{path}: could not be written ({error.strerror or error}); free some space or check the folder's "
            "permissions, then run the same command again"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. An OSError is the caller's to explain."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(value: Any, path: Path) -> None:
    """Write JSON for people: indented, keys in the given order, no NaN."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a broken one names itself."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file; run the stage that writes it (`dvc repro`)") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not readable as JSON: {json_fault(error)}") from error


def json_fault(error: ValueError | RecursionError) -> str:
    """Why a text is not readable as JSON, in words that speak of the text and not of Python."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    reason = " ".join(str(error).split())[:200]
    return "a number of thousands of digits" if "int_max_str_digits" in reason else reason


def write_files(folder: Path, names: Sequence[str], write: Callable[[Path], None]) -> None:
    """Write each named file of a folder through `write`, then remove what else lies there (files of an older study)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(folder / name)
    for stray in folder.iterdir():
        if stray.name not in names and stray.name != ".gitignore" and not _is_being_written(stray) and stray.is_file():
            stray.unlink(missing_ok=True)


def _is_being_written(file: Path) -> bool:
    """Whether a file is another living process's temporary one; what a killed process left is not."""
    writer = file.name.removesuffix(PART).rpartition(".")[2]
    if not file.name.endswith(PART) or not writer.isdecimal() or int(writer) == os.getpid():
        return False
    return is_alive(int(writer))


def is_alive(process: int) -> bool:
    """Whether a process of this number runs on this machine; a suspended one does."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_pages(folder: Path, pages: Mapping[str, str | bytes]) -> None:
    """Write texts and pictures by their file names into a folder, then remove what else lies there."""

    def write(path: Path) -> None:
        page = pages[path.name]
        with atomic_write(path, "w" if isinstance(page, str) else "wb") as file:
            file.write(page)

    write_files(folder, list(pages), write)
