"""What is refused on types alone, before the first row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlserve_cli.errors import DuplicateColumn, MissingColumn, TypeMismatch
from mlserve_cli.features import check_types
from mlserve_cli.features._types import item_of, kind_of
from tests.features.columns import contract_for


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(MissingColumn) as caught:
        check_types(contract_for("float32", columns=("Age",)), [("age ", "double")], file="a.parquet")
    assert caught.value.hint == "did you mean 'age '?"


def test_a_column_that_stands_twice_matters_only_when_it_is_used() -> None:
    twice = [("c", "double"), ("c", "double"), ("x", "int64"), ("x", "string")]
    with pytest.raises(DuplicateColumn):
        check_types(contract_for("float32"), twice, file="a.parquet")
    check_types(contract_for("float32"), twice[1:], file="a.parquet")


def test_columns_may_stand_in_any_order_among_others() -> None:
    contract = contract_for("float32", shape=(None, 2), columns=("b", "a"))
    check_types(contract, [("x", "timestamp[us]"), ("a", "int8"), ("b", "text")], file="a.csv")


def test_csv_text_may_feed_anything_that_is_no_list() -> None:
    for dtype in ("float16", "float64", "int8", "uint64", "bool", "string"):
        check_types(contract_for(dtype), [("c", "text")], file="a.csv")
    with pytest.raises(TypeMismatch, match="holds text, the model takes a list of 2 float32"):
        check_types(contract_for("float32", shape=(None, 2)), [("c", "text")], file="a.csv")


def test_a_column_under_the_files_own_name_is_the_one_that_is_looked_for() -> None:
    import msgspec

    contract = msgspec.structs.replace(contract_for("float32"), rename={"c": "C col"})
    check_types(contract, [("C col", "float")], file="a.parquet")
    with pytest.raises(MissingColumn, match="C col"):
        check_types(contract, [("c", "float")], file="a.parquet")


@pytest.mark.parametrize(
    ("type_", "item", "size"),
    [
        (pa.list_(pa.float32()), "float", None),
        (pa.list_(pa.float32(), 3), "float", 3),
        (pa.large_list(pa.int8()), "int8", None),
        (pa.list_(pa.list_(pa.float64(), 3), 2), "double", 6),
        (pa.list_(pa.list_(pa.float64()), 2), "double", None),
        (pa.list_(pa.field("element", pa.float32(), nullable=False), 4), "float", 4),
        (pa.list_(pa.field("item", pa.float32(), metadata={"a": "b"})), "float", None),
        (pa.list_(pa.timestamp("us", "Europe/Oslo")), "timestamp[us, tz=Europe/Oslo]", None),
        (pa.list_(pa.dictionary(pa.int32(), pa.string())), "dictionary<values=string, indices=int32, ordered=0>", None),
        (pa.list_(pa.decimal128(9, 2), 2), "decimal128(9, 2)", 2),
        (pa.list_(pa.field("odd name, <x>", pa.float32()), 2), "float", 2),
    ],
    ids=str,
)
def test_a_list_type_is_read_from_its_text(type_: pa.DataType, item: str, size: int | None) -> None:
    assert item_of(str(type_)) == (item, size)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.dictionary(pa.int8(), pa.int64()), "int64"),
        (pa.decimal32(5, 2), "decimal"),
        (pa.decimal256(50, 2), "decimal"),
        (pa.float16(), "float"),
        (pa.string_view(), "string"),
        (pa.binary(), "other"),
        (pa.time64("us"), "other"),
        (pa.struct([("a", pa.int8())]), "other"),
        (pa.list_(pa.int8()), "other"),
        (pa.null(), "null"),
    ],
    ids=str,
)
def test_the_kind_of_a_type_is_read_from_its_text(type_: pa.DataType, kind: str) -> None:
    assert kind_of(str(type_)) == kind
