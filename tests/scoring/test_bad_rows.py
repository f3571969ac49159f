"""Bad rows: named, set aside with their reason, counted to the row, and without a trace in the scores of the others."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import helper

from mlserve_cli import Dialect, ScoreRequest, verify
from mlserve_cli.errors import BadRow, DataError, TooManyBadRows, UsageError
from tests.dishonest import logarithm, picky
from tests.models import FLOAT, INT64, Array, model_of, tensor
from tests.scoring.runs import contents, model_file, numbers, run, scored, set_aside, shard


def aside(folder: Path, **options: Any) -> list[dict[str, object]]:
    return list(set_aside(run(folder, on_error="quarantine", **options)).to_pylist())


# fail


def test_a_bad_row_is_named_by_file_row_column_and_value(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "day=1" / "s.csv", numbers(3))
    shard(folder / "in" / "day=2" / "s.csv", {**numbers(3), "b": ["1", "2", "two point five"]})
    with pytest.raises(BadRow) as refused:
        run(folder)
    assert refused.value.args == ("day=2/s.csv", 2, "b", "two point five", "not a number")
    assert refused.value.exit_code == 65
    assert "--on-error quarantine" in refused.value.hint


def test_the_column_is_named_as_the_file_calls_it(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.csv", {"a": [1, 2], "B b": [1, ""], "c": [1, 2]})
    with pytest.raises(BadRow) as refused:
        run(folder, rename={"b": "B b"})
    assert refused.value.args[1:] == (1, "B b", "", "null")


def test_a_row_on_which_the_model_fails_is_named_too(folder: Path) -> None:
    model_file(folder, picky())
    shard(folder / "in" / "s.parquet", {"X": [0, 1, 2, 3, 4, 0]})
    with pytest.raises(BadRow) as refused:
        run(folder)
    assert refused.value.args[:3] == ("s.parquet", 4, "")
    assert refused.value.args[4] == "the model fails on this row"


# quarantine


def test_the_quarantine_says_where_the_row_stood_and_what_was_wrong_first(folder: Path) -> None:
    model_file(folder)
    rows = ["a,b,c", "1,2,3", "x,,3", "1,2", "1,2,3,4", "1,1e400,3", "a,b,c", "1,2,3"]
    (folder / "in").mkdir()
    (folder / "in" / "s.csv").write_text("\n".join(rows))
    found = aside(folder)
    assert [(one["source_file"], one["source_row"], one["column"], one["reason"], one["value"]) for one in found] == [
        ("s.csv", 1, "a", "not a number", "x"),
        ("s.csv", 2, "", "too few fields", "2 instead of 3"),
        ("s.csv", 3, "", "too many fields", "4 instead of 3"),
        ("s.csv", 4, "b", "overflows float32", "1e400"),
        ("s.csv", 5, "a", "not a number", "a"),
    ]
    assert [one["faults"] for one in found] == [2, 1, 1, 1, 3]


def test_the_manifest_counts_the_reasons(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {**numbers(4), "a": [1.0, None, None, float("nan")]})
    shard(folder / "in" / "s.csv", {**numbers(3), "c": ["", "x", "1"]})
    result = run(folder, on_error="quarantine")
    assert result.manifest.rows.reasons == {"not a number": 1, "null": 4}
    assert [one.rows_quarantined for one in result.manifest.inputs] == [3, 2]
    assert result.manifest.run.status == "complete with rows in quarantine"
    assert result.exit_code == 3


@pytest.mark.parametrize("id_column", ["key", "reason"])
def test_the_quarantine_holds_the_id_where_rows_have_one(folder: Path, id_column: str) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {id_column: ["x", "y", "z"], **numbers(3), "b": [1.0, None, 2.0]})
    result = run(folder, on_error="quarantine", id_column=id_column)
    name = "id_reason" if id_column == "reason" else "key"
    assert [(one[name], one["source_row"]) for one in set_aside(result).to_pylist()] == [("y", 1)]
    assert scored(result)[id_column].to_pylist() == ["x", "z"]
    verify(str(result.output))


def test_a_run_without_bad_rows_has_no_quarantine(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.csv", numbers(3))
    result = run(folder, on_error="quarantine")
    assert result.exit_code == 0
    assert sorted(path.name for path in result.output.iterdir()) == ["data", "manifest.json"]


def test_a_shard_of_nothing_but_bad_rows_is_an_empty_part_beside_its_quarantine(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {**numbers(5), "c": [None] * 5})
    result = run(folder, on_error="quarantine", batch_rows=2)
    assert scored(result).num_rows == 0
    assert set_aside(result).num_rows == 5
    verify(str(result.output))


def test_ids_of_two_widths_stand_in_one_quarantine_file(folder: Path) -> None:
    model_file(folder)
    bad = {**numbers(2), "a": [None, 1.0]}
    shard(folder / "in" / "r.parquet", {"key": pa.array([1, 2], pa.int32()), **bad})
    shard(folder / "in" / "s.parquet", {"key": pa.array([2**40, 2], pa.int64()), **bad})
    run(folder, on_error="quarantine", id_column="key", output=str(folder / "out.parquet"))
    assert pq.read_table(folder / "out.parquet.quarantine.parquet")["key"].to_pylist() == [1, 2**40]


# how many


def with_bad(folder: Path, bad: int, *, rows: int = 40) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {**numbers(rows), "a": [None] * bad + [1.0] * (rows - bad)})


@pytest.mark.parametrize(("allowed", "bad"), [("3", 3), ("7.5%", 3), ("0", 0), ("0%", 0), ("100%", 40)])
def test_as_many_bad_rows_as_are_allowed_are_a_success(folder: Path, allowed: str, bad: int) -> None:
    with_bad(folder, bad)
    result = run(folder, on_error="quarantine", max_errors=allowed)
    assert (result.exit_code, result.manifest.rows.rows_quarantined) == (0, bad)


@pytest.mark.parametrize(("allowed", "bad"), [("3", 4), ("7.5%", 4), ("7.4%", 3), ("0", 1), ("0%", 1)])
def test_one_bad_row_more_fails_the_run_and_commits_nothing(folder: Path, allowed: str, bad: int) -> None:
    with_bad(folder, bad)
    before = contents(folder)
    with pytest.raises(TooManyBadRows) as refused:
        run(folder, on_error="quarantine", max_errors=allowed)
    assert refused.value.args[0] == bad
    assert refused.value.exit_code == 65
    assert contents(folder) == before


@given(hundredths=st.integers(0, 10_000), rows=st.integers(0, 10_000_000))
@example(hundredths=57, rows=10_000)  # 56 by way of a float
def test_a_share_of_the_rows_is_exact(hundredths: int, rows: int) -> None:
    asked = ScoreRequest("m", (), "o", max_errors=f"{hundredths // 100}.{hundredths % 100:02d}%")
    assert asked.allowed_errors(rows) == int(Fraction(hundredths, 10_000) * rows)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "5 %", "%", "1e3", "１０"])
def test_what_is_no_number_of_rows_is_a_usage_error(folder: Path, text: str) -> None:
    with_bad(folder, 0)
    with pytest.raises(UsageError):
        run(folder, on_error="quarantine", max_errors=text)


# the model fails


def test_the_rows_on_which_a_model_fails_are_found_among_many(folder: Path) -> None:
    model_file(folder, picky())
    values = [row % 4 for row in range(300)]
    odd = {0: 9, 1: -5, 77: 4, 128: 1000, 299: 4}
    shard(folder / "in" / "s.parquet", {"X": [odd.get(row, value) for row, value in enumerate(values)]})
    result = run(folder, on_error="quarantine", batch_rows=128)
    assert set_aside(result)["source_row"].to_pylist() == sorted(odd)
    assert set(set_aside(result)["reason"].to_pylist()) == {"the model fails on this row"}
    assert all("Gather" in text for text in set_aside(result)["value"].to_pylist())
    found = scored(result)
    assert found["Y"].to_pylist() == [values[row] for row in found["source_row"].to_pylist()]


def test_a_batch_that_only_fails_as_a_whole_is_refused_with_advice(folder: Path) -> None:
    """Fails where the rows of a batch sum to more than 3: each row alone is fine."""
    nodes = [
        helper.make_node("ReduceSum", ["X"], ["sum"], keepdims=1),
        helper.make_node("Gather", ["table", "sum"], ["zero"], axis=0),
        helper.make_node("Cast", ["X"], ["F"], to=FLOAT),
        helper.make_node("Reshape", ["zero", "one"], ["flat"]),
        helper.make_node("Add", ["F", "flat"], ["Y"]),
    ]
    constants: dict[str, Array] = {"table": np.zeros(4, np.float32), "one": np.array([1], np.int64)}
    model = model_of(nodes, [tensor("X", INT64, [None, 1])], [tensor("Y", FLOAT, [None, 1])], constants=constants)
    model_file(folder, model)
    shard(folder / "in" / "s.parquet", {"X": [1] * 8})
    with pytest.raises(DataError, match="each of its rows alone") as refused:
        run(folder, on_error="quarantine", batch_rows=8)
    assert "--batch-rows" in refused.value.hint
    assert scored(run(folder, on_error="quarantine", batch_rows=3)).num_rows == 8


def test_a_row_set_aside_changes_no_other_row_s_score(folder: Path) -> None:
    model_file(folder)
    columns = numbers(50)
    clean = shard(folder / "clean" / "s.parquet", columns)
    whole = scored(run(folder, inputs=(str(clean),), output=str(folder / "whole"), batch_rows=7))
    bad = {0, 6, 7, 13, 20, 21, 22, 23, 24, 25, 26, 27, 49}
    shard(folder / "in" / "s.parquet", {**columns, "b": [None if r in bad else v for r, v in enumerate(columns["b"])]})
    found = scored(run(folder, on_error="quarantine", batch_rows=7))
    kept = [row for row in range(50) if row not in bad]
    assert found["source_row"].to_pylist() == kept
    assert found["Y"].equals(whole["Y"].take(pa.array(kept)))


# scores that are not finite


def test_a_score_that_is_not_finite_makes_a_bad_row(folder: Path) -> None:
    model_file(folder, logarithm())
    shard(folder / "in" / "s.parquet", {"X": [1.0, 0.0, -1.0, 2.0]})
    found = aside(folder)
    assert [(one["source_row"], one["column"], one["reason"], one["value"]) for one in found] == [
        (1, "Y", "score is not finite", "-inf"),
        (2, "Y", "score is not finite", "nan"),
    ]
    with pytest.raises(BadRow) as refused:
        run(folder, output=str(folder / "other"))
    assert refused.value.args[1:] == (1, "Y", "-inf", "score is not finite")


def test_a_score_that_is_not_finite_is_written_where_it_is_meant(folder: Path) -> None:
    model_file(folder, logarithm())
    shard(folder / "in" / "s.parquet", {"X": [1.0, 0.0, -1.0]})
    for form in ("parquet", "csv"):
        result = run(folder, nan_scores="allow", output=str(folder / form), output_format=form)
        assert result.manifest.rows.rows_quarantined == 0
        verify(str(result.output))
    found = scored(run(folder, nan_scores="allow"))["Y"].to_pylist()
    assert found[:2] == [0.0, -np.inf]
    assert np.isnan(found[2])


# coerce


def test_what_coerce_changed_is_counted_by_column(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {"a": ["1", " 2 ", "x"], "b": [1, 2, 3], "c": [1.0, 2.0, 3.0]})
    shard(folder / "in" / "s.csv", {"a": ["1", " 2 ", "3"], "b": [1, 2, 3], "c": [1, 2, 3]})
    result = run(folder, schema_mode="coerce", on_error="quarantine")
    assert result.manifest.rows.coerced == {"a": 3}
    assert result.manifest.rows.reasons == {"not a number": 1}


def test_spaces_around_a_number_are_bad_where_nothing_is_coerced(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.csv", {"a": [" 2 "], "b": [1], "c": [1]})
    with pytest.raises(BadRow):
        run(folder)


def test_a_null_is_bad_a_value_or_filled_as_is_asked(folder: Path) -> None:
    model_file(folder, logarithm())
    shard(folder / "in" / "s.csv", {"X": ["1", "NA", "1"]})
    dialect = Dialect(null_values=("NA",))
    assert [one["reason"] for one in aside(folder, dialect=dialect)] == ["null"]
    allowed = run(folder, dialect=dialect, nulls="nan", nan_scores="allow", output=str(folder / "nan"))
    assert np.isnan(scored(allowed)["Y"].to_pylist()[1])
