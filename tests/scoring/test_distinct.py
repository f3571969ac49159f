"""Rows with the same features scored once: the scores are those that each row has by itself, wherever it pays."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from mlserve_cli import RunResult, ScoreRequest, preview, replay, score, verify
from mlserve_cli.errors import InvalidModel, OutputExists
from mlserve_cli.scoring.batches import Clock, ScoredRows, score_batches
from mlserve_cli.scoring.distinct import find_distinct, score_rows
from mlserve_cli.scoring.predictors import open_planned
from mlserve_cli.scoring.rows import convert_chunk
from mlserve_cli.tables import read_chunks
from tests import models
from tests.models import save
from tests.scoring.runs import IN_MEMORY, contents, data_bytes, request, scored, set_aside
from tests.scoring.shards import COLUMNS, steady
from tests.scoring.test_laws import Camera, least_memory

# What a row may be: few kinds, so that most have their like; three are bad, two differ in the sign of zero alone.
POOL = (
    (0.0, 1.0, 2.0, 0.0),
    (-0.0, 1.0, 2.0, 0.0),
    (0.1, 0.2, 0.3, 1.0),
    (1e30, -1e30, 5.0, 2.0),
    (None, 1.0, 2.0, 0.0),
    (0.1, 0.2, 0.3, 9.0),  # the model fails on it
    (0.1, None, 0.3, 9.0),
    (7.0, 8.0, -9.0, 3.0),
)
ROWS = st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=90)


@contextmanager
def work(*shards: Sequence[int], model: ModelProto | None = None, group: int = 7) -> Iterator[Path]:
    """A folder with a model and a shard for each list of places in POOL."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name).resolve()
        save(model or steady(), folder / "model.onnx")
        (folder / "in").mkdir()
        for place, rows in enumerate(shards):
            values = list(zip(*(POOL[row] for row in rows), strict=True))
            table = pa.table([pa.array(column, pa.float64()) for column in values], names=list(COLUMNS))
            pq.write_table(table, folder / "in" / f"s{place}.parquet", row_group_size=group)
        yield folder


def asked(folder: Path, deduplicate: str, *, out: str = "out", **options: Any) -> ScoreRequest:
    wanted: dict[str, Any] = {"on_error": "quarantine", "features": (",".join(COLUMNS),), **options}
    return request(folder, deduplicate=deduplicate, output=str(folder / out), **wanted)


# The scores


@pytest.mark.slow
@given(shards=st.lists(ROWS, min_size=1, max_size=3), batch_rows=st.integers(1, 40), threads=st.integers(1, 3))
@settings(max_examples=25)
def test_rows_scored_once_have_the_scores_and_faults_that_they_have_each_by_itself(
    shards: list[list[int]], batch_rows: int, threads: int
) -> None:
    with work(*shards) as folder:
        plain = score(asked(folder, "off", batch_rows=batch_rows, output_format="csv"))
        once = score(asked(folder, "on", out="once", batch_rows=batch_rows, output_format="csv"))
        narrow = score(
            asked(folder, "on", out="narrow", batch_rows=batch_rows, output_format="csv",
                  workers=None, threads_per_worker=threads, memory_limit=least_memory(once.manifest))
        )  # fmt: skip
        assert csv_bytes(once) == csv_bytes(plain)
        assert data_bytes(narrow.output) == data_bytes(once.output)
        if plain.manifest.rows.rows_quarantined:
            assert set_aside(once).equals(set_aside(plain))
        assert once.manifest.rows == plain.manifest.rows
        assert once.manifest.run.id != plain.manifest.run.id
        verify(str(once.output))


def csv_bytes(result: RunResult) -> dict[str, bytes]:
    """The data as text: a Parquet file names its plan, and the plans are two."""
    return {name: data for name, data in contents(result.output).items() if name.endswith(".csv")}


@given(rows=ROWS, batch_rows=st.integers(1, 20), batches=st.integers(1, 5), chunk_windows=st.integers(1, 4))
@settings(max_examples=40)
def test_windows_are_the_plan_s_whatever_a_chunk_holds(
    rows: list[int], batch_rows: int, batches: int, chunk_windows: int
) -> None:
    with work(rows) as folder:
        plan = preview(asked(folder, "on", batch_rows=batch_rows)).plan
        plan = msgspec.structs.replace(plan, deduplicate_rows=batch_rows * batches)
        predictor = open_planned(plan)
        chunks = list(
            read_chunks(plan.inputs[0], columns=COLUMNS, start_row=0, stop_row=len(rows),
                        chunk_rows=chunk_windows * plan.unit_rows, dialect=plan.dialect)
        )  # fmt: skip
        found, expected = [], []
        for chunk in chunks:
            converted = convert_chunk(chunk, plan, shard=plan.inputs[0])
            found.append(score_rows(converted, plan=plan, predictor=predictor, clock=Clock())[0])
            expected.append(
                score_batches(
                    converted, contract=plan.contract, predictor=predictor, batch_rows=batch_rows, clock=Clock()
                )
            )
        assert list(map(told, found)) == list(map(told, expected))


def told(one: ScoredRows) -> object:
    faults = sorted(one.faults.table.select(["row", "column", "reason"]).to_pylist(), key=lambda fault: fault["row"])
    return {name: values.tobytes() for name, values in one.outputs.items()}, one.kept.tolist(), faults


def test_every_kind_of_column_has_its_distinct_rows_found_in_order() -> None:
    columns = {
        "text": np.array(["a", "b", "a", "ä", "a"], dtype=object),
        "list": np.array([[1, 2], [1, 2], [1, 2], [1, 3], [1, 2]], np.float32),
        "bool": np.array([True, True, True, False, True]),
        "int": np.array([1 << 40] * 5, np.int64),
    }
    found = find_distinct(columns, np.arange(5))
    assert found.first.tolist() == [0, 1, 3]
    assert found.place.tolist() == [0, 1, 0, 2, 0]
    assert find_distinct(columns, np.array([1, 2, 4])).first.tolist() == [1, 2]


@given(st.lists(st.sampled_from([0, 1 << 63, 0x7FF8 << 48, 0x7FF8 << 48 | 1, 1, 0x3FF0 << 48]), max_size=50))
def test_rows_are_the_same_where_their_bits_are(bits: list[int]) -> None:
    values = np.frombuffer(struct.pack(f"{len(bits)}Q", *bits), np.float64)
    found = find_distinct({"x": values}, np.arange(len(bits)))
    assert [bits[row] for row in found.first] == list(dict.fromkeys(bits))
    assert [bits[found.first[place]] for place in found.place] == bits


# What a run does with it


def test_a_replay_and_worker_processes_write_the_same_bytes_over_several_windows() -> None:
    rows = np.random.default_rng(0).integers(0, 4, 150_000).tolist()
    with work(rows, rows[:70_000], group=40_000) as folder:
        once = score(asked(folder, "on", batch_rows=512))
        wide = score(asked(folder, "on", out="wide", batch_rows=512, workers=2))
        plain = score(asked(folder, "off", out="plain", batch_rows=512))
        windows = once.manifest.deduplication
        assert windows.window_rows < 70_000
        assert windows.rows == 220_000
        assert 4 * 4 <= windows.scored_rows <= 4 * 8
        assert data_bytes(wide.output) == data_bytes(once.output)
        assert scored(once).equals(scored(plain))
        assert replay(str(once.output)).identical


def test_a_run_that_died_and_is_taken_up_again_scores_as_it_began() -> None:
    with work([0, 2, 0, 2] * 8, [0, 0, 2] * 9, [2] * 30) as folder:
        (folder / "scene").mkdir()
        camera = Camera(folder / "scene", folder / "album")
        whole = score(asked(folder, "on", out="scene/out", batch_rows=8), observer=camera)
        scene = camera.pictures[0]
        again = score(asked(folder, "on", out=str(scene / "out"), batch_rows=8, if_exists="resume"))
        assert data_bytes(again.output) == data_bytes(whole.output)
        assert again.manifest.run.resumed_tasks == 1
        assert again.manifest.deduplication == whole.manifest.deduplication
        with pytest.raises(OutputExists, match="deduplicate_rows"):
            score(asked(folder, "off", out=str(scene / "out"), batch_rows=8, if_exists="resume"))


# Where it is chosen


def wide_network() -> ModelProto:
    """Costly enough that 60,000 rows are worth a look."""
    return models.mlp(4, 16_384)


def test_it_chooses_itself_where_rows_repeat_and_inference_costs_more_than_the_look() -> None:
    rows = np.random.default_rng(0).integers(0, 3, 200_000).tolist()
    with work(rows, model=wide_network(), group=50_000) as folder:
        found = preview(asked(folder, "auto")).plan
    assert found.deduplicate_rows
    assert "of the first rows are distinct" in found.deduplicate_reason


def test_it_is_left_out_where_no_row_repeats() -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name)
        save(wide_network(), folder / "model.onnx")
        (folder / "in").mkdir()
        values = np.random.default_rng(0).normal(size=(4, 200_000))
        pq.write_table(pa.table(list(values), names=list(COLUMNS)), folder / "in" / "s.parquet")
        found = preview(asked(folder, "auto")).plan
    assert (found.deduplicate_rows, found.deduplicate_reason) == (0, "100.0% of the first rows are distinct")


@pytest.mark.parametrize(
    ("model", "reason"),
    [(models.linear(4), "inference costs less than a look for repeats"), (wide_network(), "the rows are few")],
)
def test_it_is_left_out_where_there_is_nothing_to_save(model: ModelProto, reason: str) -> None:
    with work([0, 2] * 50, model=model) as folder:
        assert preview(asked(folder, "auto")).plan.deduplicate_reason == reason


def test_a_model_that_minds_its_batch_is_refused_where_it_is_asked_for() -> None:
    with work([0, 2] * 50, model=models.quantized("dynamic")) as folder:
        with pytest.raises(InvalidModel, match="dynamically quantised"):
            score(asked(folder, "on"))
        assert not score(asked(folder, "auto")).manifest.deduplication.window_rows


def test_a_score_that_moves_with_its_batch_is_found_by_the_proof() -> None:
    with work([0, 2, 3, 7] * 50, model=mean_of_its_batch()) as folder, pytest.raises(InvalidModel, match="beside it"):
        score(asked(folder, "on"))


def mean_of_its_batch() -> ModelProto:
    """A row less the mean of all rows of its batch."""
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["X"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["X", "mean"], ["Y"]),
    ]
    shape = [None, 4]
    return models.model_of(
        nodes, [models.tensor("X", models.FLOAT, shape)], [models.tensor("Y", models.FLOAT, shape)], opset=13
    )
