"""A finished run's rows as one table in the input's order: what was written, and what the input says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli import storage, tables
from mlserve_cli.contract import Contract, Output
from mlserve_cli.errors import DataError, InputChanged, InputMissing, MissingColumn, RunMismatch, shown
from mlserve_cli.manifest import Manifest
from mlserve_cli.manifest.find import FoundRun
from mlserve_cli.planning import Task
from mlserve_cli.scoring.carried import common_schema
from mlserve_cli.scoring.rows import output_schema

CHUNK_ROWS = 1 << 16


def read_rows(found: FoundRun, columns: Sequence[str] | None = None, *, challenger: str = "") -> pa.Table:
    """The rows that the run wrote, quarantine left out, with `columns` in the order asked for; None: all it wrote.

    Types are the plan's, whatever the files' format. A column that was not written is read from the run's inputs, as
    long as those are the files that were scored. `challenger` names the folder of a challenger (NAME-VERSION), whose
    rows then stand in place of the champion's.

    Raises RunMismatch (65) where a file is not what the manifest says, MissingColumn (65) where neither the output nor
    the input has a column, DataError (65) where only an input has it that is gone or another now.
    """
    written = written_schema(found, challenger=challenger)
    wanted = written.names if columns is None else list(dict.fromkeys(columns))
    here = [name for name in wanted if name in written.names]
    there = [name for name in wanted if name not in written.names]
    # without a column a table would forget how many rows it has
    table = _read_output(found, written, here or written.names[:1], challenger=challenger)
    if there:
        beside = _read_inputs(found, there, present=tuple(written.names))
        if beside.num_rows != table.num_rows:
            raise _mismatch(f"{table.num_rows} rows, the plan leaves {beside.num_rows}", found.path)
        for name in there:
            table = table.append_column(name, beside[name])
    return table.select(wanted)


def written_schema(found: FoundRun, *, challenger: str = "") -> pa.Schema:
    """Names and types of what the run wrote; of a challenger's files as they themselves say."""
    if not challenger:
        return output_schema(found.manifest.plan)
    return tables.part_schema(_files(found, challenger)[0])


def id_columns(manifest: Manifest) -> tuple[str, ...]:
    """What identifies a row in the run's output."""
    column = manifest.plan.output.id_column
    return (column,) if column is not None else ("source_file", "source_row")


def score_outputs(contract: Contract) -> tuple[Output, ...]:
    """The outputs that hold scores: probabilities where there are any, else every output of floats."""
    floats = tuple(output for output in contract.outputs if output.tensor.dtype.startswith("float"))
    return tuple(output for output in floats if output.role == "probability") or floats


def score_columns(contract: Contract) -> tuple[str, ...]:
    """The written columns that hold scores."""
    return tuple(column for output in score_outputs(contract) for column in output.columns)


def prediction_column(contract: Contract) -> str | None:
    """The written column that holds the predicted class: the threshold's, or the model's own label."""
    if contract.threshold is not None:
        return contract.prediction
    labels = [column for output in contract.outputs if output.role == "label" for column in output.columns]
    return labels[0] if len(labels) == 1 else None


def matrix_of(table: pa.Table, columns: Sequence[str]) -> NDArray[np.float64]:
    """Score columns side by side, float64, shape [rows, width]; a list column gives as many as its lists are long."""
    parts = [_numbers(table[name]) for name in columns]
    return np.concatenate(parts, axis=1) if len(parts) != 1 else parts[0]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    whole = column.combine_chunks()
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    values = whole.flatten() if pa.types.is_fixed_size_list(whole.type) else whole
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False)).reshape(len(whole), -1)


def _read_output(found: FoundRun, written: pa.Schema, columns: list[str], *, challenger: str) -> pa.Table:
    """Columns of the data files, each file proved to be the one that was committed."""
    schema = pa.schema([written.field(name) for name in columns])
    root = found.manifest_path.parent
    named = {str(root / file.path): file for file in found.manifest.outputs}
    parts: list[pa.Table] = []
    for path in _files(found, challenger):
        file = named[str(path)]
        if not path.is_file():
            raise _mismatch("a file of the run is missing", path)
        if storage.record_of(path).sha256 != file.sha256:
            raise _mismatch("its sha256 is not what the manifest says", path)
        table = tables.read_part(path, columns=columns)
        if table.num_rows != file.rows:
            raise _mismatch(f"{table.num_rows} rows, the manifest says {file.rows}", path)
        parts.append(_typed(table, schema))
    return pa.concat_tables([schema.empty_table(), *parts])


def _files(found: FoundRun, challenger: str) -> list[Path]:
    """The data files in the input's order. InputMissing (66) where there is no such challenger."""
    root = found.manifest_path.parent
    kind = "challenger" if challenger else "data"
    files = [file for file in found.manifest.outputs if file.kind == kind]
    if not challenger:
        return [root / file.path for file in files]
    mine = [root / file.path for file in files if Path(file.path).parent.name == challenger]
    if not mine:
        present = sorted({Path(file.path).parent.name for file in files})
        raise InputMissing(
            f"the run has no rows of a challenger {shown(challenger)}",
            shown(str(found.path), limit=400),
            f"it has {', '.join(map(shown, present)) or 'none'}",
        )
    return sorted(mine)


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """What a CSV holds as text, in the plan's types."""
    columns = [_column(table[field.name], field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if not pa.types.is_string(column.type) or not pa.types.is_nested(kind):
        return column.cast(kind)
    if not (pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type)):
        return column  # lists of lists, of text: as JSON, which is what a CSV has of them
    elements = pc.split_pattern(pc.utf8_trim(column.combine_chunks(), "[]"), ",")
    elements = pa.concat_arrays(elements.chunks) if isinstance(elements, pa.ChunkedArray) else elements
    return pa.chunked_array([elements.cast(pa.list_(kind.value_type)).cast(kind)])


def _read_inputs(found: FoundRun, columns: list[str], *, present: tuple[str, ...]) -> pa.Table:
    """Columns of the inputs, of the rows that were written."""
    plan = found.manifest.plan
    for shard in plan.inputs:
        names = tuple(column.name for column in shard.columns)
        for column in columns:
            if column not in names:
                raise MissingColumn(str(found.path), column, (*present, *names))
    try:
        schema = common_schema(plan.inputs, columns)
        aside = _set_aside(found)
        pieces = (piece for task in plan.tasks for piece in _kept_rows(found, task, columns, aside.get(task.shard)))
        return pa.concat_tables([schema.empty_table(), *(piece.cast(schema) for piece in pieces)])
    except (InputMissing, InputChanged) as error:
        raise DataError(
            f"{', '.join(map(shown, columns))}: not in the run's output, and its input is gone or another now",
            f"{shown(str(found.path), limit=400)}: {error.what}, {error.where}",
            "score with --passthrough COLUMN, or have it in the file of labels",
        ) from error


def _kept_rows(found: FoundRun, task: Task, columns: list[str], aside: NDArray[np.int64] | None) -> Iterator[pa.Table]:
    plan = found.manifest.plan
    chunks = tables.read_chunks(
        plan.inputs[task.shard],
        columns=columns,
        start_row=task.start_row,
        stop_row=task.stop_row,
        chunk_rows=CHUNK_ROWS,
        dialect=plan.dialect,
    )
    for chunk in chunks:
        if aside is None:
            yield chunk.table
            continue
        kept = np.ones(chunk.table.num_rows, np.bool_)
        places = aside - chunk.start_row
        kept[places[(places >= 0) & (places < len(kept))]] = False
        yield chunk.table.filter(pa.array(kept))


def _set_aside(found: FoundRun) -> dict[int, NDArray[np.int64]]:
    """The rows in quarantine (int64, places in their shard) by the shard's number."""
    root = found.manifest_path.parent
    files = [root / file.path for file in found.manifest.outputs if file.kind == "quarantine"]
    if not files:
        return {}
    aside = pa.concat_tables([tables.read_part(path, columns=("source_file", "source_row")) for path in files])
    number = {shard.name: shard.index for shard in found.manifest.plan.inputs}
    names = aside["source_file"].unique().to_pylist()
    return {number[name]: aside.filter(pc.equal(aside["source_file"], name))["source_row"].to_numpy() for name in names}


def _mismatch(what: str, path: Path) -> RunMismatch:
    return RunMismatch(what, shown(str(path), limit=400), "the run is not what was committed: score it anew")
