"""The statistical profile of a data set or a run: per column counts, moments, quantiles and frequent values."""

from __future__ import annotations

import math
from typing import Literal

from mlserve_cli.contract import Sealed, Value

PROFILE_FORMAT = 1
Kind = Literal["number", "category"]


class ColumnProfile(Value, frozen=True):
    """One column. Counts, extremes and moments are over every row; quantiles over `sampled` of its finite values.

    `nulls` are missing values, `nans` NaN that stand in the data as such, `infinities` both signs; `minimum`,
    `maximum`, `mean` and `sum_of_squares` (of deviations from the mean) are over finite values, None where there is
    none. `quantiles` is a KLL sketch of doubles (Apache DataSketches, serialised).

    Of a category, `frequent` holds values with their counts, the most frequent first, and `other` counts all the rest.
    Up to KEPT_VALUES distinct values all of them are there and `other` is 0; beyond that each count is exact or too
    low, by less than rows / KEPT_VALUES. `distinct` says how many values there are: exactly while `other` is 0, else
    as `distinct_sketch` (HyperLogLog) estimates it.
    """

    kind: Kind
    rows: int
    nulls: int
    nans: int = 0
    infinities: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sum_of_squares: float = 0.0
    sampled: int = 0
    quantiles: bytes = b""
    distinct: float | None = None
    frequent: dict[str, int] = {}
    other: int = 0
    distinct_sketch: bytes = b""

    @property
    def present(self) -> int:
        """Rows with a value: finite numbers, or any category."""
        return self.rows - self.nulls - self.nans - self.infinities

    @property
    def null_share(self) -> float:
        """The share of rows without a value, null or NaN: 0 where there are no rows."""
        return (self.nulls + self.nans) / self.rows if self.rows else 0.0

    @property
    def standard_deviation(self) -> float | None:
        """Of the sample (n - 1); None where there are fewer than two finite values."""
        return (
            math.sqrt(self.sum_of_squares / (self.present - 1)) if self.mean is not None and self.present > 1 else None
        )


class Profile(Sealed, frozen=True):
    """Of `rows` rows, every feature that the model reads and every score that it gives, each by its name.

    `source` says what was profiled (a run, a path), `model` is the digest of the model that read and scored it, "" for
    plain data; `quantile_rows` is the number of rows that went to the quantiles, evenly spread over all. A list in a
    column becomes a column for each of its places (`name[0]`); `left_out` names columns that have no profile: lists
    with more places than MOST_PLACES, and types that are neither numbers nor text.
    """

    known_format = PROFILE_FORMAT
    rows: int
    quantile_rows: int
    source: str
    model: str
    features: dict[str, ColumnProfile]
    scores: dict[str, ColumnProfile]
    left_out: tuple[str, ...] = ()
    digest: str = ""
