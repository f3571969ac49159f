"""The laws of a run hold with other models in it.

Nothing of a challenger shows in the champion's data, and rows that are split among models are each scored once, by the
model of their key, whoever carries it out.
"""

from __future__ import annotations

import base64
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlserve_cli import RunResult, ScoreRequest, replay, score, verify
from mlserve_cli.errors import InvalidModel, MissingColumn, RunMismatch, TypeMismatch, UsageError
from mlserve_cli.manifest import ChallengerAccount
from mlserve_cli.planning import Estimate, Plan
from mlserve_cli.planning.assignment import assign
from mlserve_cli.scoring import Silent
from mlserve_cli.scoring.agreement import Comparison, Pairing, rank_correlation
from tests import dishonest, models
from tests.scoring.runs import contents, data_bytes, model_file, numbers, request, run, scored, shard
from tests.scoring.shards import FEATURES, Shard, moody, shards, steady
from tests.scoring.test_laws import BATCHES, Camera, least_memory, work

ROWS = tuple(["good"] * 9 + ["null", "good", "fails"]) * 4
SPLIT = {"model.onnx": 60.0, "other.onnx": 40.0}


def with_other(folder: Path, **options: Any) -> ScoreRequest:
    """A run over the folder's shards, in which other.onnx is a challenger unless the options say otherwise."""
    wanted = {"features": FEATURES, "id_column": "id", "on_error": "quarantine", **options}
    if "challengers" in wanted:
        wanted["challengers"] = tuple(str(folder / name) for name in wanted["challengers"])
    if "split" in wanted:
        wanted |= {"model": "", "split": {str(folder / name): share for name, share in wanted["split"].items()}}
    return request(folder, **wanted)


def beside(result: RunResult, name: str = "other") -> pa.Table:
    """All rows of a challenger's files, in the order of their names."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((result.output / "challengers" / name).iterdir()))


def champions_bytes(out: Path) -> dict[str, bytes]:
    return {name: content for name, content in data_bytes(out).items() if not name.startswith("challengers/")}


# Challengers


@given(files=shards(), batch_rows=BATCHES, form=st.sampled_from(["parquet", "csv"]), ids=st.sampled_from(["id", None]))
@settings(max_examples=6)
def test_the_champion_s_bytes_are_those_of_a_run_without_challengers(
    files: tuple[Shard, ...], batch_rows: int, form: str, ids: str | None
) -> None:
    with work(files) as folder:
        models.save(steady(), folder / "other.onnx")
        how = {"batch_rows": batch_rows, "output_format": form, "id_column": ids}
        alone = score(with_other(folder, **how))
        together = score(with_other(folder, **how, challengers=["other.onnx"], output=str(folder / "together")))

        assert champions_bytes(together.output) == champions_bytes(alone.output)
        assert together.manifest.rows == alone.manifest.rows
        verify(str(together.output))
        assert replay(str(together.output)).identical


@given(files=shards(), batch_rows=BATCHES)
@settings(max_examples=5)
def test_a_challenger_scores_as_in_a_run_of_its_own(files: tuple[Shard, ...], batch_rows: int) -> None:
    with work(files) as folder:
        models.save(moody(), folder / "other.onnx")
        models.save(steady(), folder / "model.onnx")
        how = {"batch_rows": batch_rows, "workers": None}
        together = score(with_other(folder, **how, challengers=["other.onnx"]))
        own = score(with_other(folder, **how, model=str(folder / "other.onnx"), output=str(folder / "own")))

        if together.manifest.rows.rows_out:
            found, expected = beside(together), scored(own)
            assert found.equals(expected.select(found.column_names))
        (account,) = together.manifest.challengers
        assert (account.status, account.rows, account.rows_failed) == ("complete", own.manifest.rows.rows_out, 0)


def test_a_challenger_s_bytes_depend_on_neither_workers_nor_threads_nor_memory(folder: Path) -> None:
    files = [Shard(f"s{i}.{form}", form, ROWS, 5) for i, form in enumerate(["parquet", "csv"])]
    with work(files) as place:
        models.save(moody(), place / "other.onnx")
        how: dict[str, Any] = {"challengers": ["other.onnx"], "batch_rows": 4}
        first = score(with_other(place, **how))
        others: dict[str, dict[str, Any]] = {
            "workers": {"workers": 2},
            "threads": {"workers": None, "threads_per_worker": 3},
            "memory": {"memory_limit": least_memory(first.manifest) * 2},
        }
        for name, options in others.items():
            again = score(with_other(place, **how, **options, output=str(place / name)))
            assert data_bytes(again.output) == data_bytes(first.output)


@given(files=shards(), data=st.data())
@settings(max_examples=5)
def test_a_run_with_other_models_that_died_anywhere_is_taken_up_again(
    files: tuple[Shard, ...], data: st.DataObject
) -> None:
    other: dict[str, Any] = data.draw(st.sampled_from([{"challengers": ["other.onnx"]}, {"split": SPLIT}]))
    with work(files) as folder:
        models.save(moody(), folder / "other.onnx")
        (folder / "scene").mkdir()
        camera = Camera(folder / "scene", folder / "album")
        whole = score(with_other(folder, **other, batch_rows=3, output=str(folder / "scene/out")), observer=camera)
        scene = data.draw(st.sampled_from(camera.pictures))
        (staging,) = scene.glob(".out.mlserve-*")
        records = sorted((staging / "records").glob("task-*.json"))
        for record in data.draw(st.lists(st.sampled_from(records), unique=True)):
            record.unlink()

        again = score(with_other(folder, **other, batch_rows=3, output=str(scene / "out"), if_exists="resume"))

        assert data_bytes(again.output) == data_bytes(whole.output)
        assert [without_times(one) for one in again.manifest.challengers] == [
            without_times(one) for one in whole.manifest.challengers
        ]
        assert again.manifest.split == whole.manifest.split
        verify(str(again.output))


def without_times(account: ChallengerAccount) -> dict[str, object]:
    times = ("inference_s", "cost_ratio")
    return {name: getattr(account, name) for name in account.__struct_fields__ if name not in times}


def test_figures_are_those_of_the_reference_library(folder: Path) -> None:
    rows = 3_000
    shard(folder / "in/rows.parquet", numbers(rows), row_group_rows=700)
    model_file(folder, models.classifier(3))
    other = model_file(folder, models.mlp(3), name="other.onnx")

    result = run(folder, features=("a,b,c",), challengers=(other,), threshold=0.5)

    ours, theirs = scored(result), beside(result)
    p, q = ours["probability_1"].to_numpy(), theirs["score"].to_numpy()
    (account,) = result.manifest.challengers
    apart = q.astype(np.float64) - p
    figures = account.differences["probability_1"]
    assert figures.mean == pytest.approx(apart.mean(), abs=1e-12)
    assert figures.mean_absolute == pytest.approx(np.abs(apart).mean(), abs=1e-12)
    assert figures.largest_absolute == np.abs(apart).max()
    assert account.rank_correlation["probability_1"] == pytest.approx(stats.spearmanr(p, q).statistic, abs=1e-9)
    same = ours["prediction"].to_numpy() == theirs["prediction"].to_numpy()
    assert account.flips == int((~same).sum())
    assert account.agreement == pytest.approx(same.mean(), abs=1e-9)
    assert account.cost_ratio


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_ranks_of_equal_values_are_shared_as_scipy_shares_them(pairs: list[tuple[int, int]]) -> None:
    found = rank_correlation(*np.array(pairs, np.float64).T)

    if len({one for one, _ in pairs}) == 1 or len({other for _, other in pairs}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(*zip(*pairs, strict=True)).statistic, abs=1e-12)


SCORES = st.sampled_from([0.0, 0.25, 1.0, float("nan"), float("inf"), float("-inf")])


@given(chunks=st.lists(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=9), min_size=1, max_size=4))
def test_scores_that_are_no_numbers_are_left_out_of_the_figures(chunks: list[list[tuple[float, float]]]) -> None:
    comparison = Comparison(Pairing((("score", "score"),), None))

    for pairs in chunks:
        ours, theirs = (pa.table({"score": pa.array(list(each), pa.float32())}) for each in zip(*pairs, strict=True))
        comparison.add(ours, theirs, sampled=np.ones(len(pairs), np.bool_))

    apart = np.array([their - our for pairs in chunks for our, their in pairs])
    apart = apart[np.isfinite(apart)]
    found = comparison.columns["score"]
    assert (found.values, found.total, found.absolute) == (len(apart), apart.sum(), np.abs(apart).sum())
    assert found.largest == np.abs(apart).max(initial=0.0)
    assert len(base64.b64decode(found.sample)) == 16 * len(apart)


def test_ranks_are_compared_over_evenly_spread_rows_where_there_are_many(folder: Path) -> None:
    rows = 50_000
    values = np.random.default_rng(1).normal(size=(3, rows)).astype(np.float32)
    table = pa.table(dict(zip("abc", values, strict=True)))
    (folder / "in").mkdir()
    pq.write_table(table, folder / "in/rows.parquet", row_group_size=7_000)
    model_file(folder)
    other = model_file(folder, models.mlp(3), name="other.onnx")

    result = run(folder, features=("a,b,c",), challengers=(other,), output_columns={"Y": "score"})

    (account,) = result.manifest.challengers
    whole = stats.spearmanr(scored(result)["score"].to_numpy(), beside(result)["score"].to_numpy()).statistic
    assert account.rank_correlation["score"] == pytest.approx(whole, abs=4 / np.sqrt(20_000))
    assert account.rank_correlation["score"] != pytest.approx(whole, abs=1e-12)


# What is wrong with a challenger is no trouble of the run


def small(folder: Path) -> None:
    shard(folder / "in/rows.parquet", {**numbers(8), "X": [0.0, 1.0, 2.0, -1.0, 3.0, 4.0, 5.0, 6.0]})
    shard(folder / "in/zeros.parquet", {**numbers(3, first=8), "X": [1.0, 1.0, 1.0]})
    model_file(folder)


def test_a_challenger_that_does_not_exist_or_is_no_model_is_told_and_kept(folder: Path) -> None:
    small(folder)
    (folder / "text.onnx").write_text("no model")

    result = run(folder, challengers=(str(folder / "gone.onnx"), str(folder / "text.onnx")))

    assert [one.status for one in result.manifest.challengers] == ["failed", "failed"]
    assert "does not exist" in result.manifest.challengers[0].error
    assert {name.split("/")[0] for name in contents(result.output)} == {"data", "manifest.json"}
    verify(str(result.output))


UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "a column is missing": (lambda: models.linear(2, names=("z", "a")), "column z is missing"),
    "it is too old for the policy": (lambda: models.linear(3, names=("a", "b", "c")), "from version 2 on"),
    "rows in are not rows out": (dishonest.doubled_rows, "one row per input row"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_challenger_that_cannot_score_these_rows_takes_no_part(folder: Path, what: str) -> None:
    small(folder)
    make, says = UNFIT[what]
    model_file(folder, models.linear(1, names=("X",)))
    other = model_file(folder, make(), name="other.onnx")
    policy = folder / "trust.toml"
    policy.write_text('format = 1\nunsigned = "allow"\nminimum_versions.other = 2')

    result = run(folder, challengers=(other,), features=("X",), trust_policy=str(policy) if "policy" in what else None)

    (account,) = result.manifest.challengers
    assert (account.status, account.rows) == ("failed", 0)
    assert says in account.error
    verify(str(result.output))


def test_rows_on_which_a_challenger_fails_are_null_and_counted(folder: Path) -> None:
    small(folder)
    model_file(folder, models.linear(1, names=("X",)))
    other = model_file(folder, dishonest.logarithm(), name="other.onnx")

    result = run(folder, features=("X",), challengers=(other,))

    (account,) = result.manifest.challengers
    assert (account.status, account.rows, account.rows_failed) == ("complete", 9, 2)
    assert [value is None for value in beside(result)["Y"].to_pylist()] == [True, False, False, True, *[False] * 7]
    assert scored(result)["Y"].null_count == 0


def test_a_model_file_that_goes_bad_after_the_plan_ends_its_challenger_alone(folder: Path) -> None:
    small(folder)
    other = Path(model_file(folder, models.mlp(3), name="other.onnx"))

    class Vandal(Silent):
        def planned(self, plan: Plan, estimate: Estimate) -> None:  # noqa: ARG002  the seam's
            other.write_bytes(b"no model any more")

    wanted = request(folder, features=("a,b,c",), challengers=(str(other),), workers=2)
    result = score(wanted, observer=Vandal())

    (account,) = result.manifest.challengers
    assert (account.status, account.rows) == ("failed", 0)
    assert "not the one that was asked for" in account.error
    assert result.manifest.rows.rows_out == 11


@pytest.mark.slow
def test_a_challenger_that_holds_up_its_task_is_left_out_of_it(folder: Path) -> None:
    shard(folder / "in/a.parquet", {"X": [1.0, 40.0]})
    shard(folder / "in/b.parquet", {"X": [0.0, 0.0, 0.0]})
    model_file(folder, models.linear(1, names=("X",)))
    other = model_file(folder, dishonest.slow(), name="other.onnx")

    result = run(folder, features=("X",), challengers=(other,), workers=2, task_timeout=3)

    (account,) = result.manifest.challengers
    assert (account.status, account.rows) == ("failed", 3)
    assert "ran longer than --task-timeout" in account.error
    assert result.manifest.rows.rows_out == 5
    verify(str(result.output))


@pytest.mark.slow
def test_a_challenger_during_which_workers_die_is_left_out_of_that_task(folder: Path) -> None:
    """Killed from outside here; a model that ends its process, or takes all memory, looks the same from the driver."""
    shard(folder / "in/a.parquet", {"X": [0.0, 30.0]})
    model_file(folder, models.linear(1, names=("X",)))
    other = model_file(folder, dishonest.slow(), name="other.onnx")
    wanted = request(folder, features=("X",), challengers=(other,), workers=2, max_retries=1)

    with killing_workers_that_last(seconds=3) as killed:
        result = score(wanted)

    (account,) = result.manifest.challengers
    assert account.status == "failed"
    assert "its worker died 2 times" in account.error
    assert (result.manifest.rows.rows_out, result.manifest.run.lost_workers) == (2, len(killed))


@contextmanager
def killing_workers_that_last(*, seconds: float) -> Iterator[list[int]]:
    """Kill each process below this one that is older than that."""
    killed, stop, seen = list[int](), threading.Event(), dict[int, float]()

    def watch() -> None:
        while not stop.wait(0.1):
            for pid in map(int, Path(f"/proc/{os.getpid()}/task/{main}/children").read_text().split()):
                if pid not in killed and time.monotonic() - seen.setdefault(pid, time.monotonic()) > seconds:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    main = threading.get_native_id()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_a_challenger_for_which_there_is_no_memory_sits_out(folder: Path) -> None:
    small(folder)
    other = model_file(folder, models.mlp(3, hidden=600_000), name="other.onnx")
    alone = run(folder, features=("a,b,c",), output=str(folder / "alone"))

    limit = least_memory(alone.manifest)
    result = run(folder, features=("a,b,c",), challengers=(other,), memory_limit=limit)

    (account,) = result.manifest.challengers
    assert (account.status, account.error) == ("failed", "it does not fit into the memory limit beside the champion")
    assert champions_bytes(result.output) == champions_bytes(alone.output)


def test_challengers_of_one_name_have_a_folder_each(folder: Path) -> None:
    small(folder)
    (folder / "x").mkdir()
    same = [model_file(folder / part, models.mlp(3), name="other.onnx") for part in ("", "x")]

    result = run(folder, features=("a,b,c",), challengers=tuple(same))

    assert sorted(os.listdir(result.output / "challengers")) == ["other", "other-2"]
    verify(str(result.output))


def test_a_run_with_challengers_is_overwritten_whole(folder: Path) -> None:
    small(folder)
    other = model_file(folder, models.mlp(3), name="other.onnx")
    run(folder, features=("a,b,c",), challengers=(other,))

    result = run(folder, features=("a,b,c",), if_exists="overwrite")

    assert {name.split("/")[0] for name in contents(result.output)} == {"data", "manifest.json"}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_beside_one_file_stands_one_file_of_the_challenger(folder: Path, ending: str) -> None:
    small(folder)
    other = model_file(folder, models.mlp(3), name="other.onnx")
    out = folder / f"scores.{ending}"

    run(folder, features=("a,b,c",), challengers=(other,), output=str(out))
    found = pq.read_table(f"{out}.challenger-other.parquet")
    verify(str(out))
    run(folder, features=("a,b,c",), output=str(out), if_exists="overwrite")

    assert found.num_rows == 11
    assert not Path(f"{out}.challenger-other.parquet").exists()


def test_verify_sees_a_challenger_s_row_that_stands_elsewhere(folder: Path) -> None:
    small(folder)
    other = model_file(folder, models.mlp(3), name="other.onnx")
    result = run(folder, features=("a,b,c",), challengers=(other,))
    part = min((result.output / "challengers/other").iterdir())
    forged(result, part, pq.read_table(part).take([1, 0, *range(2, 8)]))

    with pytest.raises(RunMismatch, match="are not the champion's"):
        verify(str(result.output))


# Splits


@given(files=shards(), batch_rows=BATCHES, share=st.sampled_from([0.0, 5.0, 50.0, 100.0]))
@settings(max_examples=6)
def test_each_row_of_a_split_is_scored_once_by_the_model_of_its_key(
    files: tuple[Shard, ...], batch_rows: int, share: float
) -> None:
    with work(files) as folder:
        models.save(steady(), folder / "model.onnx")
        models.save(shifted(), folder / "other.onnx")
        how = {"batch_rows": batch_rows, "workers": None}
        split = {"model.onnx": 100 - share, "other.onnx": share}
        whole = score(with_other(folder, **how, split=split))
        each = [
            score(with_other(folder, **how, model=str(folder / name), output=str(folder / name[:5])))
            for name in ("model.onnx", "other.onnx")
        ]
        verify(str(whole.output))
        assert replay(str(whole.output)).identical
        assert whole.manifest.rows == each[0].manifest.rows
        account = whole.manifest.split
        assert account is not None
        if not whole.manifest.rows.rows_out:
            return
        found, alone = scored(whole), [scored(one) for one in each]
        arms = assign(found["id"].combine_chunks(), salt="model|other", percents=(100 - share, share))
        assert found["id"].equals(alone[0]["id"])
        assert found["model"].to_pylist() == [("model", "other")[arm] for arm in arms]
        scores = np.choose(arms, [one["moody"].to_numpy() for one in alone])
        np.testing.assert_allclose(found["moody"].to_numpy(), scores, rtol=1e-6)
        assert [arm.rows for arm in account.arms] == np.bincount(arms, minlength=2).tolist()


def shifted() -> Any:
    """The network that minds no batch, with another bias, so that its scores are others."""
    model = type(steady())()
    model.CopyFrom(steady())
    (bias,) = (one for one in model.graph.initializer if one.name == "B1")
    bias.raw_data = (np.frombuffer(bias.raw_data, np.float32) + 1).astype(np.float32).tobytes()
    return model


def test_a_split_s_bytes_depend_on_neither_workers_nor_threads_nor_memory(folder: Path) -> None:
    files = [Shard(f"s{i}.{form}", form, ROWS, 5) for i, form in enumerate(["parquet", "csv"])]
    with work(files) as place:
        models.save(moody(), place / "other.onnx")
        how: dict[str, Any] = {"split": SPLIT, "batch_rows": 4}
        first = score(with_other(place, **how))
        others: dict[str, dict[str, Any]] = {
            "workers": {"workers": 2},
            "threads": {"workers": None, "threads_per_worker": 3},
        }
        for name, options in others.items():
            again = score(with_other(place, **how, **options, output=str(place / name)))
            assert data_bytes(again.output) == data_bytes(first.output)


def test_a_canary_is_a_split_of_two_and_keeps_its_rows_as_it_grows(folder: Path) -> None:
    shard(folder / "in/rows.csv", {"id": list(range(400)), **numbers(400)})
    model_file(folder)
    other = model_file(folder, models.linear(3, names=tuple("abc")), name="other.onnx")
    had: set[str] = set()
    for percent in (1.0, 10.0, 50.0):
        result = run(folder, canary=percent, challengers=(other,), id_column="id", output=str(folder / f"{percent}"))
        table = scored(result)
        now = set(table["id"].filter(pa.compute.equal(table["model"], "other")).to_pylist())
        assert had < now
        had = now

    split = run(folder, model="", split={str(folder / "model.onnx"): 50.0, other: 50.0}, id_column="id",
                output=str(folder / "split"))  # fmt: skip
    assert scored(split)["model"].equals(table["model"])


def test_rows_without_a_key_are_the_first_model_s_and_counted(folder: Path) -> None:
    shard(folder / "in/rows.parquet", {"who": ["a", None, "b", None], **numbers(4)})
    model_file(folder)
    other = model_file(folder, models.linear(3, names=tuple("abc")), name="other.onnx")

    result = run(folder, canary=100.0, challengers=(other,), split_key="who")

    assert scored(result)["model"].to_pylist() == ["other", "model", "other", "model"]
    assert result.manifest.split is not None
    assert result.manifest.split.rows_without_key == 2
    verify(str(result.output))


def test_verify_sees_a_row_that_another_model_scored(folder: Path) -> None:
    shard(folder / "in/rows.parquet", {"id": list(range(40)), **numbers(40)}, row_group_rows=40)
    model_file(folder)
    other = model_file(folder, models.linear(3, names=tuple("abc")), name="other.onnx")
    result = run(folder, canary=50.0, challengers=(other,), id_column="id")
    part = next((result.output / "data").iterdir())
    table = pq.read_table(part)
    forged(result, part, table.set_column(2, "model", table["model"].take(pa.array(range(39, -1, -1)))))

    with pytest.raises(RunMismatch, match="belongs to"):
        verify(str(result.output))


def forged(result: RunResult, part: Path, table: pa.Table) -> None:
    """Another table in the place of a part, with a manifest that says so."""
    from msgspec.structs import replace

    from mlserve_cli.storage import record_of
    from tests.scoring.runs import resealed

    pq.write_table(table, part)
    record, relative = record_of(part), str(part.relative_to(result.output))
    outputs = tuple(
        replace(one, size_bytes=record.size_bytes, sha256=record.sha256) if one.path == relative else one
        for one in result.manifest.outputs
    )
    resealed(result.manifest_path, outputs=outputs)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"canary": 5.0}, "exactly one --challenger"),
        ({"canary": 5.0, "challengers": ("b", "c")}, "exactly one --challenger"),
        ({"canary": 5.0, "challengers": ("model",)}, "the same model"),
        ({"split": {"a": 50.0, "b": 50.0}}, "both name the champion"),
        ({"model": "", "split": {"a": 50.0, "b": 49.0}}, "99 in all"),
        ({"model": "", "split": {"a": 100.0}}, "names one model"),
        ({"model": "", "split": {"a": 50.0, "b": 50.0}}, "says whom they are about"),
        ({"model": "", "split": {"a": 50.0, "b": 50.0}, "split_key": "k", "deduplicate": "on"}, "--deduplicate"),
        ({"model": "", "split": {"a": 50.0, "b": 50.0}, "split_key": "k", "reuse": "r"}, "--reuse"),
        ({"model": "", "split": {"a": 50.0, "b": 50.0}, "split_key": "k", "challengers": ("c",)}, "beside --split"),
        ({"challengers": ("b", "b")}, "twice"),
        ({"challengers": ("b",), "reuse": "r"}, "--reuse contradicts"),
        ({"split_key": "id"}, "--split-key without"),
        ({"split_salt": "id"}, "--split-salt without"),
        ({"model": ""}, "no model is named"),
    ],
)
def test_options_that_contradict_each_other_are_refused(folder: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(folder, **{"model": "model", **options})


def test_a_key_that_is_no_key_is_refused_before_any_row_is_read(folder: Path) -> None:
    shard(folder / "in/rows.parquet", {"at": pa.array([1, 2], pa.timestamp("us")), **numbers(2)})
    model_file(folder)
    other = model_file(folder, models.linear(3, names=tuple("abc")), name="other.onnx")
    for key, error in (("at", TypeMismatch), ("nobody", MissingColumn)):
        with pytest.raises(error):
            run(folder, canary=50.0, challengers=(other,), split_key=key)


def test_models_that_write_other_columns_cannot_share_an_output(folder: Path) -> None:
    small(folder)
    other = model_file(folder, models.mlp(3), name="other.onnx")

    with pytest.raises(InvalidModel, match="write other columns"):
        run(folder, features=("a,b,c",), canary=50.0, challengers=(other,), split_key="X")
