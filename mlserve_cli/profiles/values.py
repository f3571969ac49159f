"""The statistical profile of a data set or a run: per column counts, moments, quantiles and frequent values."""

from __future__ import annotations

from typing import Literal

from mlserve_cli.contract import Sealed, Value

PROFILE_FORMAT = 1


class ColumnProfile(Value, frozen=True):
    """One column. Counts, extremes and moments are over every row; quantiles over `sampled` of its finite values.

    `nulls` are missing values, `nans` NaN that stand in the data as such, `infinities` both signs; `minimum`,
    `maximum`, `mean` and `sum_of_squares` (of deviations from the mean) are over finite values, None where there is
    none. `quantiles` is a KLL sketch of doubles (Apache DataSketches, serialised). Of a category, `distinct` estimates
    how many values there are, `frequent` holds the most frequent with their counts, `other` counts all the rest.
    """

    kind: Literal["number", "category"]
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


class Profile(Sealed, frozen=True):
    """Of `rows` rows, every feature that the model reads and every score that it gives, each by its name.

    `source` says what was profiled (a run, a path), `model` is the digest of the model that read and scored it, "" for
    plain data; `quantile_rows` is the number of rows that went to the quantiles, evenly spread over all.
    """

    known_format = PROFILE_FORMAT
    rows: int
    quantile_rows: int
    source: str
    model: str
    features: dict[str, ColumnProfile]
    scores: dict[str, ColumnProfile]
    digest: str = ""
