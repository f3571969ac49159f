"""The sample's flights by month, as profiles of the columns that its models read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlserve_cli.profiles import Profile
from tests.profiles.draws import Values, profile_of
from tests.scoring.runs import SAMPLES

WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
SCHEDULE = ("hour", "minute", "sched_arr_time", "distance", "plane_year", "seats")
TEXTS = ("carrier", "origin", "dest")


def flights(*months: int) -> pa.Table:
    """The rows of these months, in their order; without `months` all of them."""
    paths = [SAMPLES / "flights" / f"month={month:02}" / "flights.parquet" for month in months or tuple(range(1, 13))]
    return pa.concat_tables(pq.ParquetFile(path).read(columns=[*WEATHER, *SCHEDULE, *TEXTS]) for path in paths)


def columns_of(table: pa.Table) -> dict[str, Values]:
    """Numbers with NaN where there is none, and texts."""
    numbers: dict[str, Values] = {
        name: np.asarray(table[name].cast(pa.float64()).fill_null(np.nan)) for name in (*WEATHER, *SCHEDULE)
    }
    return numbers | {name: table[name].combine_chunks() for name in TEXTS}


def profiled(*months: int) -> Profile:
    """The profile of these months."""
    return profile_of(columns_of(flights(*months)), source="flights")
