"""The join: equal to a row-by-row oracle, one label for a row and one row for a label, over any types of ids."""

from __future__ import annotations

import datetime as dt
import math
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.errors import DataError, MlserveError, TypeMismatch
from mlserve_cli.monitoring.join import Joined, Keep, LabelKeys, _prove, holds_numbers, join, label_keys, row_keys


def joined(
    run: pa.Array, labels: pa.Array, values: pa.Array | None = None, *, keep: Keep = "error", **options: Any
) -> Joined:
    """The join on one id column."""
    ids, label_ids = pa.table({"id": run}), pa.table({"id": labels})
    told = pa.array(np.arange(len(labels))) if values is None else values
    numeric = (holds_numbers(run.type) or holds_numbers(labels.type),)
    keys = label_keys(label_ids, pa.chunked_array([told]), numeric=numeric, keep=keep, **options)
    return join(ids, keys, numeric=numeric)


IDS = st.one_of(st.none(), st.integers(-3, 12))
VALUES = st.sampled_from([None, math.nan, 0.0, 1.0])
KINDS = (pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.large_string())


def as_kind(ids: list[int | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array([None if one is None else str(one) for one in ids], kind)
    return pa.array(ids, kind)


def oracle(run: list[int | None], labels: list[tuple[int | None, float | None]], keep: Keep) -> list[int] | None:
    """Row by row; None where it must be refused."""
    if len({one for one in run if one is not None}) < sum(one is not None for one in run):
        return None
    known: dict[int, list[int]] = {}
    for place, (one, value) in enumerate(labels):
        if one is not None and value is not None and not math.isnan(value):
            known.setdefault(one, []).append(place)
    if keep == "error" and any(len({labels[place][1] for place in places}) > 1 for places in known.values()):
        return None
    return [known[one][-1 if keep == "last" else 0] if one is not None and one in known else -1 for one in run]


@given(
    run=st.lists(IDS, max_size=12),
    labels=st.lists(st.tuples(IDS, VALUES), max_size=16),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    keep=st.sampled_from(["error", "first", "last"]),
)
def test_it_is_what_going_row_by_row_gives(
    run: list[int | None],
    labels: list[tuple[int | None, float | None]],
    kinds: tuple[pa.DataType, pa.DataType],
    keep: Keep,
) -> None:
    expected = oracle(run, labels, keep)
    given_ids = as_kind(run, kinds[0]), as_kind([one for one, _ in labels], kinds[1])
    values = pa.array([value for _, value in labels], pa.float64(), from_pandas=False)

    if expected is None:
        with pytest.raises(DataError):
            joined(*given_ids, values, keep=keep)
        return
    found = joined(*given_ids, values, keep=keep)

    assert found.places.tolist() == expected
    used = [place for place in expected if place >= 0]
    account = found.account
    assert len(set(used)) == len(used) == account.matched
    assert account.rows == len(run) == account.matched + account.unlabelled + account.without_id
    assert account.label_rows == len(labels)
    assert account.adds_up()


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=8, unique=True))
def test_ids_of_two_columns_are_one_only_where_both_are(ids: list[tuple[str, str]]) -> None:
    table = pa.table({"a": pa.array([a for a, _ in ids], pa.string()), "b": pa.array([b for _, b in ids], pa.string())})

    keys = row_keys(table, numeric=(False, False))

    assert len(set(keys.to_pylist())) == len(ids)


@pytest.mark.parametrize(
    "label",
    [
        pa.array(["7"]),
        pa.array(["7.0"]),
        pa.array(["0007"]),
        pa.array(["+7"]),
        pa.array([7], pa.uint64()),
        pa.array([7.0]),
        pa.array([7.0], pa.float16()),
        pa.array([Decimal("7.00")]),
        pa.array(["7"]).dictionary_encode(),
    ],
    ids=str,
)
def test_a_number_is_one_id_however_it_is_spelled(label: pa.Array) -> None:
    assert joined(pa.array([6, 7], pa.int32()), label).places.tolist() == [-1, 0]


def test_texts_are_compared_as_they_stand() -> None:
    assert joined(pa.array(["00123", "x"]), pa.array(["123", "x "])).places.tolist() == [-1, -1]


def test_large_ids_keep_every_digit() -> None:
    run = pa.array([2**63 + 1, 2**53 + 1], pa.uint64())

    assert joined(run, pa.array([str(2**53), str(2**63 + 1)])).places.tolist() == [1, -1]


def test_two_spellings_of_one_number_are_two_labels_of_one_id() -> None:
    with pytest.raises(DataError, match="two labels, 0 and 1"):
        joined(pa.array([7]), pa.array(["7", "07"]), pa.array([0, 1]))


def test_days_are_ids_too() -> None:
    days = pa.array([dt.date(2026, 1, 1), dt.date(2026, 1, 2)])

    assert joined(days, pa.array(["2026-01-02"])).places.tolist() == [-1, 0]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(TypeMismatch, match="id"):
        joined(pa.array([[1]]), pa.array(["1"]))


def test_an_id_that_stands_twice_in_the_run_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="id b stands in 3 rows of the run"):
        joined(pa.array(["a", "b", "b", "b"]), pa.array(["a"]))


def test_an_id_of_two_columns_is_shown_as_its_two_values() -> None:
    ids = pa.table({"shop": ["x", "x", "y"], "receipt": [1, 1, 1]})
    labels = label_keys(ids, pa.chunked_array([pa.array([1, 1, 0])]), numeric=(False, True))

    with pytest.raises(DataError, match="shop and receipt x 1 stands in 2 rows"):
        join(ids, labels, numeric=(False, True))


def test_labels_that_contradict_each_other_are_named_with_their_rows() -> None:
    with pytest.raises(DataError, match="id b has two labels, 1 and 0") as raised:
        joined(pa.array(["a", "b"]), pa.array(["a", "b", "b"]), pa.array([1, 1, 0]))

    assert "rows 1 and 2" in raised.value.where
    assert "--labels-keep" in raised.value.hint


def test_a_label_said_twice_counts_once() -> None:
    found = joined(pa.array(["a", "b"]), pa.array(["a", "b", "b"]), pa.array([1, 0, 0]))

    assert found.places.tolist() == [0, 1]
    assert found.account.labels_repeated == 1


def test_what_is_not_known_yet_is_no_label_and_no_contradiction() -> None:
    found = joined(pa.array(["a", "b"]), pa.array(["a", "a", "b"]), pa.array([None, 1.0, math.nan]))

    assert found.places.tolist() == [1, -1]
    assert (found.account.labels_without_value, found.account.unlabelled) == (2, 1)


def test_the_label_that_counts_is_the_one_that_was_known_then() -> None:
    times = pa.chunked_array([pa.array([5, 1, 9], pa.timestamp("us"))])
    run, labels, values = pa.array(["a"]), pa.array(["a", "a", "a"]), pa.array([1, 0, 2])
    as_of = pa.scalar(6, pa.timestamp("us"))

    found = joined(run, labels, values, keep="last", times=times, as_of=as_of)

    assert found.places.tolist() == [0]
    assert (found.account.labels_too_late, found.account.labels_repeated) == (1, 1)
    assert joined(run, labels, values, keep="last", times=times).places.tolist() == [2]
    assert joined(run, labels, values, keep="first", times=times).places.tolist() == [1]


def test_a_wrong_pair_does_not_prove() -> None:
    keys = pa.array(["a", "b"], pa.large_string())
    right = joined(pa.array(["a", "b"]), pa.array(["b", "a"]))
    labels = LabelKeys(pa.array(["b", "a"], pa.large_string()), np.array([0, 1]), 2, 0, 0, 0, 0)
    swapped, twice = np.array([0, 1]), np.array([1, 1])

    _prove(right.places, right.account, keys=keys, hits=np.array([1, 0]), labels=labels)
    for places in (swapped, twice):
        with pytest.raises(MlserveError, match="did not prove"):
            _prove(places, right.account, keys=keys, hits=places, labels=labels)


@pytest.mark.slow
def test_a_million_rows_take_seconds() -> None:
    seed = np.random.default_rng(6)
    run = pa.array(seed.permutation(1_000_000).astype(np.int32))
    labels = pa.array(seed.permutation(1_000_000).astype(str))
    started = time.perf_counter()

    found = joined(run, labels)

    assert found.account.matched == 1_000_000
    assert time.perf_counter() - started < 20
