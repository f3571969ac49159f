"""One batch's tensors out of a converted chunk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlserve_cli.features import batch_tensors, convert
from tests.features.columns import contract_for, converted


def test_a_single_column_without_nulls_is_the_arrow_buffer_itself() -> None:
    column = pa.array(np.arange(10, dtype=np.float32))
    tensors = batch_tensors(converted(column, contract_for("float32")), 3, 7)
    assert tensors["X"].shape == (4, 1)
    assert tensors["X"].tolist() == [[3], [4], [5], [6]]
    assert tensors["X"].__array_interface__["data"][0] == column.buffers()[1].address + 12


@pytest.mark.parametrize("shape", [(None,), (None, 1), (None, 2), (None, 1, 2), (None, 2, 1)])
def test_tensors_have_the_inputs_shape_and_are_contiguous(shape: tuple[int | None, ...]) -> None:
    width = 2 if 2 in shape else 1
    contract = contract_for("float64", shape=shape, columns=("c", "d")[:width])
    table = pa.table({"c": [1.0, 2.0, 3.0], "d": [4.0, 5.0, 6.0]})
    tensor = batch_tensors(convert(table, contract), 1, 3)["X"]
    assert tensor.shape == (2, *shape[1:])
    assert tensor.flags.c_contiguous
    assert tensor.ravel().tolist() == ([2, 5, 3, 6] if width == 2 else [2, 3])


def test_held_rows_are_the_callers_choice_and_the_chunk_stays_as_it_was() -> None:
    features = converted([1.0, 2.0, 3.0], contract_for("float32"), type=pa.float32())
    held = np.array([True, False, True])
    assert batch_tensors(features, 0, 3, held=held)["X"].tolist() == [[2], [2], [2]]
    assert batch_tensors(features, 0, 3)["X"].tolist() == [[1], [2], [3]]


def test_text_rows_hold_their_place_too() -> None:
    features = converted([None, "b", None, "d"], contract_for("string"), type=pa.string())
    assert batch_tensors(features, 0, 4)["X"].tolist() == [["b"], ["b"], ["b"], ["d"]]


def test_used_memory_is_used_again() -> None:
    contract = contract_for("float32", shape=(None, 2), columns=("c", "d"))
    features = convert(pa.table({"c": np.arange(9.0), "d": np.arange(9.0)}), contract)
    buffers: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    first = batch_tensors(features, 0, 4, buffers=buffers)["X"]
    second = batch_tensors(features, 4, 8, buffers=buffers)["X"]
    last = batch_tensors(features, 8, 9, buffers=buffers)["X"]
    assert np.shares_memory(first, second)
    assert last.tolist() == [[8, 8]]


def test_converting_and_cutting_import_no_pandas(tmp_path: Path) -> None:
    """pandas costs 220 ms of every start where it is installed; a stand-in shows an attempt to import it."""
    (tmp_path / "pandas.py").write_text("raise SystemExit('pandas was imported')")
    program = (
        "import numpy as np, pyarrow as pa, pyarrow.csv as csv, io\n"
        "from mlserve_cli.features import *\n"
        "from tests.features.columns import contract_for\n"
        "typed = csv.read_csv(io.BytesIO(b'f,s,b\\n1.5,a,true\\n,b,\\n'))\n"
        "text = csv.read_csv(io.BytesIO(b'f,i,b\\n1.5,7,true\\nx,y,z\\n'))\n"
        "kinds = [('float32', 'f'), ('string', 's'), ('bool', 'b'), ('int64', 'i')]\n"
        "for table, is_text in ((typed, False), (text, True)):\n"
        "    for dtype, name in kinds:\n"
        "        if name in table.column_names:\n"
        "            contract = contract_for(dtype, columns=(name,))\n"
        "            convert(table, contract, text={'f', 'i', 'b'} if is_text else ())\n"
        "chunk = convert(typed, contract_for('float32', columns=('f',)))\n"
        "batch_tensors(chunk, 0, 2)\n"
        "contract, outputs = contract_for('float32'), {'Y': np.array([[1], [np.nan]], np.float32)}\n"
        "bad_scores(contract, outputs), output_table(contract, outputs)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{root}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_list_of_open_width_brings_its_own() -> None:
    features = converted(
        [[1, 2, 3], [4, 5, 6]], contract_for("float32", shape=(None, None)), type=pa.list_(pa.float32(), 3)
    )
    assert batch_tensors(features, 1, 2)["X"].tolist() == [[4, 5, 6]]


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64(), pa.int64(), pa.bool_(), pa.string(), pa.null()], ids=str)
def test_a_chunk_of_no_rows_has_no_faults(type_: pa.DataType) -> None:
    for dtype in ("float32", "string"):
        features = converted(pa.chunked_array([], type_), contract_for(dtype, mode="coerce"))
        assert (features.rows, len(features.faults)) == (0, 0)
