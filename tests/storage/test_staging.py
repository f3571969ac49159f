"""Where a run is built, and taken up again."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from mlserve_cli.errors import OutputError
from mlserve_cli.storage import publish, scratch, staging_of, stagings

PLAN_ID = "0123456789abcdef" * 4
OTHER_ID = "fedcba9876543210" * 4


def test_it_is_a_private_hidden_sibling_that_holds_the_plan(tmp_path: Path) -> None:
    staging = staging_of(tmp_path / "out", PLAN_ID)
    assert not staging.exists()

    staging.prepare(b"the plan")

    assert staging.root == tmp_path / ".out.mlserve-0123456789abcdef"
    assert stat.S_IMODE(staging.root.stat().st_mode) == 0o700
    assert staging.plan.read_bytes() == b"the plan"
    assert sorted(os.listdir(staging.payload)) == ["data", "quarantine"]
    assert staging.record(12) == staging.root / "records" / "task-00012.json"


def test_taking_it_up_keeps_what_stands_and_sweeps_drafts(tmp_path: Path) -> None:
    staging = staging_of(tmp_path / "out", PLAN_ID)
    staging.prepare(b"the plan")
    publish(staging.data / "part-00000-00000.parquet", lambda file: file.write(b"rows"))
    publish(staging.record(0), lambda file: file.write(b"{}"))
    for folder in (staging.root, staging.data, staging.quarantine, staging.records):
        (folder / ".left.123-aabbccdd.draft").write_bytes(b"half")

    staging.prepare(b"the plan")

    assert {path.name for path in staging.root.rglob("*") if path.is_file()} == {
        "plan.json",
        "part-00000-00000.parquet",
        "task-00000.json",
    }


def test_a_plan_that_was_damaged_is_mended(tmp_path: Path) -> None:
    staging = staging_of(tmp_path / "out", PLAN_ID)
    staging.prepare(b"the plan")
    staging.plan.write_bytes(b"the plaN")

    staging.prepare(b"the plan")

    assert staging.plan.read_bytes() == b"the plan"
    assert sorted(os.listdir(staging.root)) == ["plan.json", "records", "run"]


@pytest.mark.parametrize("name", ["out", "a*b[c]?", "with space\nand line", "-dash", "ünï"])
def test_only_the_stagings_of_this_output_are_found(tmp_path: Path, name: str) -> None:
    mine = [staging_of(tmp_path / name, plan_id) for plan_id in (PLAN_ID, OTHER_ID)]
    for staging in mine:
        staging.prepare(b"")
    staging_of(tmp_path / "aXbcY", PLAN_ID).prepare(b"")
    (tmp_path / f".{name}.mlserve-notes").mkdir()
    (tmp_path / f".{name}.mlserve.lock").touch()

    assert stagings(tmp_path / name) == tuple(mine)


@pytest.mark.parametrize("kind", ["link", "open to others", "file"])
def test_what_another_user_could_have_put_at_its_name_is_refused(tmp_path: Path, kind: str) -> None:
    staging = staging_of(tmp_path / "out", PLAN_ID)
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        staging.root.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        staging.root.touch()
    else:
        staging.root.mkdir()
        staging.root.chmod(0o777)

    with pytest.raises(OutputError, match="not this user's own"):
        staging.prepare(b"the plan")


def test_discarding_follows_no_link(tmp_path: Path) -> None:
    staging = staging_of(tmp_path / "out", PLAN_ID)
    staging.prepare(b"the plan")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"kept")
    (staging.data / "folder").symlink_to(tmp_path / "precious")
    (staging.data / "file").symlink_to(tmp_path / "precious" / "file")

    staging.discard()

    assert not staging.exists()
    assert (tmp_path / "precious" / "file").read_bytes() == b"kept"
    staging.discard()


def test_a_scratch_is_gone_at_the_end_whatever_happens() -> None:
    seen: list[Path] = []

    def run() -> None:
        with scratch(b"the plan") as staging:
            seen.append(staging.root)
            assert staging.plan.read_bytes() == b"the plan"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert seen[0].parent == Path(tempfile.gettempdir())
    assert not seen[0].exists()
