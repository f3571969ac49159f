"""OUT is what it was, or the whole new run."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlserve_cli.errors import IOFailed, OutputError, OutputExists
from mlserve_cli.storage import (
    Staging,
    Standing,
    check_creatable,
    commit_files,
    commit_folder,
    locate,
    publish,
    recover,
    staging_of,
    standing_at,
)

PLAN_ID = "0123456789abcdef" * 4


def test_a_run_comes_to_stand_and_its_staging_goes(tmp_path: Path) -> None:
    commit_folder(finished_staging(tmp_path / "out", b"new"), tmp_path / "out", overwrite=False)

    assert tree(tmp_path) == {"out/manifest.json": b"new", "out/data/part-00000-00000.parquet": b"new"}
    assert standing_at(tmp_path / "out", is_file=False) is Standing.RUN


def test_an_empty_folder_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert standing_at(tmp_path / "out", is_file=False) is Standing.NOTHING

    commit_folder(finished_staging(tmp_path / "out", b"new"), tmp_path / "out", overwrite=False)

    assert (tmp_path / "out" / "manifest.json").read_bytes() == b"new"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["notes", "file", "run and notes", "notes among the parts", "link among the parts"])
def test_what_is_not_only_a_finished_run_is_never_touched(tmp_path: Path, kind: str, overwrite: bool) -> None:
    out = tmp_path / "out"
    put_there(out, kind)
    before = tree(tmp_path)
    staging = finished_staging(out, b"new")
    assert standing_at(out, is_file=False) is Standing.OTHER

    with pytest.raises(OutputExists) as caught:
        commit_folder(staging, out, overwrite=overwrite)

    assert caught.value.exit_code == 73
    assert staging.manifest.read_bytes() == b"new"
    staging.discard()
    assert tree(tmp_path) == before


def test_a_finished_run_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    commit_folder(finished_staging(out, b"old"), out, overwrite=False)
    staging = finished_staging(out, b"new")

    with pytest.raises(OutputExists):
        commit_folder(staging, out, overwrite=False)
    assert (out / "manifest.json").read_bytes() == b"old"

    commit_folder(staging, out, overwrite=True)
    assert tree(tmp_path) == {"out/manifest.json": b"new", "out/data/part-00000-00000.parquet": b"new"}


def test_overwrite_where_nothing_stands_is_a_plain_commit(tmp_path: Path) -> None:
    commit_folder(finished_staging(tmp_path / "out", b"new"), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "manifest.json").read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_run_is_as_readable_as_the_umask_lets_it_and_no_more(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        commit_folder(finished_staging(tmp_path / "out", b"new"), tmp_path / "out", overwrite=False)
    finally:
        os.umask(before)

    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask


def test_a_quarantine_with_rows_goes_along(tmp_path: Path) -> None:
    staging = finished_staging(tmp_path / "out", b"new")
    publish(staging.quarantine / "part-00000-00000.parquet", lambda file: file.write(b"bad"))

    commit_folder(staging, tmp_path / "out", overwrite=False)

    assert (tmp_path / "out" / "quarantine" / "part-00000-00000.parquet").read_bytes() == b"bad"
    assert standing_at(tmp_path / "out", is_file=False) is Standing.RUN


def test_what_a_killed_worker_left_half_written_does_not_go_along(tmp_path: Path) -> None:
    staging = finished_staging(tmp_path / "out", b"new")
    (staging.data / ".part-00001-00000.parquet.123-aabbccdd.draft").write_bytes(b"half")

    commit_folder(staging, tmp_path / "out", overwrite=False)

    assert tree(tmp_path) == {"out/manifest.json": b"new", "out/data/part-00000-00000.parquet": b"new"}


@pytest.mark.parametrize("way", ["taken up", "discarded"])
def test_an_old_run_caught_between_two_renames_is_put_back(tmp_path: Path, way: str) -> None:
    out = tmp_path / "out"
    commit_folder(finished_staging(out, b"old"), out, overwrite=False)
    staging = finished_staging(out, b"new")
    os.rename(out, staging.root / "old")

    if way == "discarded":
        staging.discard()
    else:
        recover(staging, out)
        assert staging.manifest.read_bytes() == b"new"

    assert (out / "manifest.json").read_bytes() == b"old"


@pytest.mark.parametrize("signal_number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_signals_at_any_moment_of_the_commit_find_it_whole_or_not_begun(tmp_path: Path, signal_number: int) -> None:
    """Another process commits over an old run, again and again, while signals rain on it."""
    script = f"""
import signal, sys
from pathlib import Path
from mlserve_cli.errors import Interrupted
from mlserve_cli.storage import commit_folder
from tests.storage.test_commit import finished_staging, tree
def end(number, frame):  # the first ends the run; those that rain on while it is being ended are part of the same wish
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    raise Interrupted(number)
signal.signal({signal_number}, end)
folder, out, count, ended = Path(sys.argv[1]), Path(sys.argv[1]) / "out", 0, 0
def whole():
    files = tree(out)
    return len(files) == 21 and len(set(files.values())) == 1
signal.pthread_sigmask(signal.SIG_BLOCK, [{signal_number}])
commit_folder(finished_staging(out, b"first", parts=20), out, overwrite=False)
print("ready", flush=True)
while ended < 15:
    count += 1
    staging = finished_staging(out, b"%d" % count, parts=20)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [{signal_number}])
        commit_folder(staging, out, overwrite=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, [{signal_number}])
    except Interrupted:
        ended += 1
        new = (out / "manifest.json").read_bytes() == b"%d" % count
        assert new or staging.manifest.exists(), "neither old nor new"
        assert not (new and staging.exists()), "staging left behind"
        staging.discard()
    assert whole(), tree(out)
print("whole", flush=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while process.poll() is None:
            process.send_signal(signal_number)
            time.sleep(0.0007)
        said, error = process.communicate()
    assert (said, error) == ("whole\n", "")


def test_single_files_come_to_stand_with_the_manifest_last(tmp_path: Path) -> None:
    staged = finished_files(tmp_path, b"new")

    commit_files(staged, overwrite=False)

    assert (tmp_path / "out.parquet").read_bytes() == b"new"
    assert (tmp_path / "out.parquet.manifest.json").read_bytes() == b"new"
    assert standing_at(tmp_path / "out.parquet", is_file=True) is Standing.RUN


def test_a_commit_that_a_crash_cut_between_the_two_is_made_again(tmp_path: Path) -> None:
    staged = finished_files(tmp_path, b"new")
    os.link(*staged[0])

    commit_files(staged, overwrite=False)

    assert (tmp_path / "out.parquet.manifest.json").read_bytes() == b"new"


def test_a_commit_of_the_same_content_again_is_taken_for_its_own(tmp_path: Path) -> None:
    commit_files(finished_files(tmp_path, b"new"), overwrite=False)
    for _, target in finished_files(tmp_path, b"new"):
        target.write_bytes(b"new")

    commit_files(finished_files(tmp_path, b"new"), overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_commit_of_files_that_fails_half_way_takes_back_what_it_did(tmp_path: Path, overwrite: bool) -> None:
    if overwrite:
        commit_files(finished_files(tmp_path, b"old"), overwrite=False)
    before = tree(tmp_path, hidden=False)
    staged = finished_files(tmp_path, b"new")
    staged[1][0].unlink()

    with pytest.raises((OutputError, IOFailed)):
        commit_files(staged, overwrite=overwrite)

    assert tree(tmp_path, hidden=False) == before


def test_single_files_are_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    commit_files(finished_files(tmp_path, b"old"), overwrite=False)
    staged = finished_files(tmp_path, b"new")

    with pytest.raises(OutputExists):
        commit_files(staged, overwrite=False)
    assert (tmp_path / "out.parquet").read_bytes() == b"old"

    commit_files(staged, overwrite=True)
    assert tree(tmp_path, hidden=False) == {"out.parquet": b"new", "out.parquet.manifest.json": b"new"}


def test_a_file_without_a_manifest_is_somebody_else_s(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_bytes(b"mine")
    assert standing_at(tmp_path / "out.parquet", is_file=True) is Standing.OTHER


def test_what_could_only_fail_at_the_commit_is_refused_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    check_creatable(tmp_path / "out", is_file=False)
    check_creatable(tmp_path / "folder", is_file=False)
    check_creatable(tmp_path / "file", is_file=True)
    refused = [
        (tmp_path / "missing" / "out", False),
        (tmp_path / "file" / "out", False),
        (tmp_path / "file", False),
        (tmp_path / "folder", True),
        (tmp_path / ("n" * 240), False),
        (Path("/"), False),
    ]
    for out, is_file in refused:
        with pytest.raises(OutputError) as caught:
            check_creatable(out, is_file=is_file)
        assert caught.value.exit_code == 73
        assert caught.value.hint


def test_one_output_has_one_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert locate(f"{tmp_path}/link/out/") == tmp_path / "real" / "out"
    assert locate(f"{tmp_path}/real/../link") == tmp_path / "real"
    with pytest.raises(OutputError):
        locate("")


def finished_staging(out: Path, content: bytes, *, parts: int = 1) -> Staging:
    staging = staging_of(out, PLAN_ID)
    staging.prepare(b"the plan")
    for number in range(parts):
        publish(staging.data / f"part-{number:05d}-00000.parquet", lambda file: file.write(content))
        publish(staging.record(number), lambda file: file.write(b"{}"))
    publish(staging.manifest, lambda file: file.write(content))
    return staging


def finished_files(folder: Path, content: bytes) -> list[tuple[Path, Path]]:
    staged = folder / ".staging"
    staged.mkdir(exist_ok=True)
    pairs = [(staged / name, folder / name) for name in ("out.parquet", "out.parquet.manifest.json")]
    for source, _ in pairs:
        source.unlink(missing_ok=True)
        source.write_bytes(content)
    return pairs


def put_there(out: Path, kind: str) -> None:
    if kind == "file":
        out.write_bytes(b"mine")
        return
    (out / "data").mkdir(parents=True)
    (out / "data" / "part-00000-00000.parquet").write_bytes(b"old")
    if kind != "notes":
        (out / "manifest.json").write_bytes(b"old")
    if kind == "link among the parts":
        (out / "data" / "part-00001-00000.parquet").symlink_to("part-00000-00000.parquet")
    elif kind == "notes among the parts":
        (out / "data" / "notes.txt").write_bytes(b"mine")
    else:
        (out / "notes.txt").write_bytes(b"mine")


def tree(folder: Path, *, hidden: bool = True) -> dict[str, bytes]:
    paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    if not hidden:
        paths = {name: path for name, path in paths.items() if not name.parts[0].startswith(".")}
    if folder.is_file():
        return {"": folder.read_bytes()}
    return {str(name): path.read_bytes() for name, path in paths.items()}
