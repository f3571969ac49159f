"""Profiles of parts into the profile of the whole: counts, extremes and frequent values add up, sketches merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from mlserve_cli.errors import RunMismatch, shown
from mlserve_cli.profiles.categories import Tally
from mlserve_cli.profiles.numbers import bounded, combined
from mlserve_cli.profiles.sketch import merged_quantiles
from mlserve_cli.profiles.values import PROFILE_FORMAT, ColumnProfile, Profile


def merge(profiles: Sequence[Profile], *, source: str, model: str) -> Profile:
    """One profile of all the rows, in the order given; of none, a profile of no rows.

    The quantiles weigh the parts by the values that were sampled of each: parts of one run, or of runs sampled alike.
    Raises RunMismatch (65) where a column is a number in one and a category in another.
    """
    return Profile(
        format=PROFILE_FORMAT,
        rows=sum(one.rows for one in profiles),
        quantile_rows=sum(one.quantile_rows for one in profiles),
        source=source,
        model=model,
        features=_merged([one.features for one in profiles]),
        scores=_merged([one.scores for one in profiles]),
        left_out=tuple(dict.fromkeys(name for one in profiles for name in one.left_out)),
    )


def merge_columns(columns: Sequence[ColumnProfile], *, name: str = "") -> ColumnProfile:
    """One column's profile over all its parts. Raises RunMismatch (65) where they are of two kinds."""
    kinds = {column.kind for column in columns}
    if len(kinds) > 1:
        raise RunMismatch(f"column {shown(name)} is a number in one profile and a category in another")
    return _merged_categories(columns) if kinds == {"category"} else _merged_numbers(columns)


def _merged(parts: Sequence[Mapping[str, ColumnProfile]]) -> dict[str, ColumnProfile]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: merge_columns([part[name] for part in parts if name in part], name=name) for name in names}


def _merged_numbers(columns: Sequence[ColumnProfile]) -> ColumnProfile:
    some = [column for column in columns if column.present]
    count, mean, squares = reduce(
        combined, ((column.present, column.mean or 0.0, column.sum_of_squares) for column in some), (0, 0.0, 0.0)
    )
    return ColumnProfile(
        kind="number",
        rows=sum(column.rows for column in columns),
        nulls=sum(column.nulls for column in columns),
        nans=sum(column.nans for column in columns),
        infinities=sum(column.infinities for column in columns),
        minimum=min((column.minimum for column in some if column.minimum is not None), default=None),
        maximum=max((column.maximum for column in some if column.maximum is not None), default=None),
        mean=bounded(mean) if count else None,
        sum_of_squares=bounded(squares),
        sampled=sum(column.sampled for column in columns),
        quantiles=merged_quantiles(column.quantiles for column in columns),
    )


def _merged_categories(columns: Sequence[ColumnProfile]) -> ColumnProfile:
    tally = Tally()
    for column in columns:
        tally.add(column.frequent, distinct_sketch=column.distinct_sketch)
    return tally.column(rows=sum(column.rows for column in columns), nulls=sum(column.nulls for column in columns))
