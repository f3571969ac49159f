"""`mlserve profile`: of data as it stands or as a model scores it, of a run, of a package and its baseline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlserve_cli import Dialect, ScoreRequest, inspect, profile, score
from mlserve_cli.contract import Declared, DeclaredInput, DeclaredOutput
from mlserve_cli.errors import BadRow, InputMissing, InvalidModel, MissingColumn, RunMismatch, UsageError
from mlserve_cli.model import package
from mlserve_cli.optimize.made import Place
from mlserve_cli.optimize.prune import PruneRequest, prune
from mlserve_cli.optimize.quantize import RowsRequest
from mlserve_cli.profiles import quantiles, read_profile
from mlserve_cli.registry import PACKAGE_FORMAT, PackageFile, open_package, write_package
from mlserve_cli.scoring.inspect_target import InspectedModel
from mlserve_cli.scoring.package_model import PackageRequest
from tests.models import linear, save

SAMPLES = Path(__file__).parents[2] / "sample_data"
FLIGHTS, FLIGHTS_CSV = str(SAMPLES / "flights"), str(SAMPLES / "flights_csv")
GBM = str(SAMPLES / "models" / "late-gbm")


def mlserve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mlserve_cli.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


# Data as it stands


def test_every_column_of_the_data_has_the_figures_that_polars_gives() -> None:
    found, rows = profile(FLIGHTS), pl.read_parquet(FLIGHTS, hive_partitioning=True, try_parse_hive_dates=False)
    assert (found.rows, found.model, found.scores) == (rows.height, "", {})
    assert found.left_out == ("time_hour",)
    for name, column in found.features.items():
        values = rows[name]
        assert (column.rows, column.nulls) == (rows.height, values.null_count())
        if column.kind == "number":
            assert (column.minimum, column.maximum) == (values.min(), values.max())
            assert column.mean == pytest.approx(values.mean())
            assert column.standard_deviation == pytest.approx(values.std())
        elif not column.other:
            counts = values.drop_nulls().cast(pl.String).value_counts()
            wanted = {(f"{value:>02}" if name == "month" else value): count for value, count in counts.iter_rows()}
            assert column.frequent == wanted
    assert found.features["month"].kind == "category"  # the folders' names: 01, 02, …


def test_a_csv_of_the_same_rows_has_the_same_profile() -> None:
    parquet, text = profile(FLIGHTS), profile(FLIGHTS_CSV, dialect=Dialect(null_values=("", "NA")))
    assert text.features.keys() - parquet.features.keys() == {"time_hour"}
    for name, other in parquet.features.items():
        column = text.features[name]
        assert (column.kind, column.rows, column.nulls) == (other.kind, other.rows, other.nulls)
        assert column.other or column.frequent == other.frequent
        assert column.mean == pytest.approx(other.mean)


def test_text_is_a_number_only_where_all_of_it_is(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("a,b,zip,c,empty\n1,2,01234,7,\n3.5,1e3,22222,,\n")
    second.write_text("a,b,zip,c,empty\n-1,x,33333,8,\n")
    found = profile(str(tmp_path))
    assert {name: column.kind for name, column in found.features.items()} == {
        "a": "number",
        "b": "category",
        "zip": "category",
        "c": "number",
        "empty": "number",
    }
    assert found.features["b"].frequent == {"2": 1, "1e3": 1, "x": 1}
    assert found.features["zip"].frequent == {"01234": 1, "22222": 1, "33333": 1}
    assert (found.features["c"].nulls, found.features["c"].mean) == (1, 7.5)
    assert (found.features["empty"].nulls, found.features["empty"].mean) == (3, None)
    assert profile(str(tmp_path), categories=("c",)).features["c"].frequent == {"7": 1, "8": 1}


def test_what_cannot_be_profiled_is_named(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n3\n")
    with pytest.raises(BadRow):
        profile(str(rows))
    with pytest.raises(InputMissing):
        profile(str(tmp_path / "none"))
    with pytest.raises(MissingColumn, match="color"):
        profile(FLIGHTS, categories=("color",))
    with pytest.raises(UsageError, match="takes no model"):
        profile(GBM, request=ScoreRequest(GBM, (), ""))


def test_numbers_of_one_column_in_several_types_are_one_column(tmp_path: Path) -> None:
    for place, kind in enumerate((pa.int32(), pa.float64(), pa.decimal128(23, 2))):
        pq.write_table(pa.table({"x": pa.array([place, place + 1]).cast(kind)}), tmp_path / f"{place}.parquet")
    found = profile(str(tmp_path)).features["x"]
    assert (found.kind, found.rows, found.minimum, found.maximum, found.mean) == ("number", 6, 0, 3, 1.5)


# As a model reads and scores it


def test_with_a_model_it_is_the_profile_that_a_run_would_have(tmp_path: Path) -> None:
    january = str(SAMPLES / "flights" / "month=01")
    of_data = profile(january, request=ScoreRequest(GBM, (), ""))
    run = score(ScoreRequest(GBM, (january,), str(tmp_path / "run")))
    of_run = profile(str(run.output))
    assert of_data.features.keys() == of_run.features.keys()
    assert of_data.source == january
    assert of_run == read_profile(run.output)
    for name, column in {**of_data.features, **of_data.scores}.items():
        other = {**of_run.features, **of_run.scores}[name]
        assert (column.rows, column.mean, column.minimum, column.frequent) == (
            *(other.rows, other.mean, other.minimum, other.frequent),
        )
        if column.kind == "number" and column.present:
            assert quantiles(column, [0.5]) == pytest.approx(quantiles(other, [0.5]), rel=0.2, abs=0.5)


def test_a_run_without_a_profile_says_how_to_have_one(tmp_path: Path) -> None:
    run = score(ScoreRequest(GBM, (str(SAMPLES / "flights" / "month=01"),), str(tmp_path / "run"), profile="off"))
    with pytest.raises(InputMissing, match="--profile on"):
        profile(str(run.output))
    with pytest.raises(UsageError, match="mlserve model baseline"):
        profile(GBM)


# The baseline of a package


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("baseline") / "profile.json"
    profile(FLIGHTS, request=ScoreRequest(GBM, (), ""), output=str(path))
    return path


def packaged(folder: Path, baseline: str) -> Path:
    """The boosted trees of the sample data, packaged anew."""
    whole = open_package(GBM)
    assert whole.described is not None
    columns = ",".join(whole.described.contract.inputs[0].columns) if whole.described.contract else ""
    request = PackageRequest(
        onnx=whole.model_path, data=(FLIGHTS,), name="late", features=(columns,), nulls="nan", baseline=baseline
    )
    return Path(package(request, output=str(folder / "late")).folder)


def test_a_package_has_its_baseline_among_its_digests_and_shows_it(baseline: Path, tmp_path: Path) -> None:
    folder = packaged(tmp_path, str(baseline))
    found = open_package(str(folder))
    assert found.baseline_path == str(folder / "profile.json")
    assert found.described is not None
    assert "profile.json" in found.described.digests
    assert not found.external_files
    assert profile(str(folder)) == read_profile(baseline) == read_profile(folder)
    looked = inspect(str(folder))
    assert isinstance(looked, InspectedModel)
    assert "baseline" in mlserve("inspect", str(folder)).stdout
    assert score(ScoreRequest(str(folder), (FLIGHTS,), str(tmp_path / "run"), limit=10)).manifest.rows.rows_out == 10


def test_a_run_may_be_the_baseline(tmp_path: Path) -> None:
    run = score(ScoreRequest(GBM, (FLIGHTS,), str(tmp_path / "run")))
    assert profile(str(packaged(tmp_path, str(run.output)))).rows == run.manifest.rows.rows_out


def test_a_baseline_that_was_changed_is_refused_with_its_package(baseline: Path, tmp_path: Path) -> None:
    folder = packaged(tmp_path, str(baseline))
    with (folder / "profile.json").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(InvalidModel, match=r"profile\.json"):
        open_package(str(folder))


def test_a_baseline_without_a_feature_of_the_model_is_refused(baseline: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n")
    other = tmp_path / "other.json"
    profile(str(rows), output=str(other))
    with pytest.raises(UsageError, match="baseline does not have"):
        packaged(tmp_path, str(other))
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(baseline.read_bytes()[:-5])
    with pytest.raises(RunMismatch):
        packaged(tmp_path, str(damaged))
    with pytest.raises(InputMissing):
        packaged(tmp_path, str(tmp_path / "none.json"))


def test_what_is_made_of_a_model_keeps_its_baseline(baseline: Path, tmp_path: Path) -> None:
    folder = packaged(tmp_path, str(baseline))
    made = prune(PruneRequest(str(folder), RowsRequest((FLIGHTS,))), Place(output=str(tmp_path / "pruned")))
    assert profile(made.folder) == read_profile(baseline)


def test_a_float_that_the_contract_fills_is_still_seen_to_be_missing(tmp_path: Path) -> None:
    model = save(linear(2, names=("a", "b")), tmp_path / "model.onnx")
    contract = Declared(
        inputs=(DeclaredInput("X", ("a", "b")),), outputs=(DeclaredOutput("Y", ("y",)),), fill={"b": 100.0}
    )
    described = PackageFile(format=PACKAGE_FORMAT, name="filled", contract=contract)
    write_package(tmp_path / "filled", described=described, files={"model.onnx": model})
    values = pa.array(np.array([1.0, np.nan, 3.0, 4.0], np.float32))
    column = pa.concat_arrays([values, pa.nulls(1, pa.float32())])
    pq.write_table(pa.table({"a": pa.array(np.arange(5, dtype=np.float32)), "b": column}), tmp_path / "rows.parquet")
    found = profile(str(tmp_path / "rows.parquet"), request=ScoreRequest(str(tmp_path / "filled"), (), ""))
    assert (found.features["b"].nulls, found.features["b"].nans, found.features["b"].maximum) == (1, 1, 4.0)
    assert (found.features["b"].rows, found.features["a"].nulls) == (5, 0)


# On the command line


def test_the_command_shows_a_table_and_writes_the_profile(tmp_path: Path) -> None:
    out = tmp_path / "profile.json"
    told = mlserve("profile", f"{FLIGHTS}/month=03", "--model", GBM, "--output", str(out))
    assert told.returncode == 0, told.stderr
    assert "probability_1" in told.stdout
    assert "distance" in told.stdout
    assert read_profile(out).rows > 0
    again = mlserve("profile", str(out), "--json")
    facts = json.loads(again.stdout.splitlines()[-1])
    assert facts["rows"] == read_profile(out).rows
    assert facts["features"]["distance"]["quantiles"]["max"] == read_profile(out).features["distance"].maximum
    assert msgspec.json.encode(facts)


def test_options_of_scoring_are_refused_without_a_model() -> None:
    told = mlserve("profile", FLIGHTS, "--workers", "2")
    assert told.returncode == 2
    assert "--workers" in told.stderr
    told = mlserve("profile", FLIGHTS, "--model", GBM, "--category", "hour")
    assert told.returncode == 2


def test_a_changed_profile_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    profile(f"{FLIGHTS}/month=01", output=str(out))
    copy = Path(shutil.copy(out, tmp_path / "q.json"))
    copy.write_bytes(copy.read_bytes().replace(b'"nulls": 0', b'"nulls": 1', 1))
    told = mlserve("profile", str(copy))
    assert told.returncode == 65
