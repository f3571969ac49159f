"""Sizing: never over the limit by its own account, as many lanes as fit, and a plain refusal where none does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.contract import Contract, ModelFacts, TensorSpec
from mlserve_cli.errors import MemoryTooSmall
from mlserve_cli.planning import Need, batch_rows_for, bytes_per_text, fit_lanes, row_bytes
from mlserve_cli.planning.sizing import BATCH_BYTES, CHUNK_BYTES, MIB
from mlserve_cli.tables import Column, reader_bytes
from tests.planning.plans import X, Y, shard_of

NEEDS = st.builds(Need, model_bytes=st.integers(0, 300 * MIB), row_bytes=st.integers(1, 100_000))
LANES = st.integers(1, 64)
BATCHES = st.sampled_from([1, 100, 4_096, 65_536])


@given(need=NEEDS, wanted=LANES, batch_rows=BATCHES, limit=st.integers(1, 4_096), in_process=st.booleans())
def test_what_is_laid_out_stays_under_the_limit_or_is_refused(
    need: Need, wanted: int, batch_rows: int, limit: int, in_process: bool
) -> None:
    try:
        found = fit_lanes(need, wanted=wanted, batch_rows=batch_rows, limit_bytes=limit * MIB, in_process=in_process)
    except MemoryTooSmall as error:
        assert need.bytes_for(lanes=1, chunk_rows=batch_rows, in_process=in_process) > limit * MIB / 1.2
        (least,) = re.findall(r"allow at least (\d+) MiB", error.hint)
        fit_lanes(need, wanted=wanted, batch_rows=batch_rows, limit_bytes=int(least) * MIB, in_process=in_process)
        return
    assert found.peak_memory_bytes <= limit * MIB
    assert found.peak_memory_bytes == need.bytes_for(
        lanes=found.lanes, chunk_rows=found.chunk_rows, in_process=in_process
    )
    assert 1 <= found.lanes <= wanted
    assert found.chunk_rows % batch_rows == 0
    assert found.chunk_rows >= batch_rows


@given(need=NEEDS, wanted=LANES, batch_rows=BATCHES, in_process=st.booleans())
def test_without_a_limit_every_lane_is_had_with_a_useful_chunk(
    need: Need, wanted: int, batch_rows: int, in_process: bool
) -> None:
    found = fit_lanes(need, wanted=wanted, batch_rows=batch_rows, limit_bytes=None, in_process=in_process)
    assert found.lanes == wanted
    assert found.chunk_rows == batch_rows or found.chunk_rows * need.row_bytes <= CHUNK_BYTES


@given(need=NEEDS, wanted=LANES, small=st.integers(100, 4_096), more=st.integers(0, 4_096))
def test_more_memory_never_gives_fewer_lanes(need: Need, wanted: int, small: int, more: int) -> None:
    def lanes(limit: int) -> int:
        try:
            return fit_lanes(need, wanted=wanted, batch_rows=64, limit_bytes=limit * MIB, in_process=False).lanes
        except MemoryTooSmall:
            return 0

    assert lanes(small) <= lanes(small + more)


def test_a_limit_below_the_least_says_what_it_takes() -> None:
    with pytest.raises(MemoryTooSmall, match=r"needs about \d+ MiB, the limit is 50 MiB") as refused:
        fit_lanes(Need(MIB, 100, 1_000_000), wanted=4, batch_rows=1_024, limit_bytes=50 * MIB, in_process=True)
    assert refused.value.exit_code == 78


def facts(family: str, *, fixed_batch: int | None = None) -> ModelFacts:
    kind = {"trees": "trees", "network": "network", "linear": "linear"}.get(family, "other")
    return ModelFacts(
        (X.tensor,), (Y.tensor,), "00", 1, {}, {}, "float32", kind, "", {}, {}, (), {}, (), fixed_batch  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("family", "rows"), [("network", 1_024), ("trees", 4_096), ("linear", 8_192), ("other", 1_024)]
)
def test_auto_stands_for_what_the_model_s_kind_is_fastest_with(family: str, rows: int) -> None:
    assert batch_rows_for(facts(family), Contract((X,), (Y,))) == rows


def test_threads_that_wait_for_each_other_at_its_end_get_larger_batches() -> None:
    assert batch_rows_for(facts("trees"), Contract((X,), (Y,)), threads=2) == 32_768


def test_a_fixed_batch_is_the_batch() -> None:
    assert batch_rows_for(facts("trees", fixed_batch=32), Contract((X,), (Y,)), threads=2) == 32


@given(width=st.integers(1, 3_000_000))
def test_a_wide_model_s_batch_fits_the_cache(width: int) -> None:
    tensor = TensorSpec("X", "float32", (None, width))
    rows = batch_rows_for(facts("linear"), Contract((type(X)(tensor, ("a",)),), (Y,)))
    assert rows == 1 or rows * width * 8 <= BATCH_BYTES


def test_a_row_is_as_large_as_its_columns_and_outputs() -> None:
    number, text = Column("a", "double"), Column("b", "text")
    assert row_bytes([number, text], [Y]) > row_bytes([number], [Y]) > row_bytes([], [])
    assert row_bytes([Column("c", "dictionary<values=string, indices=int32>")], []) == row_bytes([text], [])


def test_a_csv_row_is_held_as_text_too() -> None:
    assert bytes_per_text([shard_of([10]), shard_of([10], form="csv")]) == 100
    assert bytes_per_text([shard_of([10])]) == 0
    assert bytes_per_text([shard_of([], form="csv")]) == 0


def test_a_reader_holds_a_page_of_every_column_and_never_more() -> None:
    columns = [Column(f"c{place}", "float") for place in range(100)]
    small, large = ([shard_of([rows])] for rows in (1_000, 50_000_000))
    assert reader_bytes(columns, small) == 2 * 100 * (1_000 * 4 + 1_000 * 4)  # a buffer holds no more than there is
    assert reader_bytes(columns, large) == 2 * 100 * (MIB + 4 * MIB // 100)


def test_of_a_wide_table_a_reader_holds_one_row_group_unless_that_is_more() -> None:
    columns = [Column(f"c{place}", "float") for place in range(2_000)]
    group = 2_000 * 50_000 * 4
    assert group < reader_bytes(columns, [shard_of([50_000] * 3)]) < 1.05 * group
    every_page = 2 * 2_000 * (MIB + (16 << 10))
    assert reader_bytes(columns, [shard_of([5_000_000])]) == every_page
    texts = [*columns, Column("t", "string")]  # how large texts are is not known
    assert reader_bytes(texts, [shard_of([50_000])]) == 2 * (
        2_000 * (50_000 * 4 + (16 << 10)) + 50_000 * 8 + (16 << 10)
    )


def test_what_a_reader_holds_counts_for_each_lane() -> None:
    need = Need(model_bytes=0, row_bytes=400, most_rows=1_000)
    wide = Need(model_bytes=0, row_bytes=400, most_rows=1_000, page_bytes=100 * MIB)
    both = [each.bytes_for(lanes=2, chunk_rows=100, in_process=True) for each in (need, wide)]
    assert both[1] - both[0] == 200 * MIB


def test_every_process_knows_every_column() -> None:
    narrow, wide = (Need(model_bytes=0, row_bytes=400, most_rows=1_000, columns=columns) for columns in (0, 1_000))
    more = [
        wide.bytes_for(lanes=2, chunk_rows=100, in_process=here)
        - narrow.bytes_for(lanes=2, chunk_rows=100, in_process=here)
        for here in (True, False)
    ]
    assert more[1] == 3 * more[0] > 0
