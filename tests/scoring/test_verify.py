"""verify finds what is not as it was committed: files, their rows, and the manifest itself, and names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli import Manifest, verify
from mlserve_cli.errors import InputMissing, MlserveError, RunMismatch
from mlserve_cli.manifest import OutputFile, read_manifest
from mlserve_cli.planning import Plan
from mlserve_cli.storage import record_of
from tests.scoring.runs import model_file, numbers, resealed, run, shard


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards, nine rows each, two of the first one's in quarantine."""
    folder = tmp_path_factory.mktemp("finished")
    model_file(folder)
    columns = numbers(9)
    shard(folder / "in" / "r.parquet", {**columns, "b": [None, *columns["b"][1:8], None]})
    shard(folder / "in" / "s.parquet", numbers(9, first=20))
    for name, options in (("out", {}), ("out.parquet", {}), ("csv", {"output_format": "csv"})):
        run(folder, on_error="quarantine", output=str(folder / name), **options)
    return folder


@pytest.fixture
def out(finished: Path, folder: Path) -> Path:
    return Path(shutil.copytree(finished / "out", folder / "out"))


def fails(out: Path, *words: str) -> None:
    with pytest.raises(RunMismatch) as refused:
        verify(str(out))
    assert refused.value.exit_code == 65
    for word in words:
        assert word in str(refused.value)


R, S = "data/part-00000-00000.parquet", "data/part-00001-00000.parquet"
ASIDE = "quarantine/part-00000-00000.parquet"


def test_a_run_as_it_was_committed_holds(finished: Path) -> None:
    for name in ("out", "out.parquet", "csv", "out/manifest.json", "out.parquet.manifest.json"):
        proved = verify(str(finished / name))
        assert proved.manifest.rows.rows_in == 18
        assert proved.files == len(proved.manifest.outputs)
        assert proved.size_bytes == sum(file.size_bytes for file in proved.manifest.outputs)


def test_a_run_that_is_not_there_is_66(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "lonely.parquet").write_bytes(b"PAR1")
    for name in ("nothing", "empty", "lonely.parquet", "empty/manifest.json", "lonely.parquet/manifest.json"):
        with pytest.raises(InputMissing):
            verify(str(folder / name))


# Files


@pytest.mark.parametrize("name", [R, S, ASIDE])
def test_a_missing_file_is_named(out: Path, name: str) -> None:
    (out / name).unlink()
    fails(out, "missing", name)


@pytest.mark.parametrize("name", ["data/part-00002-00000.parquet", "data/.hidden", "notes.txt", "quarantine/x"])
def test_a_file_too_many_is_named(out: Path, name: str) -> None:
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_bytes(b"")
    fails(out, "not part of it", name)


def test_a_folder_too_many_is_named(out: Path) -> None:
    (out / "data" / "older").mkdir()
    fails(out, "not part of it", "data/older")


def test_a_link_too_many_is_named(out: Path) -> None:
    (out / "elsewhere").symlink_to("/")
    fails(out, "not part of it", "elsewhere")


def test_swapped_parts_are_found_by_their_digests(out: Path) -> None:
    swap(out)
    fails(out, "sha256", R)


def test_each_flipped_bit_of_a_part_is_found(out: Path) -> None:
    content = (out / R).read_bytes()
    for place in range(0, len(content), max(len(content) // 200, 1)):
        (out / R).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        fails(out, R)


def test_a_part_that_was_cut_or_grew_is_found(out: Path) -> None:
    content = (out / R).read_bytes()
    for changed in (b"", content[:-1], content + b"\0"):
        (out / R).write_bytes(changed)
        fails(out, R)


# Rows, where whoever changed them sealed the manifest again


def swap(out: Path) -> None:
    first, second = (out / R).read_bytes(), (out / S).read_bytes()
    (out / R).write_bytes(second)
    (out / S).write_bytes(first)


def reseal(out: Path) -> Manifest:
    """Digests, sizes and row counts of the files as they are now."""

    def measured(file: OutputFile) -> OutputFile:
        record = record_of(out / file.path)
        return msgspec.structs.replace(file, size_bytes=record.size_bytes, sha256=record.sha256)

    manifest = read_manifest(out / "manifest.json")
    return resealed(out / "manifest.json", outputs=tuple(map(measured, manifest.outputs)))


def rewrite(path: Path, rows: Sequence[int], **columns: pa.Array) -> None:
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table.take(pa.array(rows, pa.int64())), path)


def test_swapped_parts_are_found_whatever_the_manifest_says(out: Path) -> None:
    swap(out)
    reseal(out)
    fails(out, "row")


ROWS: dict[str, tuple[Sequence[int], str]] = {
    "reordered": ([1, 0, 2, 3, 4, 5, 6, 7, 8], "row 1 of s.parquet stands where row 0"),
    "sorted the other way": (range(8, -1, -1), "row 8 of s.parquet stands where row 0"),
    "one twice": ([0, 0, 2, 3, 4, 5, 6, 7, 8], "row 0 of s.parquet stands where row 1"),
    "one dropped": ([0, 1, 2, 3, 4, 5, 6, 7], "1 rows of s.parquet are missing"),
    "one more": ([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], "that the plan does not know"),
    "none": ([], "9 rows of s.parquet are missing"),
}


@pytest.mark.parametrize("how", ROWS)
def test_a_part_whose_rows_are_not_the_plan_s_is_found(out: Path, how: str) -> None:
    rows, words = ROWS[how]
    rewrite(out / S, rows)
    reseal(out)
    fails(out, words, S)


def test_a_row_that_is_in_quarantine_and_in_the_data_is_found(out: Path) -> None:
    rewrite(out / R, [0, 0, 1, 2, 3, 4, 5, 6], source_row=pa.array([*range(7)], pa.int64()))
    rewrite(out / R, range(8), source_row=pa.array([0, 1, 2, 3, 4, 5, 6, 7], pa.int64()))
    manifest = reseal(out)
    grown = [msgspec.structs.replace(f, rows=8) if f.path == R else f for f in manifest.outputs]
    resealed(
        out / "manifest.json",
        outputs=tuple(grown),
        rows=msgspec.structs.replace(manifest.rows, rows_out=17, rows_in=19),
    )
    fails(out, "rows planned: 18 is not 19")
    rewrite(out / ASIDE, [1])
    reseal(out)
    fails(out)


def test_a_row_that_stands_twice_in_quarantine_is_found(out: Path) -> None:
    rewrite(out / ASIDE, [0, 0])
    reseal(out)
    fails(out, "twice in quarantine")


def test_rows_moved_from_the_data_to_nowhere_are_found(out: Path) -> None:
    manifest = read_manifest(out / "manifest.json")
    rewrite(out / S, range(8))
    reseal(out)
    files = read_manifest(out / "manifest.json").outputs
    resealed(
        out / "manifest.json",
        outputs=tuple(msgspec.structs.replace(f, rows=8) if f.path == S else f for f in files),
        rows=msgspec.structs.replace(manifest.rows, rows_in=17, rows_out=15),
    )
    fails(out, "17")


def test_other_columns_than_the_plan_s_are_found(out: Path) -> None:
    table = pq.read_table(out / S).rename_columns(["source_file", "source_row", "Z"])
    pq.write_table(table, out / S)
    reseal(out)
    fails(out, "columns", S)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_run_with_ids_of_its_own_is_proved_by_its_counts(finished: Path, folder: Path, form: str) -> None:
    shard(folder / "in" / "s.parquet", {"id": [*range(9)], **numbers(9)})
    run(folder, model=str(finished / "model.onnx"), id_column="id", output_format=form)
    verify(str(folder / "out"))
    part = next((folder / "out" / "data").iterdir())
    if form == "parquet":
        rewrite(part, range(8))
    else:
        part.write_text("".join(part.read_text().splitlines(keepends=True)[:-1]))
    reseal(folder / "out")
    fails(folder / "out", "8 rows, the manifest says 9")


# The manifest


@pytest.mark.slow
def test_each_flipped_bit_of_a_manifest_is_found(out: Path) -> None:
    path = out / "manifest.json"
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
        with pytest.raises(MlserveError) as refused:
            verify(str(out))
        assert refused.value.exit_code in (65, 78), content[max(place - 40, 0) : place + 40]


@given(data=st.data())
@settings(max_examples=40)
def test_a_manifest_cut_grown_or_replaced_by_anything_is_refused(finished: Path, data: st.DataObject) -> None:
    content = (finished / "out" / "manifest.json").read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    changed = data.draw(st.sampled_from([content[:cut], content + content[cut:], content[cut:], b"{}", b"[]", b"1"]))
    if changed == content:
        return
    path = finished / "odd.manifest.json"
    path.write_bytes(changed)
    with pytest.raises(MlserveError) as refused:
        verify(str(path))
    assert refused.value.exit_code in (65, 78)


def plan_with(manifest: Manifest, change: Callable[[Plan], Plan]) -> Manifest:
    plan = change(manifest.plan)
    return msgspec.structs.replace(manifest, plan=plan, run=msgspec.structs.replace(manifest.run, id=plan.id))


def test_a_plan_that_is_not_the_one_of_the_id_is_found(out: Path) -> None:
    manifest = read_manifest(out / "manifest.json")
    resealed(out / "manifest.json", plan=msgspec.structs.replace(manifest.plan, batch_rows=7))
    fails(out, "the plan's id")


LIES: dict[str, Callable[[Manifest], Manifest]] = {
    "a task with a gap": lambda m: plan_with(
        m, lambda plan: msgspec.structs.replace(plan, tasks=(msgspec.structs.replace(plan.tasks[0], start_row=1),))
    ),
    "a task twice": lambda m: plan_with(
        m, lambda plan: msgspec.structs.replace(plan, tasks=(*plan.tasks, plan.tasks[1]))
    ),
    "a task of no shard": lambda m: plan_with(
        m,
        lambda plan: msgspec.structs.replace(
            plan, tasks=(plan.tasks[0], msgspec.structs.replace(plan.tasks[1], shard=7))
        ),
    ),
    "a file of no task": lambda m: msgspec.structs.replace(
        m, outputs=tuple(msgspec.structs.replace(file, task=9) for file in m.outputs)
    ),
    "a file of another task": lambda m: msgspec.structs.replace(
        m, outputs=(msgspec.structs.replace(m.outputs[0], task=1), *m.outputs[1:])
    ),
    "a file named twice": lambda m: msgspec.structs.replace(m, outputs=(*m.outputs, m.outputs[-1])),
    "a file outside": lambda m: msgspec.structs.replace(
        m, outputs=(msgspec.structs.replace(m.outputs[0], path="../../in/r.parquet"), *m.outputs[1:])
    ),
    "reasons that do not add up": lambda m: msgspec.structs.replace(
        m, rows=msgspec.structs.replace(m.rows, reasons={"null": 1})
    ),
    "an input with other rows": lambda m: msgspec.structs.replace(
        m, inputs=(msgspec.structs.replace(m.inputs[0], rows_in=10), *m.inputs[1:])
    ),
    "no files": lambda m: msgspec.structs.replace(m, outputs=()),
    "an exit code that is not the run's": lambda m: msgspec.structs.replace(
        m, run=msgspec.structs.replace(m.run, status="complete")
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_contradicts_itself_does_not_hold_however_it_is_sealed(out: Path, lie: str) -> None:
    path = out / "manifest.json"
    changed = LIES[lie](read_manifest(path))
    resealed(path, **{name: getattr(changed, name) for name in ("plan", "run", "outputs", "rows", "inputs")})
    fails(out)


def test_verify_reads_a_run_of_many_rows_piece_by_piece(folder: Path) -> None:
    model_file(folder)
    columns = {name: np.zeros(140_000) for name in ("a", "b", "c")}
    shard(folder / "in" / "s.parquet", {**columns, "a": pa.array([None, *[0.0] * 139_999])}, row_group_rows=140_000)
    result = run(folder, on_error="quarantine")
    verify(str(result.output))
    part = next((result.output / "data").iterdir())
    rewrite(part, [*range(139_997), 139_998, 139_997])
    reseal(result.output)
    fails(result.output, "row 139999 of s.parquet stands where row 139998")
