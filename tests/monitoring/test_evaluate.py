"""Runs held against labels, end to end: real models scored, labels in files, figures as the libraries have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from onnx import ModelProto
from sklearn import metrics

from mlserve_cli.contract import decode_sealed, encode_sealed
from mlserve_cli.errors import CorruptFile, DataError, InputMissing, MissingColumn, RunMismatch, UsageError
from mlserve_cli.monitoring.evaluate import evaluate
from mlserve_cli.monitoring.evaluation import Evaluation, RunEvaluation
from mlserve_cli.monitoring.outcomes import Outcomes
from mlserve_cli.monitoring.slices import groups_of, holm, slice_up
from tests import models
from tests.scoring.runs import ABC, SAMPLES, model_file, run, scored, shard

ROWS = 60


def inputs(first: int = 0, rows: int = ROWS) -> dict[str, list[object]]:
    seed = np.random.default_rng(first)
    values = seed.normal(0, 1, (3, rows)).astype(np.float32).tolist()
    return {
        "id": list(range(first, first + rows)),
        **dict(zip(ABC, values, strict=True)),
        "town": [("Oslo", "Rome", None)[row % 3] for row in range(rows)],
    }


def scores_of(
    folder: Path, model: ModelProto | None = None, *, out: str = "out", first: int = 0, **options: Any
) -> pa.Table:
    """Score `ROWS` rows with ids from `first` to `folder`/`out`, and what was written."""
    (folder / "in").mkdir(exist_ok=True)
    path = shard(folder / "in" / f"{out.replace('/', '-')}.parquet", inputs(first))
    (folder / out).parent.mkdir(parents=True, exist_ok=True)
    model_file(folder, models.classifier(3) if model is None else model)
    wanted = {"features": (",".join(ABC),), "id_column": "id", "inputs": (str(path),), "output": str(folder / out)}
    return scored(run(folder, **{**wanted, **options}))


def labels(folder: Path, columns: Mapping[str, Sequence[object]], *, name: str = "labels.csv") -> str:
    return str(shard(folder / name, dict(columns)))


def outcomes(rows: int = ROWS, first: int = 0) -> list[int]:
    """A coin for each id."""
    return [int(one) for one in np.random.default_rng(99 + first).integers(0, 2, rows)]


def only(found: Evaluation) -> RunEvaluation:
    (one,) = found.runs
    return one


def value(found: Evaluation, metric: str) -> float | None:
    return only(found).figures[metric].value


# The sample's flights


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample scored month by month, each month a run."""
    folder = tmp_path_factory.mktemp("flights")
    for month in ("07", "12"):
        run(
            folder,
            model=str(SAMPLES / "models" / "late-gbm"),
            inputs=(str(SAMPLES / "flights" / f"month={month}"),),
            output=str(folder / f"2013-{month}"),
        )
    return folder


def late(*runs: Path, **options: Any) -> Evaluation:
    wanted = {"on": ["flight_id"], "label": "arr_delay", "positive": ">15", "labels": [str(SAMPLES / "flights")]}
    return evaluate(*map(str, runs), **{**wanted, **options})


def test_the_sample_has_scikit_learns_figures(flights: Path) -> None:
    expected = pq.read_table(SAMPLES / "expected" / "late-gbm.parquet")
    july = pq.read_table(SAMPLES / "flights" / "month=07" / "flights.parquet", partitioning=None)
    july = july.filter(july["arr_delay"].is_valid())
    truth = np.array(july["arr_delay"]) > 15
    scores = np.array(expected["probability_1"])[np.array(pc.index_in(july["flight_id"], expected["flight_id"]))]

    found = late(flights / "2013-07")

    assert only(found).labelled == len(truth)
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-4)
    assert value(found, "log_loss") == pytest.approx(metrics.log_loss(truth, scores), abs=1e-5)
    assert value(found, "f1") == pytest.approx(metrics.f1_score(truth, scores >= 0.28), abs=1e-3)


def test_parquet_and_csv_labels_say_the_same(flights: Path) -> None:
    from mlserve_cli import Dialect

    one = late(flights / "2013-07")
    other = late(
        flights / "2013-07",
        labels=[str(SAMPLES / "flights_csv" / "month=07" / "flights.csv"), str(SAMPLES / "flights_csv" / "month=01")],
        dialect=Dialect(null_values=("", "NA")),
    )

    assert one.runs[0].figures == other.runs[0].figures
    assert one.runs[0].confusion == other.runs[0].confusion
    assert other.runs[0].join.labels_elsewhere < one.runs[0].join.labels_elsewhere


def test_runs_come_in_the_order_of_time_and_together(flights: Path) -> None:
    found = late(flights)

    assert [Path(one.path).name for one in found.runs] == ["2013-07", "2013-12"]
    assert found.overall is not None
    assert found.overall.labelled == sum(one.labelled for one in found.runs)
    assert found.overall.join.adds_up()
    assert found.overall.join.label_rows == 10_500
    matrices = np.array([one.confusion for one in found.runs])
    assert found.overall.confusion == tuple(map(tuple, matrices.sum(axis=0).tolist()))
    assert found.steady_p_value is not None
    assert found.steady_p_value < 0.05


def test_slices_come_from_the_output_the_input_and_the_labels(flights: Path, folder: Path) -> None:
    ids = pq.read_table(SAMPLES / "flights" / "month=07" / "flights.parquet", partitioning=None)
    told = ids.select(["flight_id", "arr_delay"]).append_column(
        "reason", pa.array([("weather", "other")[row % 2] for row in range(len(ids))])
    )
    pq.write_table(told, folder / "told.parquet")

    found = late(flights / "2013-07", labels=[str(folder / "told.parquet")], by=("source_file", "origin", "reason"))

    slices = {(one.column, one.value): one for one in only(found).slices}
    assert {column for column, _ in slices} == {"source_file", "origin", "reason"}
    for column in ("source_file", "origin"):
        assert sum(one.rows for (name, _), one in slices.items() if name == column) == only(found).join.rows
    assert sum(one.labelled for (name, _), one in slices.items() if name == "reason") == only(found).labelled
    assert ("reason", "null") in slices  # rows that no label says anything of


def test_a_slice_is_what_evaluating_its_rows_alone_gives(flights: Path, folder: Path) -> None:
    told = pq.read_table(SAMPLES / "flights" / "month=07" / "flights.parquet", partitioning=None)
    pq.write_table(told.filter(pc.equal(told["origin"], "JFK")), folder / "jfk.parquet")

    sliced = {one.value: one for one in only(late(flights / "2013-07", by=("origin",))).slices}
    alone = late(flights / "2013-07", labels=[str(folder / "jfk.parquet")])

    assert sliced["JFK"].figures == only(alone).figures


# Ids and labels


def test_each_row_is_judged_by_its_own_label_whatever_their_order(folder: Path) -> None:
    table = scores_of(folder)
    truth = np.array(outcomes())
    order = np.random.default_rng(3).permutation(ROWS)
    path = labels(folder, {"id": [f"{row}.0" for row in order], "churned": truth[order].tolist()})

    found = evaluate(str(folder / "out"), labels=[path])

    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(truth, table["probability_1"]))
    assert value(found, "accuracy") == pytest.approx(metrics.accuracy_score(truth, table["prediction"]))
    assert found.on == {"id": "id"}


def test_a_run_without_ids_is_joined_by_its_inputs_or_by_its_places(folder: Path) -> None:
    scores_of(folder, id_column=None)
    one = evaluate(str(folder / "out"), on=["id"], labels=[labels(folder, {"id": range(ROWS), "y": outcomes()})])
    places = {"file": ["out.parquet"] * ROWS, "row": range(ROWS), "y": outcomes()}
    other = evaluate(
        str(folder / "out"),
        on={"source_file": "file", "source_row": "row"},
        labels=[labels(folder, places, name="places.csv")],
    )

    assert only(one).figures == only(other).figures


def test_labels_may_be_partial_and_come_late(folder: Path) -> None:
    scores_of(folder)
    days = ["2026-01-05" if row < 20 else "2026-02-05T10:00:00Z" for row in range(40)]
    path = labels(folder, {"id": range(40), "y": outcomes(40), "known": days})

    early, later = (
        evaluate(str(folder / "out"), labels=[path], label="y", label_time="known", as_of=day)
        for day in ("2026-01-31", "2026-02-28")
    )

    assert (only(early).labelled, only(early).join.labels_too_late) == (20, 20)
    assert (only(later).labelled, only(later).join.unlabelled) == (40, 20)
    assert only(early).mean_score_unlabelled is not None


def test_labels_that_contradict_each_other_are_refused_or_chosen_between(folder: Path) -> None:
    scores_of(folder)
    path = labels(folder, {"id": [*range(ROWS), 0], "y": [*outcomes(), 1 - outcomes()[0]]})

    with pytest.raises(DataError, match="id 0 has two labels"):
        evaluate(str(folder / "out"), labels=[path])
    first, last = (evaluate(str(folder / "out"), labels=[path], labels_keep=keep) for keep in ("first", "last"))

    assert abs((only(first).mean_label or 0) - (only(last).mean_label or 0)) == pytest.approx(1 / ROWS)
    assert only(last).join.labels_repeated == 1


def test_no_match_at_all_shows_ids_of_both_sides(folder: Path) -> None:
    scores_of(folder)
    path = labels(folder, {"id": [f"c{row}" for row in range(ROWS)], "y": outcomes()})

    with pytest.raises(DataError, match="ids as 0, 1, the labels c0, c1"):
        evaluate(str(folder / "out"), labels=[path])


def test_labels_that_are_all_missing_are_not_known_yet(folder: Path) -> None:
    scores_of(folder)

    with pytest.raises(DataError, match="none of the 60 labels is known yet"):
        evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": [""] * ROWS})])


def test_what_is_wrong_with_the_files_is_said(folder: Path) -> None:
    scores_of(folder)
    good = labels(folder, {"id": range(ROWS), "y": outcomes(), "z": outcomes()})
    odd = labels(folder, {"id": range(ROWS), "y": ["maybe"] * ROWS}, name="odd.csv")
    dated = labels(folder, {"id": range(ROWS), "y": outcomes(), "t": ["2026-01-01"] * ROWS}, name="dated.csv")
    (folder / "ragged.csv").write_text("id,y\n1,0\n2\n")

    with pytest.raises(UsageError, match="which column is the label"):
        evaluate(str(folder / "out"), labels=[good])
    with pytest.raises(MissingColumn, match="why"):
        evaluate(str(folder / "out"), labels=[good], label="why")
    with pytest.raises(MissingColumn, match="twon"):
        evaluate(str(folder / "out"), labels=[good], label="y", by=["twon"])
    with pytest.raises(InputMissing):
        evaluate(str(folder / "out"), labels=[str(folder / "nowhere.csv")])
    with pytest.raises(DataError, match="label maybe is none of the classes"):
        evaluate(str(folder / "out"), labels=[odd])
    with pytest.raises(CorruptFile, match="too few fields"):
        evaluate(str(folder / "out"), labels=[str(folder / "ragged.csv")])
    with pytest.raises(DataError, match="column z holds no times"):
        evaluate(str(folder / "out"), labels=[good], label="y", label_time="z", as_of="2026-01-01")
    with pytest.raises(UsageError, match="soon is no time"):
        evaluate(str(folder / "out"), labels=[dated], label_time="t", as_of="soon")
    with pytest.raises(UsageError, match="decide nothing"):
        evaluate(str(folder / "out"), labels=[dated], label="y", label_time="t")
    with pytest.raises(UsageError, match="--as-of needs"):
        evaluate(str(folder / "out"), labels=[dated], label="y", as_of="2026-01-01")


def test_a_run_that_was_changed_is_not_judged(folder: Path) -> None:
    scores_of(folder)
    part = next((folder / "out" / "data").iterdir())
    part.write_bytes(part.read_bytes()[:-1] + b"x")

    with pytest.raises(RunMismatch):
        evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": outcomes()})])


# Every kind of model


def test_several_classes(folder: Path) -> None:
    table = scores_of(folder, models.classifier(3, ("a", "b", "c")))
    truth = [("a", "b", "c")[row % 3] for row in range(ROWS)]
    matrix = np.stack([table[f"probability_{name}"] for name in "abc"], axis=1)

    found = evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": truth})])

    assert found.kind == "multiclass"
    assert only(found).classes == ("a", "b", "c")
    assert value(found, "macro_auc") == pytest.approx(metrics.roc_auc_score(truth, matrix, multi_class="ovr"))
    assert value(found, "accuracy") == pytest.approx(metrics.accuracy_score(truth, table["prediction"]))


def test_one_class_of_several_against_the_rest(folder: Path) -> None:
    table = scores_of(folder, models.classifier(3, ("a", "b", "c")))
    truth = [("a", "b", "c")[row % 3] for row in range(ROWS)]

    found = evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": truth})], positive="b")

    hits = np.array(truth) == "b"
    assert found.kind == "binary"
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(hits, table["probability_b"]))
    assert value(found, "recall") == pytest.approx(metrics.recall_score(hits, np.array(table["prediction"]) == "b"))


def test_the_first_class_may_be_the_positive_one(folder: Path) -> None:
    table = scores_of(folder, models.classifier(3, ("no", "yes")))
    truth = [("no", "yes")[one] for one in outcomes()]

    found = evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": truth})], positive="no")

    hits = np.array(truth) == "no"
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(hits, table["probability_no"]))
    assert only(found).classes == ("yes", "no")


@pytest.mark.parametrize("spelled", [["false", "true"], ["0", "1"], ["0.0", "1.0"], ["False", "True"]])
def test_yes_and_no_may_be_spelled_in_any_usual_way(folder: Path, spelled: list[str]) -> None:
    scores_of(folder)

    path = labels(folder, {"id": range(ROWS), "y": [spelled[one] for one in outcomes()]})

    for positive in (None, "1", "true"):
        found = evaluate(str(folder / "out"), labels=[path], positive=positive)
        assert only(found).mean_label == pytest.approx(np.mean(outcomes()))


def test_a_regressor(folder: Path) -> None:
    table = scores_of(folder, models.linear(3, names=ABC))
    truth = np.random.default_rng(4).normal(0, 2, ROWS)

    found = evaluate(
        str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": truth.tolist()})], by=["town"]
    )

    assert found.kind == "regression"
    assert value(found, "rmse") == pytest.approx(metrics.root_mean_squared_error(truth, table["Y"]))
    assert value(found, "r2") == pytest.approx(metrics.r2_score(truth, table["Y"]))
    assert {one.value for one in only(found).slices} == {"Oslo", "Rome", "null"}


def test_a_number_may_be_held_against_a_limit(folder: Path) -> None:
    """A forecast of minutes as a score for "more than 1": the order counts, and what --at says."""
    table = scores_of(folder, models.linear(3, names=ABC))
    truth = np.random.default_rng(4).normal(0, 2, ROWS)
    path = labels(folder, {"id": range(ROWS), "y": truth.tolist()})

    found = evaluate(str(folder / "out"), labels=[path], positive="> 1")
    at = evaluate(str(folder / "out"), labels=[path], positive=">1", threshold=0.5)

    assert found.kind == "binary"
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(truth > 1, table["Y"]))
    assert "precision" not in only(found).figures
    assert value(at, "recall") == pytest.approx(metrics.recall_score(truth > 1, np.array(table["Y"]) >= 0.5))


def test_rows_whose_score_is_no_number_are_counted_and_not_judged(folder: Path) -> None:
    columns = inputs()
    columns["a"][4] = None
    path = shard(folder / "rows.parquet", columns)
    scores_of(folder, models.linear(3, names=ABC), inputs=(str(path),), nulls="nan", nan_scores="allow")

    found = evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": outcomes()})])

    assert (only(found).rows_without_score, only(found).labelled, only(found).join.matched) == (1, ROWS - 1, ROWS)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("regressor", {"threshold": 0.5}, "--at speaks of two classes"),
        ("regressor", {"task": "regression", "positive": ">1"}, "--positive speaks of two classes"),
        ("regressor", {"task": "multiclass"}, "no probabilities of several classes"),
        ("regressor", {"score": "Z"}, "Z is no score"),
        ("classes", {"threshold": 0.5}, "--at speaks of two classes"),
        ("classes", {"positive": ">1"}, "which of the model's scores"),
        ("classes", {"positive": "d"}, "none of the model's classes"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    folder: Path, model: str, options: dict[str, Any], message: str
) -> None:
    scores_of(folder, models.linear(3, names=ABC) if model == "regressor" else models.classifier(3, ("a", "b", "c")))

    with pytest.raises(UsageError, match=message):
        evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": outcomes()})], **options)


def test_a_score_that_nothing_calls_a_probability_may_be_judged_as_one(folder: Path) -> None:
    table = scores_of(folder, models.mlp(3))
    path = labels(folder, {"id": range(ROWS), "y": outcomes()})

    found = evaluate(str(folder / "out"), labels=[path], task="binary")
    at = evaluate(str(folder / "out"), labels=[path], task="binary", threshold=0.55)

    said = np.array(table["score"]) >= 0.55
    assert value(found, "auc") == pytest.approx(metrics.roc_auc_score(outcomes(), table["score"]))
    assert value(at, "accuracy") == pytest.approx(metrics.accuracy_score(outcomes(), said))


def test_one_of_several_scores_is_named(folder: Path) -> None:
    table = scores_of(folder, models.linear(3, 2, names=ABC))
    path = labels(folder, {"id": range(ROWS), "y": outcomes()})
    columns = [name for name in table.column_names if name != "id"]

    with pytest.raises(UsageError, match="several numbers"):
        evaluate(str(folder / "out"), labels=[path])
    if len(columns) > 1:
        found = evaluate(str(folder / "out"), labels=[path], score=columns[1])
        assert value(found, "mae") == pytest.approx(metrics.mean_absolute_error(outcomes(), table[columns[1]]))


def test_a_model_that_says_a_class_alone(folder: Path) -> None:
    model = models.classifier(3, ("a", "b", "c"))
    del model.graph.output[1]
    table = scores_of(folder, model)
    truth = [("a", "b", "c")[row % 3] for row in range(ROWS)]

    found = evaluate(str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": truth})])

    column = next(name for name in table.column_names if name != "id")
    assert value(found, "accuracy") == pytest.approx(metrics.accuracy_score(truth, table[column]))
    assert "log_loss" not in only(found).figures
    assert only(found).calibration is None


# Several runs


def test_a_label_that_two_runs_would_use_makes_no_figure_of_both(folder: Path) -> None:
    scores_of(folder, out="runs/a")
    scores_of(folder, out="runs/b")
    path = labels(folder, {"id": range(ROWS), "y": outcomes()})

    found = evaluate(str(folder / "runs"), labels=[path], fail_under={"auc": 0.0})

    assert len(found.runs) == 2
    assert found.overall is None
    assert found.judged.endswith("runs/b")


def test_a_run_whose_labels_have_not_come_is_named(folder: Path) -> None:
    scores_of(folder, out="runs/a")
    scores_of(folder, out="runs/b", first=ROWS)
    path = labels(folder, {"id": range(ROWS), "y": outcomes()})

    found = evaluate(str(folder / "runs"), labels=[path])

    assert [Path(one).name for one in found.without_labels] == ["b"]
    assert found.overall is not None
    assert (found.overall.labelled, found.overall.join.rows) == (ROWS, 2 * ROWS)


def test_runs_of_different_questions_are_refused(folder: Path) -> None:
    scores_of(folder, out="runs/a")
    scores_of(folder, models.linear(3, names=ABC), out="runs/b", first=ROWS)

    with pytest.raises(UsageError, match="different questions"):
        evaluate(str(folder / "runs"), labels=[labels(folder, {"id": range(ROWS), "y": outcomes()})])


# Limits and the file


def test_limits_are_held_against_the_figure_or_against_its_interval(folder: Path) -> None:
    scores_of(folder)
    path = labels(folder, {"id": range(ROWS), "y": outcomes()})
    auc = only(evaluate(str(folder / "out"), labels=[path])).figures["auc"]
    assert auc.value is not None
    limit = {"auc": auc.value + 0.01, "coverage": 1.0}

    strict = evaluate(str(folder / "out"), labels=[path], fail_under=limit, fail_over={"log_loss": 9.0})
    lenient = evaluate(str(folder / "out"), labels=[path], fail_under=limit, judge="interval")

    assert [one.passed for one in strict.limits] == [False, True, True]
    assert not strict.passed
    assert lenient.passed
    with pytest.raises(UsageError, match="acu"):
        evaluate(str(folder / "out"), labels=[path], fail_under={"acu": 0.5})


def test_a_metric_that_cannot_be_computed_does_not_pass(folder: Path) -> None:
    scores_of(folder)
    path = labels(folder, {"id": range(ROWS), "y": [1] * ROWS})

    found = evaluate(str(folder / "out"), labels=[path], fail_under={"auc": 0.0})

    assert not found.passed


def test_an_evaluation_is_sealed_and_reads_back(folder: Path) -> None:
    scores_of(folder)
    found = evaluate(
        str(folder / "out"), labels=[labels(folder, {"id": range(ROWS), "y": outcomes()})], by=["town"], positive="1"
    )

    data = encode_sealed(found)

    assert encode_sealed(decode_sealed(data, Evaluation, where="")) == data
    with pytest.raises(RunMismatch):
        decode_sealed(data.replace(b'"confidence": 0.95', b'"confidence": 0.99'), Evaluation, where="")


# Slices


def test_values_are_grouped_as_they_are_or_into_ranges() -> None:
    few, names = groups_of(pa.chunked_array([pa.array([10, 2, None, 10])]))
    assert (few.tolist(), names) == ([1, 0, 2, 1], ["2", "10", "null"])

    codes, ranges = groups_of(pa.chunked_array([pa.array([*map(float, range(100)), None])]))
    assert np.bincount(codes).tolist() == [25, 25, 25, 25, 1]
    assert ranges[-1] == "null"

    texts = pa.chunked_array([pa.array([f"t{row % 40}" for row in range(400)] + ["often"] * 50)])
    codes, names = groups_of(texts)
    assert len(names) == 20
    assert names[-1] == "22 others"
    assert np.bincount(codes).sum() == 450


def test_chances_are_corrected_as_holm_says() -> None:
    assert holm([0.01, None, 0.04, 0.03, 0.9]) == [pytest.approx(0.04), None, *map(pytest.approx, (0.09, 0.09, 0.9))]


def test_few_rows_are_not_called_better_or_worse() -> None:
    truth = np.array([0.0, 1.0] * 100)
    one = Outcomes("binary", truth, np.where(np.arange(200) < 8, 1 - truth, truth) * 0.5 + 0.2, None, ("0", "1"))
    by = pa.table({"part": np.repeat([0, 1], [8, 192])})

    found = slice_up(one, by, np.arange(200), ranked_by="auc", confidence=0.95)

    assert [(each.value, each.difference.reason, each.worse) for each in found][-1] == (
        "0",
        "too few rows to say",
        False,
    )
