"""The join of a run's rows with labels, and its proof: each row has at most one label, each label at most one row.

Ids are compared as text in one canonical form, so that an int32, an int64, a float that pandas made of it (`12.0`) and
a CSV's text are one id. Text that is a number counts as one only where the other side holds numbers: `00123` and `123`
are two ids where both sides are text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlserve_cli.errors import DataError, MlserveError, TypeMismatch, shown
from mlserve_cli.monitoring.evaluation import JoinAccount

Keep = Literal["error", "first", "last"]
Places = NDArray[np.int64]
NUMBER = r"^\+?(-?)0*(\d+)(?:\.0*)?$"


@dataclass(frozen=True, slots=True)
class LabelKeys:
    """Label rows that can be used, each id once: `keys` (large_string, no nulls) of the label rows `places`.

    The counts say where all other label rows went.
    """

    keys: pa.Array
    places: Places
    rows: int
    without_value: int
    too_late: int
    without_id: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Joined:
    """For each row of the run the place of its label, -1 where there is none (int64, shape [rows]); and the sums."""

    places: Places
    account: JoinAccount


def label_keys(
    ids: pa.Table,
    values: pa.ChunkedArray,
    *,
    numeric: tuple[bool, ...],
    times: pa.ChunkedArray | None = None,
    as_of: pa.Scalar | None = None,
    keep: Keep = "error",
) -> LabelKeys:
    """The labels that can be joined, each id once. `numeric` says which of the run's id columns hold numbers.

    A label without a value (null, NaN) is one that is not known yet. Where an id has several values, `keep` takes the
    first or last (by `times` where there are some, else by the order of the files); "error" takes them only where all
    are the same, and raises DataError (65) where they are not.
    """
    keys = row_keys(ids, numeric=numeric)
    known = _flags(pc.is_valid(_without_nan(values)))
    in_time = np.ones(len(known), np.bool_)
    if as_of is not None and times is not None:
        in_time = _flags(pc.fill_null(pc.less_equal(times, as_of), False))
    has_id = _flags(pc.is_valid(keys))
    usable = np.flatnonzero(known & in_time & has_id)
    if times is not None and keep != "error":
        usable = usable[np.argsort(_microseconds(times)[usable], kind="stable")]
    places = _one_of_each(keys, ids, values, usable, keep=keep)
    return LabelKeys(
        keys=keys.take(pa.array(places)),
        places=places,
        rows=len(known),
        without_value=int((~known).sum()),
        too_late=int((known & ~in_time).sum()),
        without_id=int((known & in_time & ~has_id).sum()),
        repeated=len(usable) - len(places),
    )


def join(ids: pa.Table, labels: LabelKeys, *, numeric: tuple[bool, ...]) -> Joined:
    """Find each run row's label, and prove what was found.

    Raises DataError (65) where an id stands in two rows of the run: its label would count twice.
    """
    keys = row_keys(ids, numeric=numeric)
    _refuse_repeats(keys, ids)
    found = pc.index_in(keys, value_set=labels.keys, skip_nulls=True)
    hits = _integers(pc.fill_null(found, -1))
    places = np.where(hits >= 0, labels.places[hits] if len(labels.places) else -1, -1)
    without_id = keys.null_count
    matched = int((places >= 0).sum())
    account = JoinAccount(
        rows=len(keys),
        matched=matched,
        unlabelled=len(keys) - matched - without_id,
        without_id=without_id,
        label_rows=labels.rows,
        labels_without_value=labels.without_value,
        labels_too_late=labels.too_late,
        labels_without_id=labels.without_id,
        labels_repeated=labels.repeated,
        labels_elsewhere=len(labels.places) - matched,
    )
    _prove(places, account, keys=keys, hits=hits, labels=labels)
    return Joined(places, account)


def row_keys(ids: pa.Table, *, numeric: tuple[bool, ...]) -> pa.Array:
    """One text for each row (large_string), equal where the ids are; null where any column of the id is."""
    texts = [
        canonical(column, name, as_number=number)
        for column, name, number in zip(ids.columns, ids.column_names, numeric, strict=True)
    ]
    if len(texts) == 1:
        return texts[0]
    framed: list[pa.Array] = []
    for text in texts:  # with its length before it, so that no two rows of texts look alike
        framed += [pc.binary_length(text).cast(pa.large_string()), text]
    return pc.binary_join_element_wise(*framed, pa.scalar(":", pa.large_string()))


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def canonical(column: pa.ChunkedArray, name: str, *, as_number: bool) -> pa.Array:
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = _whole_numbers(array)
    try:
        text = array.cast(pa.large_string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise TypeMismatch("--on", name, str(column.type), "text or numbers, to compare ids by") from error
    return pc.replace_substring_regex(text, NUMBER, r"\1\2") if as_number else text


def _whole_numbers(array: pa.Array) -> pa.Array:
    """Floats as text: whole ones as whole numbers, NaN as null."""
    values = np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    is_whole = (np.abs(values) < 2**63) & (np.trunc(values) == values)
    whole = pa.array(np.where(is_whole, values, 0).astype(np.int64)).cast(pa.large_string())
    fraction = pa.array(values, from_pandas=True).cast(pa.large_string())
    return pc.if_else(pa.array(is_whole), whole, fraction)


def _one_of_each(keys: pa.Array, ids: pa.Table, values: pa.ChunkedArray, usable: Places, *, keep: Keep) -> Places:
    """Of the usable label rows, in their order, one for each id."""
    chosen = keys.take(pa.array(usable)).dictionary_encode()
    codes = _integers(chosen.indices)
    first = np.empty(len(chosen.dictionary), np.int64)
    order = np.arange(len(codes)) if keep == "last" else np.arange(len(codes))[::-1]
    first[codes[order]] = order  # where an id stands several times, the last one written stays
    if keep == "error" and len(first) < len(codes):
        _refuse_contradictions(ids, values, usable, codes=codes, first=first)
    return np.sort(usable[first])


def _refuse_contradictions(
    ids: pa.Table, values: pa.ChunkedArray, usable: Places, *, codes: Places, first: Places
) -> None:
    told = _integers(pa.concat_arrays(values.take(pa.array(usable)).chunks).dictionary_encode().indices)
    differ = np.flatnonzero(told != told[first[codes]])
    if not len(differ):
        return
    row = int(differ[0])
    one, other = int(usable[first[codes[row]]]), int(usable[row])
    raise DataError(
        f"id {_id_at(ids, other)} has two labels, {shown(str(values[one].as_py()))} and "
        f"{shown(str(values[other].as_py()))}"
        + (f"; so have {len(differ) - 1:,} more rows" if len(differ) > 1 else ""),
        f"--labels, rows {one} and {other} of all their files",
        "--labels-keep last takes what came last, --labels-keep first what came first",
    )


def _refuse_repeats(keys: pa.Array, ids: pa.Table) -> None:
    rows = np.flatnonzero(_flags(pc.is_valid(keys)))
    codes = _integers(keys.take(pa.array(rows)).dictionary_encode().indices)
    counts = np.bincount(codes, minlength=1)
    repeats = np.flatnonzero(counts > 1)
    if not len(repeats):
        return
    first = _id_at(ids, int(rows[codes == repeats[0]][0]))
    raise DataError(
        f"{' and '.join(map(shown, ids.column_names))} {first} stands in {counts[repeats[0]]} rows of the run, "
        f"and {len(repeats) - 1:,} more ids in several: their labels would count more than once",
        "--on",
        "name what is unique in the run, as source_file,source_row are",
    )


def _id_at(ids: pa.Table, row: int) -> str:
    return " ".join(shown(str(column[row].as_py())) for column in ids.columns)


def _prove(places: Places, account: JoinAccount, *, keys: pa.Array, hits: Places, labels: LabelKeys) -> None:
    """Counted anew from the result: every pair has one id, no label is used twice, and nothing is lost."""
    pairs = np.flatnonzero(places >= 0)
    same = pc.all(pc.equal(keys.take(pa.array(pairs)), labels.keys.take(pa.array(hits[pairs]))), min_count=0).as_py()
    used_once = len(np.unique(places[pairs])) == len(pairs)
    if not (same and used_once and account.adds_up()):
        raise MlserveError("the join of labels did not prove right", f"{account}")


def _without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _flags(values: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(
        values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy(), bool
    )


def _integers(values: pa.Array) -> Places:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)


def _microseconds(times: pa.ChunkedArray) -> Places:
    """Times as numbers; one that is not known counts as the earliest."""
    return np.asarray(pc.fill_null(times.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy(), np.int64)
