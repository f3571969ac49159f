"""Flights into shards: the sample under Hive folders in two formats, and any number of rows for benchmarks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import source

SAMPLE_ROWS = 10_500  # both formats together stay under 2 MB
SEED = 2013
CHUNK_ROWS = 131_072

_ARROW_TYPES: dict[pl.DataType, pa.DataType] = {
    pl.Int16(): pa.int16(),
    pl.Int32(): pa.int32(),
    pl.Int64(): pa.int64(),
    pl.Float64(): pa.float64(),
    pl.String(): pa.string(),  # polars itself would hand over string views, which many readers do not know
    pl.Datetime("us", "UTC"): pa.timestamp("us", "UTC"),
}


def write_sample(year: pl.DataFrame, *, output: Path) -> pl.DataFrame:
    """Write one shard a month, as Parquet and as CSV with the same values; return the rows as they are read back."""
    sample = _draw(year)
    for (month,), rows in sample.group_by("month", maintain_order=True):
        for folder, kind in (("flights", "parquet"), ("flights_csv", "csv")):
            path = output / folder / f"month={month:02}" / f"flights.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            WRITERS[kind](path, iter([rows.drop("month")]))  # a Hive key is never a column of the file too
    written = source.read_sample(output / "flights")
    assert written.equals(sample), "the Parquet shards do not hold what was drawn"
    assert written.equals(_read_csv_shards(output / "flights_csv")), "CSV and Parquet differ"
    return written


def write_repeated(base: pl.DataFrame, *, rows: int, shards: int, kind: str, output: Path) -> None:
    """Write `rows` flights in `shards` files, repeating the base with new ids; memory does not grow with rows."""
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise SystemExit(f"{output} is not empty: rows of two runs must not mix")
    edges = [rows * shard // shards for shard in range(shards + 1)]
    for shard in range(shards):
        chunks = _repeat(base, start=edges[shard], stop=edges[shard + 1])
        WRITERS[kind](output / f"part-{shard:05}.{kind}", chunks)


def _draw(year: pl.DataFrame) -> pl.DataFrame:
    """A sample of fixed size without replacement, in the order of the months, in the source's order inside each."""
    ranks = np.random.default_rng(SEED).random(year.height).argsort()
    return year[np.sort(ranks[:SAMPLE_ROWS])].sort("month", maintain_order=True)


def _repeat(base: pl.DataFrame, *, start: int, stop: int) -> Iterator[pl.DataFrame]:
    """Rows [start, stop) of the endless repetition of base, in chunks; an empty range is one empty chunk."""
    while True:
        lap, first = divmod(start, base.height)
        rows = base.slice(first, min(CHUNK_ROWS, stop - start))
        yield rows.with_columns(pl.col("flight_id") + lap * source.YEAR_ROWS)
        start += rows.height
        if start >= stop:
            return


def _write_parquet(path: Path, chunks: Iterator[pl.DataFrame]) -> None:
    """One row group per chunk, with page checksums."""
    first = next(chunks)
    schema = pa.schema([(name, _ARROW_TYPES[dtype]) for name, dtype in first.schema.items()])
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(first.to_arrow().cast(schema))
        for chunk in chunks:
            writer.write_table(chunk.to_arrow().cast(schema))


def _write_csv(path: Path, chunks: Iterator[pl.DataFrame]) -> None:
    """Floats in the shortest form that reads back as the same value."""
    with path.open("wb") as file:
        for number, chunk in enumerate(chunks):
            chunk.write_csv(
                file, include_header=number == 0, null_value=source.NULL, datetime_format="%Y-%m-%dT%H:%M:%SZ"
            )


def _read_csv_shards(folder: Path) -> pl.DataFrame:
    """The CSV shards with the types of the schema, by way of text: nothing is guessed."""
    frames = []
    for path in sorted(folder.glob("month=*/*.csv"), key=lambda path: path.as_posix().encode()):
        text = pl.read_csv(path, null_values=source.NULL, infer_schema=False)
        times = text.with_columns(
            pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"),
            month=pl.lit(path.parent.name.removeprefix("month=")),
        )
        frames.append(times.select(source.SCHEMA.names()).cast(source.SCHEMA))
    return pl.concat(frames)


WRITERS: dict[str, Callable[[Path, Iterator[pl.DataFrame]], None]] = {"parquet": _write_parquet, "csv": _write_csv}
