"""Which runs stand below a folder, and in what order they are taken."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mlserve_cli.contract import encode_sealed
from mlserve_cli.errors import InputMissing, MlserveError, RunMismatch
from mlserve_cli.manifest import find_runs, manifest_path_of
from tests.manifest.example import MANIFEST


def put(manifest: Path, *, started_at: str) -> Path:
    """A manifest of a run that started then, where a run would have it."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    ran = msgspec.structs.replace(MANIFEST.run, started_at=started_at)
    manifest.write_bytes(encode_sealed(msgspec.structs.replace(MANIFEST, run=ran)))
    return manifest


def test_runs_below_a_folder_are_taken_in_the_order_in_which_they_started(tmp_path: Path) -> None:
    put(tmp_path / "b" / "manifest.json", started_at="2026-11-02T00:00:00.000Z")
    put(tmp_path / "deep" / "er" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    put(tmp_path / "a.csv.manifest.json", started_at="2026-11-03T00:00:00.000Z")
    found = find_runs(tmp_path)
    assert [run.path for run in found] == [tmp_path / "deep" / "er", tmp_path / "b", tmp_path / "a.csv"]
    assert all(run.manifest.plan == MANIFEST.plan for run in found)


def test_runs_of_one_moment_are_taken_by_their_paths(tmp_path: Path) -> None:
    for name in ("2", "10", "1"):
        put(tmp_path / name / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    assert [run.path.name for run in find_runs(tmp_path)] == ["1", "10", "2"]


@pytest.mark.parametrize("named", ["run", "run/manifest.json", "one.csv", "one.csv.manifest.json"])
def test_a_run_is_found_by_its_output_and_by_its_manifest(tmp_path: Path, named: str) -> None:
    put(tmp_path / "run" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    put(tmp_path / "one.csv.manifest.json", started_at="2026-11-01T00:00:00.000Z")
    (tmp_path / "one.csv").write_text("")
    (found,) = find_runs(tmp_path / named)
    assert found.manifest_path == manifest_path_of(tmp_path / named)
    assert found.path == tmp_path / named.split("/")[0].removesuffix(".manifest.json")


def test_a_run_is_counted_once_however_it_is_reached(tmp_path: Path) -> None:
    put(tmp_path / "runs" / "1" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    (tmp_path / "runs" / "latest").symlink_to("1")
    assert len(find_runs(tmp_path, tmp_path / "runs", tmp_path / "runs" / "1")) == 1


def test_staging_and_what_lies_inside_of_a_run_are_no_runs(tmp_path: Path) -> None:
    put(tmp_path / ".x.mlserve-1" / "run" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    put(tmp_path / "_old" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    put(tmp_path / "1" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    put(tmp_path / "1" / "data" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    assert [run.path.name for run in find_runs(tmp_path)] == ["1"]


def test_a_damaged_manifest_is_an_error_or_is_named_beside_the_rest(tmp_path: Path) -> None:
    put(tmp_path / "1" / "manifest.json", started_at="2026-11-01T00:00:00.000Z")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "manifest.json").write_text('{"nodes": {}}')
    with pytest.raises(RunMismatch):
        find_runs(tmp_path)
    skipped: list[MlserveError] = []
    assert [run.path.name for run in find_runs(tmp_path, skipped=skipped)] == ["1"]
    assert [Path(error.where).parent.name for error in skipped] == ["2"]


@pytest.mark.parametrize("named", ["", "empty", "nothing"])
def test_where_no_run_stands_is_an_error(tmp_path: Path, named: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match=r"no finished run|no run at"):
        find_runs(tmp_path / named)
