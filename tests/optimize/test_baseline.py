"""A package that is given its baseline later: all else stays, and runs are held against it from then on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from mlserve_cli import Profile, model, profile, score
from mlserve_cli.contract import encode_sealed
from mlserve_cli.errors import InputMissing, OutputExists, RunMismatch, UsageError
from mlserve_cli.optimize.baseline import baseline
from mlserve_cli.optimize.made import Place
from mlserve_cli.registry import Registry, open_package, write_package
from mlserve_cli.scoring.package_model import PackageRequest
from tests.scoring.runs import contents, model_file, numbers, request, scored, shard

METRICS = {"auc": 0.7}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`package`, without a baseline, and `training.json`, the profile of 40 rows as it scores them."""
    shard(tmp_path / "in" / "s.parquet", numbers(40))
    wanted = PackageRequest(
        onnx=model_file(tmp_path), data=(str(tmp_path / "in"),), name="churn", license="MIT", metrics=METRICS
    )
    model.package(wanted, output=str(tmp_path / "package"))
    (tmp_path / "training.json").write_bytes(encode_sealed(profiled(tmp_path)))
    return tmp_path


def profiled(folder: Path, *, rows: str = "in") -> Profile:
    return profile(str(folder / rows), request=request(folder, model=str(folder / "package"), output=""))


def given(folder: Path, *, of: str = "package", by: str = "training.json", output: str = "given") -> Path:
    """The package that was made, as a folder."""
    return Path(baseline(str(folder / of), str(folder / by), Place(output=str(folder / output))).folder)


def test_the_model_and_all_that_is_said_of_it_stay_to_the_byte(folder: Path) -> None:
    before = contents(folder / "package")
    made = contents(given(folder))
    assert contents(folder / "package") == before
    assert {name: made[name] for name in before if name != "package.toml"} == {
        name: content for name, content in before.items() if name != "package.toml"
    }
    assert made["profile.json"] == (folder / "training.json").read_bytes()
    one, other = (tomllib.loads(files["package.toml"].decode()) for files in (before, made))
    differs = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert differs == {"baseline", "lineage", "digests"}
    assert other["lineage"] == {
        "operation": "baseline",
        "parent": "churn",
        "parent_digest": open_package(str(folder / "package")).digest,
    }


def test_its_runs_are_held_against_the_baseline_and_score_the_same(folder: Path) -> None:
    made = given(folder)
    shard(folder / "moved" / "s.parquet", {**numbers(40), "a": [5.0] * 40})
    runs = [
        score(request(folder, model=str(of), inputs=(str(folder / "moved"),), output=str(folder / f"out-{of.name}")))
        for of in (folder / "package", made)
    ]
    assert runs[0].manifest.drift is None
    drift = runs[1].manifest.drift
    assert drift is not None
    assert [column.name for column in drift.columns if column.reasons] == ["a", "Y"]
    assert scored(runs[0]).equals(scored(runs[1]))


def test_a_baseline_that_is_there_is_replaced_in_the_new_one(folder: Path) -> None:
    first = given(folder)
    shard(folder / "later" / "s.parquet", numbers(20, first=100))
    (folder / "later.json").write_bytes(encode_sealed(profiled(folder, rows="later")))
    second = given(folder, of="given", by="later.json", output="second")
    assert (second / "profile.json").read_bytes() == (folder / "later.json").read_bytes()
    assert (first / "profile.json").read_bytes() == (folder / "training.json").read_bytes()


def test_the_baseline_of_a_package_may_be_called_anything(folder: Path) -> None:
    described = open_package(str(given(folder))).described
    assert described is not None
    files: dict[str, bytes | Path] = {name: folder / "given" / name for name in described.digests}
    files["training.json"] = files.pop("profile.json")
    renamed = msgspec.structs.replace(described, baseline="training.json")
    write_package(folder / "renamed", described=renamed, files=files)
    assert set(contents(given(folder, of="renamed", output="again"))) == set(contents(folder / "given"))


def test_a_version_becomes_the_next_one_and_the_same_again_is_that(folder: Path) -> None:
    registry = Registry(folder / "registry")
    registry.add(str(folder / "package"), alias="champion")
    place = Place(name="churn", registry=str(registry.root), why="late", by="ann")
    made = [baseline("churn", str(folder / "training.json"), place) for _ in range(2)]
    assert [(one.change.version, one.change.already) for one in made if one.change] == [(2, False), (2, True)]
    entry = registry.history("churn").entries[-1]
    assert (entry.action, entry.why, entry.who) == ("add", "late", "ann")
    assert registry.history("churn").aliases == {"champion": 1}


def test_a_run_may_be_the_baseline(folder: Path) -> None:
    score(request(folder, model=str(folder / "package"), profile="on"))
    assert (given(folder, by="out") / "profile.json").read_bytes() == (folder / "out" / "profile.json").read_bytes()


def test_what_cannot_be_a_baseline_makes_nothing(folder: Path) -> None:
    of_two = profile(str(folder / "in"))
    lacking = msgspec.structs.replace(of_two, features={name: of_two.features[name] for name in "ab"})
    (folder / "lacking.json").write_bytes(encode_sealed(lacking))
    (folder / "changed.json").write_text((folder / "training.json").read_text().replace('"rows": 40', '"rows": 41', 1))
    with pytest.raises(UsageError, match="does not have c, which the model reads"):
        given(folder, by="lacking.json")
    with pytest.raises(RunMismatch):
        given(folder, by="changed.json")
    with pytest.raises(InputMissing):
        given(folder, by="nowhere.json")
    with pytest.raises(UsageError, match=r"a bare \.onnx file") as error:
        given(folder, of="model.onnx")
    assert "mlserve model package" in error.value.hint
    assert not (folder / "given").exists()
    given(folder)
    with pytest.raises(OutputExists):
        given(folder)
