"""The script that compares two studies' numbers sees every change of a value and no change of words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import same_numbers

FILES = {
    "data/metrics/aggregate.csv": "model,mean_ssi\none,0.912345678901\ntwo,\n",
    "data/labels/one/one_labels.csv": 'prompt_id,label,reasoning\np,REFUSE,"two\nlines"\n',
    "data/metrics/summary.json": '{"models": {"one": {"mean_ssi": 0.9123}}, "study": "x"}',
    "reports/tables/numbers.tex": "\\newcommand{\\rsOneMeanSsi}{0.912} % one / mean ssi\n",
    "reports/tables/models.tex": "\\midrule\none & 0.912 [0.900, 0.924] \\\\\n\\bottomrule\n",
    "reports/report.md": (
        "Text 1.\n\n*Caption 7*\n\n| Model | SSI |\n|---|---:|\n| one | 0\\.912 \\[0\\.900, 0\\.924\\] |\n"
    ),
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same small study."""
    for name, text in FILES.items():
        path = tmp_path / "old" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    return tmp_path / "old", tmp_path / "new"


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def test_equal_folders_are_the_same_and_every_file_has_a_line(folders, capsys) -> None:
    assert same_numbers.main([*map(str, folders)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [f"{name}: same" for name in sorted(FILES)]
    assert lines[-1] == "6 files: 6 same, 0 different"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (
            "data/metrics/aggregate.csv",
            "model,mean_ssi\none,0.912345678901\ntwo,",
            "n,model,mean_ssi\n1,one,0.912345678901\n2,two,",
        ),
        ("data/metrics/summary.json", '"study"', '"new": 1, "study"'),
        ("reports/tables/numbers.tex", "\\newcommand", "\\newcommand{\\rsNew}{5} % new\n\\newcommand"),
        ("reports/tables/models.tex", "[0.900, 0.924]", "[0.900, 0.924] & 12"),
        ("reports/report.md", "Caption 7", "Another caption"),
        ("reports/report.md", "| one |", "| The first model |"),
    ],
)
def test_added_columns_and_other_words_are_fine(folders, name: str, old: str, new: str) -> None:
    edit(folders[1], name, old, new)
    assert same_numbers.main([*map(str, folders)]) == 0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/metrics/aggregate.csv", "0.912345678901", "0.912345678902"),
        ("data/metrics/aggregate.csv", "two,", "two,1"),
        ("data/metrics/aggregate.csv", "two,\n", ""),
        ("data/metrics/aggregate.csv", "mean_ssi", "ssi"),
        ("data/labels/one/one_labels.csv", "two\nlines", "two\nother lines"),
        ("data/metrics/summary.json", "0.9123", "0.9124"),
        ("reports/tables/numbers.tex", "{0.912}", "{0.913}"),
        ("reports/tables/models.tex", "0.924", "0.925"),
        ("reports/report.md", "\\[0\\.900", "\\[0\\.901"),
    ],
)
def test_another_value_is_a_difference(folders, capsys, name: str, old: str, new: str) -> None:
    edit(folders[1], name, old, new)
    assert same_numbers.main([*map(str, folders)]) == 1
    assert f"{name}: DIFFERS" in capsys.readouterr().out


def test_a_file_that_is_gone_is_a_difference_and_a_renamed_column_is_none(folders) -> None:
    edit(folders[1], "data/metrics/aggregate.csv", "mean_ssi", "ssi_mean")
    assert same_numbers.main([*map(str, folders), "--rename", "mean_ssi=ssi_mean"]) == 0
    (folders[1] / "reports/report.md").unlink()
    assert same_numbers.main([*map(str, folders), "--rename", "mean_ssi=ssi_mean"]) == 1


def test_a_difference_below_the_one_allowed_is_none(folders) -> None:
    edit(folders[1], "data/metrics/aggregate.csv", "0.912345678901", "0.912345678902")
    assert same_numbers.main([*map(str, folders), "--close", "1e-11"]) == 0
    assert same_numbers.main([*map(str, folders), "--close", "1e-13"]) == 1
