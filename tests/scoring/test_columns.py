"""Which columns feed the model and which are carried over, from shards that do not agree with each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlserve_cli import Dialect, verify
from mlserve_cli.errors import (
    DuplicateColumn,
    InvalidModel,
    MissingColumn,
    MlserveError,
    TypeMismatch,
    UsageError,
)
from mlserve_cli.scoring.carried import common_schema, decode_schema, encode_schema
from tests.models import FLOAT, identity, linear, mixed_columns
from tests.scoring.runs import model_file, numbers, run, scored, shard


def scores(folder: Path, **options: Any) -> list[Any]:
    return list(scored(run(folder, **options))["Y"].to_pylist())


# Features


def test_columns_feed_the_model_by_name_whatever_their_order(folder: Path) -> None:
    model_file(folder)
    columns = numbers(4)
    shard(folder / "in" / "r.parquet", columns)
    shard(folder / "in" / "s.parquet", {name: columns[name] for name in ("c", "a", "b")})
    shard(folder / "in" / "t.csv", {"more": ["x"] * 4, **{name: columns[name] for name in ("b", "c", "a")}})
    found = scores(folder)
    assert found[:4] == found[4:8] == found[8:]


def test_file_order_takes_the_first_shard_s_columns(folder: Path) -> None:
    model_file(folder, linear(3))
    columns = numbers(4, columns=("z", "x", "y"))
    shard(folder / "in" / "r.parquet", columns)
    shard(folder / "in" / "s.csv", {name: columns[name] for name in ("x", "y", "z")})
    found = scores(folder, features=("file-order",))
    assert found[:4] == found[4:]
    assert run(folder, features=("file-order",), output=str(folder / "o2")).manifest.plan.contract.columns == (
        "z", "x", "y"
    )  # fmt: skip


def test_file_order_of_another_number_of_columns_is_refused(folder: Path) -> None:
    model_file(folder, linear(3))
    shard(folder / "in" / "r.parquet", {"id": [1], **numbers(1)})
    with pytest.raises(UsageError, match="names 4 columns"):
        run(folder, features=("file-order",))


def test_a_matrix_that_nothing_names_is_refused_with_the_way_to_name_it(folder: Path) -> None:
    model_file(folder, linear(3))
    shard(folder / "in" / "r.parquet", numbers(1))
    with pytest.raises(InvalidModel) as refused:
        run(folder)
    assert "--features" in refused.value.hint


def test_a_file_without_a_header_is_fed_by_position(folder: Path) -> None:
    model_file(folder)
    (folder / "in").mkdir()
    (folder / "in" / "s.csv").write_text("x,1,2,3\ny,4,5,6\n")
    shard(folder / "named" / "s.csv", {"a": [3, 6], "b": [1, 4], "c": [2, 5]})
    found = scores(folder, features=("#4,#2,#3",), dialect=Dialect(header=False))
    assert found == scores(folder, inputs=(str(folder / "named"),), output=str(folder / "named-out"))


def test_a_renamed_column_feeds_the_feature(folder: Path) -> None:
    model_file(folder)
    columns = numbers(3)
    shard(folder / "in" / "s.parquet", columns)
    shard(folder / "other" / "s.parquet", {"a": columns["a"], "B (mm)": columns["b"], "c": columns["c"]})
    renamed = scores(folder, inputs=(str(folder / "other"),), rename={"b": "B (mm)"}, output=str(folder / "renamed"))
    assert renamed == scores(folder)


def test_a_missing_feature_is_named_with_the_nearest_name(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", numbers(3))
    shard(folder / "in" / "s.parquet", {"a": [1.0], " B": [1.0], "c": [1.0]})
    with pytest.raises(MissingColumn) as refused:
        run(folder)
    assert (refused.value.args[:2], refused.value.hint) == (("s.parquet", "b"), "did you mean ' B'?")


def test_a_feature_that_stands_twice_is_refused_and_any_other_may(folder: Path) -> None:
    model_file(folder)
    (folder / "in").mkdir()
    (folder / "in" / "s.csv").write_text("a,b,c,x,x\n1,2,3,4,5\n")
    assert len(scores(folder)) == 1
    for options in ({"passthrough": ("x",)}, {"id_column": "x"}):
        with pytest.raises(DuplicateColumn):
            run(folder, output=str(folder / "o2"), **options)
    (folder / "in" / "s.csv").write_text("a,b,c,a\n1,2,3,4\n")
    with pytest.raises(DuplicateColumn):
        run(folder, output=str(folder / "o3"))


def test_hive_keys_are_features_and_are_carried(folder: Path) -> None:
    model_file(folder)
    for value in ("0.5", "01"):
        shard(folder / "in" / f"b={value}" / "s.parquet", {"a": [1.0, 2.0], "c": [3.0, 4.0]})
        shard(folder / "flat" / f"{value}.parquet", {"a": [1.0, 2.0], "b": [float(value)] * 2, "c": [3.0, 4.0]})
    result = run(folder, passthrough=("b",))
    flat = scores(folder, inputs=(str(folder / "flat"),), output=str(folder / "flat-out"))
    assert scored(result)["Y"].to_pylist() == flat
    assert scored(result)["b"].to_pylist() == ["0.5", "0.5", "01", "01"]


def test_a_hive_key_that_is_no_number_makes_bad_rows(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "b=1" / "s.parquet", {"a": [1.0], "c": [3.0]})
    shard(folder / "in" / "b=x" / "s.parquet", {"a": [1.0], "c": [3.0]})
    assert run(folder, on_error="quarantine").manifest.rows.reasons == {"not a number": 1}


def test_one_input_per_column_of_four_types_from_both_formats(folder: Path) -> None:
    model_file(folder, mixed_columns())
    cities = ["Oslo", "Rome", "Oslo"]
    shard(
        folder / "in" / "r.parquet",
        {
            "age": [1.0, 2.0, 3.0],
            "city": pa.array(cities).dictionary_encode(),
            "visits": pa.array([1, 2, 3], pa.int8()),
            "member": [True, False, True],
        },
    )
    shard(
        folder / "in" / "s.csv",
        {"age": [1, 2, 3], "city": cities, "visits": [1, 2, 3], "member": ["true", "0", "1"]},
    )
    found = scored(run(folder))["score"].to_pylist()
    assert found[:3] == found[3:] == [1111.0, 202.0, 1313.0]


def test_a_list_column_feeds_a_whole_matrix(folder: Path) -> None:
    model_file(folder, identity(FLOAT, [None, 3]))
    shard(folder / "in" / "s.parquet", {"vector": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]})
    assert scores(folder, features=("vector",)) == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_text_where_a_number_is_wanted_is_refused_with_both_types(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {**numbers(2), "b": ["1", "2"]})
    with pytest.raises(TypeMismatch) as refused:
        run(folder)
    assert refused.value.args == ("s.parquet", "b", "string", "float32")
    assert "--schema-mode coerce" in refused.value.hint
    assert len(scores(folder, schema_mode="coerce")) == 2


# Carried columns


def test_columns_are_carried_verbatim(folder: Path) -> None:
    model_file(folder)
    odd = ["00123", " x ", "NA", 'say "hi"', "a,b", "two\nlines", "=1+1"]
    shard(folder / "in" / "s.csv", {"code": odd, **numbers(7)})
    assert scored(run(folder, passthrough=("code",)))["code"].to_pylist() == odd
    run(folder, passthrough=("code",), output=str(folder / "one.csv"))
    again = run(folder, inputs=(str(folder / "one.csv"),), output=str(folder / "again"), features=("Y,Y,Y",))
    assert again.manifest.rows.rows_in == 7


def test_all_carries_every_column_and_none_carries_none(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "k=1" / "s.parquet", {"id": [1], **numbers(1), "note": ["x"]})
    every = scored(run(folder, passthrough=("all",), id_column="id"))
    assert every.column_names == ["id", "a", "b", "c", "note", "k", "Y"]
    none = scored(run(folder, passthrough=("none",), output=str(folder / "none")))
    assert none.column_names == ["source_file", "source_row", "Y"]


def test_timestamps_decimals_and_nested_values_are_carried_unchanged(folder: Path) -> None:
    model_file(folder)
    kept = {
        "at": pa.array([1, None], pa.timestamp("ns", "Europe/Oslo")),
        "price": pa.array(["1.10", "2.25"]).cast(pa.decimal128(9, 2)),
        "tags": pa.array([[{"k": 1}], None], pa.list_(pa.struct([("k", pa.int32())]))),
    }
    shard(folder / "in" / "s.parquet", {**numbers(2), **kept})
    result = run(folder, passthrough=tuple(kept))
    for name, values in kept.items():
        assert scored(result)[name].combine_chunks().equals(values), name
    verify(str(result.output))


WIDENED: dict[str, tuple[pa.DataType, pa.DataType, pa.DataType]] = {
    "small and large ints": (pa.int8(), pa.int64(), pa.int64()),
    "signed and unsigned": (pa.int8(), pa.uint8(), pa.int16()),
    "unsigned 32 and signed": (pa.uint32(), pa.int32(), pa.int64()),
    "unsigned into a larger signed": (pa.uint16(), pa.int32(), pa.int32()),
    "floats": (pa.float32(), pa.float64(), pa.float64()),
    "ints that a float holds": (pa.int32(), pa.float64(), pa.float64()),
    "nothing but nulls": (pa.null(), pa.date32(), pa.date32()),
    "text and categories": (pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.string()),
    "text and large text": (pa.string(), pa.large_string(), pa.large_string()),
}
CLASHING: dict[str, tuple[pa.DataType, pa.DataType]] = {
    "ints that no float holds": (pa.int64(), pa.float64()),
    "unsigned 64 and signed": (pa.uint64(), pa.int8()),
    "text and numbers": (pa.string(), pa.int64()),
    "times of other units": (pa.timestamp("s"), pa.timestamp("ns")),
    "bools and ints": (pa.bool_(), pa.int8()),
}


def two_shards(folder: Path, one: pa.DataType, other: pa.DataType) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {**numbers(2), "x": pa.nulls(2, one)})
    shard(folder / "in" / "s.parquet", {**numbers(2), "x": pa.nulls(2, other)})


@pytest.mark.parametrize("what", WIDENED)
@pytest.mark.parametrize("turned", [False, True])
def test_types_of_shards_that_differ_become_one_without_loss(folder: Path, what: str, turned: bool) -> None:
    one, other, common = WIDENED[what]
    two_shards(folder, *((other, one) if turned else (one, other)))
    result = run(folder, passthrough=("x",))
    assert scored(result).schema.field("x").type == common
    verify(str(result.output))


@pytest.mark.parametrize("what", CLASHING)
@pytest.mark.parametrize("turned", [False, True])
def test_types_with_no_common_one_are_refused_by_file_and_column(folder: Path, what: str, turned: bool) -> None:
    one, other = CLASHING[what]
    two_shards(folder, *((other, one) if turned else (one, other)))
    with pytest.raises(TypeMismatch) as refused:
        run(folder, passthrough=("x",))
    assert refused.value.args[:2] == ("s.parquet", "x")


@pytest.mark.parametrize("names", [("r.parquet", "s.csv"), ("s.parquet", "r.csv")])
def test_numbers_of_a_parquet_shard_and_text_of_a_csv_are_refused(folder: Path, names: Sequence[str]) -> None:
    model_file(folder)
    for name in names:
        shard(folder / "in" / name, {**numbers(2), "x": [1, 2]})
    with pytest.raises(TypeMismatch) as refused:
        run(folder, passthrough=("x",))
    assert refused.value.args[:2] == (max(names), "x")
    assert {"int64", "string"} == {text.split(",")[0] for text in refused.value.args[2:]}


def test_values_survive_the_widening(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {**numbers(2), "x": pa.array([-128, 127], pa.int8())})
    shard(folder / "in" / "s.parquet", {**numbers(2), "x": pa.array([0, 2**63 - 1], pa.int64())})
    assert scored(run(folder, passthrough=("x",)))["x"].to_pylist() == [-128, 127, 0, 2**63 - 1]


def test_a_carried_column_that_a_shard_lacks_is_named(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "r.parquet", {**numbers(2), "x": [1, 2]})
    shard(folder / "in" / "s.parquet", numbers(2))
    for options in ({"passthrough": ("x",)}, {"passthrough": ("all",)}, {"id_column": "x"}):
        with pytest.raises(MissingColumn) as refused:
            run(folder, **options)
        assert refused.value.args[:2] == ("s.parquet", "x")


CLASHES: dict[str, dict[str, Any]] = {
    "a carried column called as the output": {"passthrough": ("Y",)},
    "the id called as the output": {"id_column": "Y"},
    "an output called as the row's source": {"output_columns": {"Y": "source_row"}},
    "a carried column called as the row's source": {"passthrough": ("source_file",)},
}


@pytest.mark.parametrize("what", CLASHES)
def test_a_name_that_would_stand_twice_is_refused(folder: Path, what: str) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {**numbers(2), "Y": [1, 2], "source_file": ["x", "y"]})
    with pytest.raises(InvalidModel, match="twice") as refused:
        run(folder, **CLASHES[what])
    assert refused.value.exit_code == 78
    assert "--" in refused.value.hint


def test_the_output_of_one_run_is_the_input_of_the_next(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {"id": [7, 8], **numbers(2)})
    first = run(folder, passthrough=("all",), id_column="id")
    second = run(
        folder,
        inputs=(str(first.output / "data"),),
        output=str(folder / "second"),
        passthrough=("Y",),
        id_column="id",
        output_columns={"Y": "second"},
    )
    found = scored(second)
    assert found["Y"].equals(found["second"])


def test_a_column_asked_for_twice_is_a_usage_error(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.parquet", {**numbers(2), "x": [1, 2]})
    for options in ({"passthrough": ("x", "x")}, {"id_column": "x", "passthrough": ("x",)}):
        with pytest.raises(UsageError, match="twice"):
            run(folder, **options)


def test_a_feature_may_be_carried_too_as_it_stood_in_the_file(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "s.csv", {**numbers(2), "a": ["1e0", "+2"]})
    assert scored(run(folder, passthrough=("a",)))["a"].to_pylist() == ["1e0", "+2"]


def test_a_schema_survives_its_text_form() -> None:
    schema = pa.schema([("x", pa.list_(pa.struct([("y", pa.decimal128(5, 2))]))), ("z", pa.string())])
    assert decode_schema(encode_schema(schema)) == schema
    assert common_schema((), ()) == pa.schema([])


# Rows


def test_a_thousand_columns_are_one_matrix(folder: Path) -> None:
    names = [f"f{place}" for place in range(1_000)]
    model_file(folder, linear(1_000))
    shard(folder / "in" / "s.parquet", {name: [1.0] for name in names})
    assert len(scores(folder, features=(",".join(reversed(names)),))) == 1


def test_a_shard_that_does_not_fit_is_refused_before_the_first_batch(folder: Path) -> None:
    model_file(folder)
    shard(folder / "in" / "a.parquet", numbers(2))
    shard(folder / "in" / "z.parquet", {**numbers(2), "c": pa.array([1, None], pa.date32())})
    with pytest.raises(MlserveError):
        run(folder, on_error="quarantine")
    assert sorted(path.name for path in folder.iterdir()) == ["in", "model.onnx"]
