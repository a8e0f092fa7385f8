"""The published data arrive from a folder or from git, whole, and only what changed is written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from refusal_stability.exchange.table_map import JudgeColumns, TableMap
from refusal_stability.replication.fetch import SOURCE, fetch_data, from_folder, from_git
from refusal_stability.replication.source import PublishedDataError, Replication, SourceFile

PROMPTS = "data/processed/prompts.csv"
GENERATIONS = "data/results/generations/A_temp0.0_seed42.csv"
LABELS = "data/results/labels/A_temp0.0_seed42_labels.csv"


def entry(url: str = "", commit: str = "") -> Replication:
    """A study in the layout of the first published one, at this address."""
    files = [PROMPTS, "data/results/generations/*.csv", "data/results/labels/*.csv"]
    source = SourceFile("title", "question", "citation", "MIT", url, commit, "data/published", files, [PROMPTS])
    return Replication("published", source)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder laid out like the study's repository, with files that are no part of its data."""
    folder = tmp_path / "source"
    for name in (PROMPTS, GENERATIONS, LABELS, "scripts/01_run.py", "data/results/generations/notes.txt", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"contents of {name}\n")
    return folder


def in_repository(folder: Path, *arguments: str) -> str:
    """What git says in a folder, whoever runs the test."""
    who = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who |= {f"GIT_{role}_{part}": "tester@x" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | who, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(source: Path) -> tuple[str, str]:
    """The same as a git repository with a later commit that changed the data; (address, first commit, abbreviated)."""

    in_repository(source, "init", "--quiet")
    in_repository(source, "config", "uploadpack.allowFilter", "true")
    in_repository(source, "add", ".")
    in_repository(source, "commit", "--quiet", "-m", "as published")
    commit = in_repository(source, "rev-parse", "--short=7", "HEAD")
    (source / LABELS).write_text("edited afterwards\n")
    in_repository(source, "commit", "--quiet", "-a", "-m", "edit")
    return f"file://{source}", commit


def held(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): f.read_text() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_folder_gives_its_data_and_nothing_else(source: Path, tmp_path: Path) -> None:
    assert from_folder(entry(), source, tmp_path / "target") == 3
    assert held(tmp_path / "target") == {n: f"contents of {n}\n" for n in (PROMPTS, GENERATIONS, LABELS)}


def test_copying_again_touches_only_what_changed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    from_folder(entry(), source, target)
    before = {name: (target / name).stat().st_mtime_ns for name in (PROMPTS, GENERATIONS, LABELS)}
    (source / LABELS).write_text("another text\n")
    from_folder(entry(), source, target)
    after = {name: (target / name).stat().st_mtime_ns for name in before}
    assert [name for name in before if before[name] != after[name]] == [LABELS]
    assert (target / LABELS).read_text() == "another text\n"


def test_what_the_folder_no_longer_holds_is_removed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    from_folder(entry(), source, target)
    (source / GENERATIONS).unlink()
    assert from_folder(entry(), source, target) == 2
    assert set(held(target)) == {PROMPTS, LABELS}


def test_a_folder_that_is_no_study_is_refused_before_anything_is_removed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    from_folder(entry(), source, target)
    with pytest.raises(PublishedDataError, match=r"holds no published study.*give a clone"):
        from_folder(entry(), tmp_path / "nowhere", target)
    assert len(held(target)) == 3


def test_git_gives_the_data_of_the_abbreviated_commit_and_not_of_the_newest(
    repository: tuple[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "target"
    assert from_git(entry(*repository), target) == 3
    files = held(target)
    assert set(files) == {PROMPTS, GENERATIONS, LABELS, SOURCE}
    assert files[LABELS] == f"contents of {LABELS}\n"
    assert repository[1] in files[SOURCE]


def test_a_relative_folder_is_one_of_the_working_directory(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert from_git(entry(*repository), Path("data/published")) == 3
    assert set(held(tmp_path / "project")) == {f"data/published/{n}" for n in (PROMPTS, GENERATIONS, LABELS, SOURCE)}


def test_a_second_fetch_needs_no_repository(repository: tuple[str, str], source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    from_git(entry(*repository), target)
    source.rename(tmp_path / "gone")
    assert from_git(entry(*repository), target) == 3


def test_a_fetch_after_a_folder_replaces_what_the_folder_gave(
    repository: tuple[str, str], source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    from_git(entry(*repository), target)
    from_folder(entry(), source, target)  # the working tree: the edited labels
    assert (target / LABELS).read_text() == "edited afterwards\n"
    from_git(entry(*repository), target)
    assert (target / LABELS).read_text() == f"contents of {LABELS}\n"


def test_a_repository_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PublishedDataError, match=r"git clone failed: .*PUBLISHED=path"):
        from_git(entry(f"file://{tmp_path}/nowhere", "68728ac"), tmp_path / "target")
    assert not list((tmp_path / "target").iterdir())


def test_an_unknown_commit_says_so_and_leaves_nothing(repository: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(PublishedDataError, match="git rev-parse failed"):
        from_git(entry(repository[0], "0123456789"), tmp_path / "target")
    assert not list((tmp_path / "target").iterdir())


def test_a_missing_git_names_the_other_way(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PublishedDataError, match=r"git is not installed.*PUBLISHED=path"):
        from_git(entry(*repository), tmp_path / "target")


def test_links_that_lead_out_of_the_folder_are_not_followed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "private.csv").write_text("of this machine")
    generations = source / Path(GENERATIONS).parent
    (generations / "B_temp0.0_seed42.csv").symlink_to(tmp_path / "private.csv")
    (generations / "zero.csv").symlink_to("/dev/zero")
    (generations / "C_temp0.0_seed42.csv").symlink_to("A_temp0.0_seed42.csv")
    from_folder(entry(), source, tmp_path / "target")
    copied = sorted(file.name for file in (tmp_path / "target" / Path(GENERATIONS).parent).iterdir())
    assert copied == ["A_temp0.0_seed42.csv", "C_temp0.0_seed42.csv"]


def test_a_table_of_labels_comes_from_git_at_its_commit_and_is_written_as_recorded_labels(
    repository: tuple[str, str], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    rows = [f"q{k},m,{trial},{label}\n" for k in range(3) for trial, label in enumerate(("refused", "helped"))]
    (source / "labels.csv").write_text("".join(["prompt_id,model,trial,verdict\n", *rows]))
    in_repository(source, "add", ".")
    in_repository(source, "commit", "--quiet", "-m", "labels")
    commit = in_repository(source, "rev-parse", "HEAD")
    (source / "labels.csv").write_text("prompt_id,model,trial,verdict\nq9,m,0,helped\n")
    in_repository(source, "commit", "--quiet", "-a", "-m", "edit")
    table = TableMap(
        columns={"repeat": "trial"}, constants={"temperature": 0.7}, judges={"people": JudgeColumns(["verdict"])}
    )
    about = ("title", "question", "citation", "MIT", repository[0], commit, "data/published/labels", ["labels.csv"])
    assert fetch_data(Replication("labels", SourceFile(*about, ["labels.csv"], table=table)), None, print) == 1
    labels = {
        name: text for name, text in held(Path("data/published/labels/data")).items() if name.endswith("_labels.csv")
    }
    assert [text.count("refused") + 2 * text.count("helped") for _, text in sorted(labels.items())] == [3, 6]
    assert "q9" not in "".join(labels.values())
