"""What is written: folders and single files, Parquet and CSV, ids and predictions, a stream."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import ModelProto

from mlserve_cli import verify
from mlserve_cli.errors import InvalidModel, OutputExists, UsageError
from mlserve_cli.scoring import score_to_stream
from tests.models import argmax_classifier, classifier, comparisons, forest, linear, several_matrices
from tests.scoring.runs import ABC, model_file, numbers, request, run, scored, shard

INPUTS = {"Parquet": "s.parquet", "CSV": "s.csv"}


@pytest.fixture
def work(folder: Path) -> Path:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {"id": ["x", "y", "z"], **numbers(3)})
    shard(folder / "in" / "s.csv", {"id": ["p", "q", ""], **numbers(3, first=9)})
    return folder


def rows_of_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# Files


def test_parts_and_the_single_file_hold_the_same_rows_in_both_formats(work: Path) -> None:
    parts = scored(run(work, passthrough=("id",)))
    run(work, passthrough=("id",), output=str(work / "one.parquet"))
    run(work, passthrough=("id",), output=str(work / "one.csv"))
    assert pq.read_table(work / "one.parquet").equals(parts)
    written = rows_of_csv(work / "one.csv")
    assert [np.float32(row.pop("Y")) for row in written] == parts["Y"].to_pylist()
    assert written == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in parts.drop_columns(["Y"]).to_pylist()
    ]
    for name in ("one.parquet", "one.csv"):
        proved = verify(str(work / name))
        assert [file.path for file in proved.manifest.outputs] == [name]
        assert [file.task for file in proved.manifest.outputs] == [-1]


def test_a_single_file_has_its_quarantine_and_its_manifest_beside_it(work: Path) -> None:
    shard(work / "in" / "t.csv", {"id": ["k"], **numbers(1), "c": ["x"]})
    result = run(work, on_error="quarantine", output=str(work / "one.csv"))
    assert result.manifest_path == work / "one.csv.manifest.json"
    aside = pq.read_table(work / "one.csv.quarantine.parquet")
    assert aside.select(["source_file", "source_row", "value"]).to_pylist() == [
        {"source_file": "t.csv", "source_row": 0, "value": "x"}
    ]
    assert sorted(path.name for path in work.iterdir()) == [
        "in", "model.onnx", "one.csv", "one.csv.manifest.json", "one.csv.quarantine.parquet"
    ]  # fmt: skip
    verify(str(work / "one.csv"))


def test_no_rows_at_all_are_a_success(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {name: pa.array([], pa.float64()) for name in ABC})
    (folder / "in" / "s.csv").write_text("c,b,a")
    for output in ("out", "out.parquet", "out.csv"):
        result = run(folder, output=str(folder / output))
        assert (result.exit_code, result.manifest.rows.rows_in) == (0, 0)
        verify(str(result.output))
    assert (folder / "out.csv").read_text().splitlines() == ["source_file,source_row,Y"]
    assert pq.read_table(folder / "out.parquet").num_rows == 0


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "none"])
def test_parts_are_compressed_as_asked_with_checksums(work: Path, compression: str) -> None:
    part = next((run(work, compression=compression).output / "data").iterdir())
    found = pq.ParquetFile(part).metadata.row_group(0).column(0).compression
    assert found == {"none": "UNCOMPRESSED", "lz4": "LZ4"}.get(compression, compression.upper())


def test_a_name_and_a_format_that_contradict_each_other_are_refused(work: Path) -> None:
    with pytest.raises(UsageError, match="contradicts"):
        run(work, output=str(work / "one.csv"), output_format="parquet")


def test_a_folder_where_the_file_should_be_is_refused(work: Path) -> None:
    (work / "one.csv").mkdir()
    with pytest.raises(OutputExists):
        run(work, output=str(work / "one.csv"))


# Columns


def test_rows_say_where_they_came_from_unless_they_have_an_id(work: Path) -> None:
    assert scored(run(work)).column_names == ["source_file", "source_row", "Y"]
    named = scored(run(work, id_column="id", output=str(work / "named")))
    assert named.column_names == ["id", "Y"]
    assert named["id"].to_pylist() == ["x", "y", "z", "p", "q", None]


@pytest.mark.parametrize("name", INPUTS.values(), ids=INPUTS)
def test_a_threshold_and_the_labels_give_a_prediction(folder: Path, name: str) -> None:
    model_file(folder, classifier(3, ("no", "yes")))
    shard(folder / "in" / name, numbers(20))
    plain = scored(run(folder, features=("a,b,c",)))
    assert plain.column_names[2:] == ["prediction", "probability_no", "probability_yes"]
    likely = plain["probability_yes"].to_pylist()
    assert plain["prediction"].to_pylist() == ["yes" if p > 0.5 else "no" for p in likely]
    high = scored(run(folder, features=("a,b,c",), threshold=0.6, output=str(folder / "high")))
    assert high.column_names[2:] == ["probability_no", "probability_yes", "prediction"]
    assert high["prediction"].to_pylist() == ["yes" if p >= 0.6 else "no" for p in likely]
    bare = scored(run(folder, features=("a,b,c",), labels=False, output=str(folder / "bare")))
    assert bare.column_names[2:] == ["probability_no", "probability_yes"]


def test_a_threshold_without_classes_gives_ones_and_zeros(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", numbers(9))
    found = scored(run(folder, threshold=0.25))
    assert found["prediction"].to_pylist() == [int(value >= 0.25) for value in found["Y"].to_pylist()]


def test_a_threshold_that_nothing_stands_against_is_refused(folder: Path) -> None:
    model_file(folder, classifier(3, ("a", "b", "c")))
    shard(folder / "in" / "s.parquet", numbers(2))
    with pytest.raises(InvalidModel, match="--threshold needs"):
        run(folder, features=("a,b,c",), threshold=0.5)


def test_every_output_of_a_model_is_written_under_its_name(folder: Path) -> None:
    model_file(folder, several_matrices())
    shard(folder / "in" / "s.parquet", {name: [1.0, 2.0] for name in "abcde"})
    found = scored(run(folder, features=("left=a,b", "right=c,d,e")))
    assert found.drop_columns(["source_file", "source_row"]).to_pylist() == [
        {"left_sum": 2.0, "right_sum": 3.0, "total": 5.0},
        {"left_sum": 4.0, "right_sum": 6.0, "total": 10.0},
    ]


def test_whole_numbers_and_booleans_keep_their_types(folder: Path) -> None:
    model_file(folder, comparisons())
    shard(folder / "in" / "s.csv", {"X": ["1.5", "-2"]})
    assert scored(run(folder)).select(["is_positive", "whole"]).to_pylist() == [
        {"is_positive": True, "whole": 1},
        {"is_positive": False, "whole": -2},
    ]
    run(folder, output=str(folder / "one.csv"))
    assert [row["is_positive"] for row in rows_of_csv(folder / "one.csv")] == ["true", "false"]


def test_vectors_are_lists_of_a_fixed_size_and_json_in_a_csv(folder: Path) -> None:
    model_file(folder, linear(3, 4, names=ABC))
    shard(folder / "in" / "s.parquet", numbers(3))
    found = scored(run(folder))
    assert found.schema.field("Y").type.list_size == 4
    run(folder, output=str(folder / "one.csv"))
    written = [json.loads(row["Y"]) for row in rows_of_csv(folder / "one.csv")]
    assert pa.array(written, pa.list_(pa.float32(), 4)).to_pylist() == found["Y"].to_pylist()
    verify(str(folder / "one.csv"))


@pytest.mark.parametrize("model", [argmax_classifier, forest], ids=["text labels", "trees"])
def test_labels_pass_through_both_formats(folder: Path, model: Callable[[], ModelProto]) -> None:
    model_file(folder, model())
    shard(folder / "in" / "s.parquet", numbers(9))
    table = scored(run(folder, features=("a,b,c",)))
    run(folder, features=("a,b,c",), output=str(folder / "one.csv"))
    texts = [row["prediction"] for row in rows_of_csv(folder / "one.csv")]
    assert texts == [str(value) for value in table["prediction"].to_pylist()]


def test_outputs_are_renamed(work: Path) -> None:
    found = scored(run(work, threshold=0.5, output_columns={"Y": "churn", "prediction": "will_churn"}))
    assert found.column_names[2:] == ["churn", "will_churn"]


@pytest.mark.parametrize(
    ("names", "error"), [({"Z": "x"}, UsageError), ({"Y": ""}, UsageError), ({"Y": "prediction"}, InvalidModel)]
)
def test_a_new_name_that_cannot_be_is_refused(work: Path, names: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        run(work, threshold=0.5, output_columns=names)


# A stream


@contextmanager
def piped_in(data: bytes) -> Iterator[None]:
    """Standard input with this in it, by a real descriptor."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        before = sys.stdin
        sys.stdin = io.TextIOWrapper(os.fdopen(os.dup(file.fileno()), "rb"))
        try:
            yield
        finally:
            sys.stdin.close()
            sys.stdin = before


CSV = b"id,a,b,c\nx,1,2,3\ny,4,5,6\n"


def test_rows_come_in_and_go_out_by_pipes(work: Path) -> None:
    stream = io.BytesIO()
    with piped_in(CSV):
        result = score_to_stream(request(work, inputs=("-",), output="-", id_column="id"), stream)
    lines = stream.getvalue().decode().splitlines()
    assert lines[0] == "id,Y"
    assert [line.split(",")[0] for line in lines[1:]] == ["x", "y"]
    assert result.manifest.rows.rows_out == 2
    assert not result.output.exists()


def test_the_same_rows_piped_in_twice_are_the_same_plan(work: Path) -> None:
    ids = []
    for name in ("one", "two"):
        with piped_in(CSV):
            ids.append(run(work, inputs=("-",), output=str(work / name)).manifest.run.id)
    assert ids[0] == ids[1]


def test_parquet_and_compressed_csv_are_taken_from_a_pipe(work: Path) -> None:
    for name, data in (("p", (work / "in" / "r.parquet").read_bytes()), ("z", pa.compress(CSV, "gzip", asbytes=True))):
        with piped_in(data):
            result = run(work, inputs=("-",), output=str(work / name), input_format=None if name == "p" else "csv")
        assert result.manifest.rows.rows_in in (2, 3)
        assert result.manifest.inputs[0].name == "-"


def test_worker_processes_read_the_pipe_too(work: Path) -> None:
    with piped_in(CSV):
        assert run(work, inputs=("-",), workers=2).manifest.rows.rows_out == 2


def test_nothing_reaches_the_stream_where_a_row_is_bad(work: Path) -> None:
    stream = io.BytesIO()
    with piped_in(CSV + b"z,x,1,1\n"), pytest.raises(Exception, match="not a number"):
        score_to_stream(request(work, inputs=("-",), output="-"), stream)
    assert stream.getvalue() == b""


@pytest.mark.parametrize(
    "options", [{"on_error": "quarantine"}, {"if_exists": "resume"}, {"output_format": "parquet"}], ids=str
)
def test_what_needs_a_place_is_refused_on_a_stream(work: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        score_to_stream(request(work, output="-", **options), io.BytesIO())


def test_a_pipe_is_the_only_input(work: Path) -> None:
    with piped_in(CSV), pytest.raises(UsageError):
        run(work, inputs=("-", str(work / "in")))
