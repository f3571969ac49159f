"""Makes what lies in this folder, the same flights in any number, and from a seed alone rows and models of benchmarks.

python sample_data/make.py sample
python sample_data/make.py flights --rows 4000000 --shards 8 --format parquet --output /somewhere/flights-4m
python sample_data/make.py bench --rows 4000000 --shards 8 --output /somewhere/bench
"""

import argparse
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = ["lr", "mlp", "lgb", "xgb", "rf", "mlp-int8-static", "mlp-int8-dynamic"]


def main() -> None:
    """Run one of the two sub-commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    sample = commands.add_parser("sample", help="data, models and expected scores; needs requirements.txt")
    sample.add_argument("--output", type=Path, default=HERE, help="where to write (default: this folder)")
    sample.set_defaults(run=make_sample)
    flights = commands.add_parser("flights", help="all flights, or any number of them; needs polars and pyarrow only")
    flights.add_argument("--rows", type=int, help="how many (default: all 336,776 once); more than there are repeat")
    flights.add_argument("--shards", type=int, default=1, help="files of about equal size")
    flights.add_argument("--format", choices=["csv", "parquet"], default="parquet")
    flights.add_argument("--output", type=Path, required=True, help="a folder without shards in it")
    flights.set_defaults(run=make_flights)
    bench = commands.add_parser("bench", help="synthetic rows and models; rows alone need numpy and pyarrow only")
    bench.add_argument("--rows", type=int, default=1_000_000)
    bench.add_argument("--shards", type=int, default=8, help="files of about equal size")
    bench.add_argument("--models", nargs="*", choices=MODELS, default=MODELS, metavar="NAME", help=", ".join(MODELS))
    bench.add_argument("--output", type=Path, required=True, help="a folder; what stands there already is kept")
    bench.set_defaults(run=make_bench)
    args = parser.parse_args()
    args.run(args)


def make_sample(args: argparse.Namespace) -> None:
    """Write the sample, train on the whole year, and check every model against its library on every sample row."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it once, when it is imported
    import models  # here, because it needs the training libraries, which the other commands do without
    import shards
    import source

    year = source.read_year()
    sample = shards.write_sample(year, output=args.output)
    for line in models.make_all(year, sample=sample, output=args.output):
        print(line)


def make_flights(args: argparse.Namespace) -> None:
    """Write as many flights as asked for, chunk by chunk."""
    import shards
    import source

    base = source.read_year() if source.is_installed() else source.read_sample(HERE / "flights")
    rows = args.rows or base.height
    shards.write_repeated(base, rows=rows, shards=args.shards, kind=args.format, output=args.output)
    print(f"{rows} rows in {args.shards} {args.format} shards: {args.output}")


def make_bench(args: argparse.Namespace) -> None:
    """Rows and models for benchmarks, as far as they are not there yet."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import benchmark

    print(
        f"{args.rows} rows in {args.shards} shards:",
        benchmark.write_rows(args.output, rows=args.rows, shards=args.shards),
    )
    for path in benchmark.write_models(args.output, args.models):
        print(path)


if __name__ == "__main__":
    main()
