"""Proves what other models did in a run: a challenger's rows stand beside the champion's, a split row is its arm's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlserve_cli import features, tables
from mlserve_cli.contract import compute as pc
from mlserve_cli.contract import int64_array, text_array
from mlserve_cli.errors import RunMismatch, shown
from mlserve_cli.manifest import Manifest, OutputFile
from mlserve_cli.planning import PlannedSplit
from mlserve_cli.planning.assignment import assign
from mlserve_cli.scoring.carried import decode_schema
from mlserve_cli.scoring.rows import id_schema

CHUNK_ROWS = 65_536


def prove_challengers(manifest: Manifest, root: Path) -> None:
    """Each file of a challenger has the ids of the champion's file of the same task, in the same order.

    Of a CSV only the number of rows is compared where the ids are the user's own: their text may be written otherwise.
    """
    data = {file.task: file for file in manifest.outputs if file.kind == "data"}
    names = id_schema(manifest.plan).names
    is_text = manifest.plan.output.format == "csv"
    for file in manifest.outputs:
        if file.kind != "challenger":
            continue
        beside, path = data[file.task], root / file.path
        if (found := tables.part_rows(str(path))) != beside.rows or file.rows != beside.rows:
            raise _mismatch(f"{found} rows, the champion's file has {beside.rows}", path)
        if is_text and manifest.plan.output.id_column is not None:
            continue
        _prove_same_ids(beside, path, names, manifest, root)


def prove_split(manifest: Manifest, root: Path) -> None:
    """Rows by model are as many as the manifest says, and where the key is written, each is its model's by the hash."""
    split, account = manifest.plan.split, manifest.split
    if split is None or account is None:
        return
    found: Counter[str] = Counter()
    for file in manifest.outputs:
        if file.kind == "data":
            path = root / file.path
            for table in _chunks(path, _columns_for(split, manifest), form=manifest.plan.output.format):
                found += _counted(table[split.column])
                _prove_arms(table, split, path, manifest)
    counted = [found[name] for name in split.names]
    said = [arm.rows for arm in account.arms]
    if counted != said or sum(counted) != manifest.rows.rows_out:
        raise _mismatch(f"rows by model: {counted} in the files, the manifest says {said}", root)


def _prove_same_ids(beside: OutputFile, path: Path, names: Sequence[str], manifest: Manifest, root: Path) -> None:
    ours = _chunks(root / beside.path, names, form=manifest.plan.output.format)
    theirs = _chunks(path, names, form="parquet")
    for left, right in zip(ours, theirs, strict=True):
        for name in names:
            one, other = features.one_array(left[name]), features.one_array(right[name])
            if not one.equals(other.cast(one.type)):
                raise _mismatch(f"its rows are not the champion's: column {shown(name)} differs", path)


def _prove_arms(table: pa.Table, split: PlannedSplit, path: Path, manifest: Manifest) -> None:
    """A text that reads back as null may have been empty: of a CSV such rows prove nothing."""
    if split.key not in table.column_names:
        return
    codes = assign(features.one_array(table[split.key]), salt=split.salt, percents=split.percents)
    wanted = text_array(split.names).take(int64_array(np.maximum(codes, 0)))
    same = pc.equal(features.one_array(table[split.column]), wanted)
    if manifest.plan.output.format == "csv":
        same = pc.or_(same, features.one_array(table[split.key]).is_null())
    if not pc.all(same, min_count=0).as_py():
        row = pc.index(same, pa.scalar(False)).as_py()
        key = table[split.key][row]
        raise _mismatch(
            f"{shown(str(key))} was scored by {table[split.column][row]}, it belongs to {wanted[row]}", path
        )


def _columns_for(split: PlannedSplit, manifest: Manifest) -> tuple[str, ...]:
    """The model's column, and the key's where its text can be read back from the file."""
    carried = decode_schema(manifest.plan.output.carried_schema)
    if split.key not in carried.names:
        return (split.column,)
    number = pa.types.is_floating(carried.field(split.key).type)
    return (split.column,) if number and manifest.plan.output.format == "csv" else (split.column, split.key)


def _counted(column: pa.ChunkedArray) -> Counter[str]:
    counts = column.value_counts()
    return Counter(dict(zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True)))


def _chunks(path: Path, columns: Sequence[str], *, form: tables.Format) -> Iterator[pa.Table]:
    """Columns of a file of the run, in bounded memory."""
    dialect = tables.Dialect(delimiter=",")
    file = tables.FoundFile(str(path), path.name)
    shard = tables.look_into(file, index=0, dialect=dialect, input_format=form)
    chunks = tables.read_chunks(
        shard, columns=columns, start_row=0, stop_row=shard.rows, chunk_rows=CHUNK_ROWS, dialect=dialect
    )
    for chunk in chunks:
        yield chunk.table


def _mismatch(what: str, path: Path) -> RunMismatch:
    return RunMismatch(what, shown(str(path), limit=400), "the run is not what was committed: score it anew")
