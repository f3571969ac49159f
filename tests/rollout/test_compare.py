"""Two runs, or two models, over the same rows: figures that the reference libraries give, too, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn import metrics

import mlserve_cli
from mlserve_cli.errors import DataError, InputMissing, MissingColumn, UsageError
from mlserve_cli.rollout import Asked, CompareRequest, Comparison, figures_of
from mlserve_cli.scoring import ScoreRequest
from tests.models import classifier, mlp, save
from tests.rollout.trial import came, customers, models, scored, write

ROWS = 2_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customers, what came of them, two models, and a run of each: `one` of the old, `other` of the new."""
    folder = tmp_path_factory.mktemp("shop")
    table = customers(ROWS, 1)
    rows = write(folder, table)
    came(folder, table)
    old, new = models(folder)
    scored(old, rows, folder / "one", threshold=0.5)
    scored(new, rows, folder / "other", threshold=0.5)
    return folder


def compared(a: object, b: object = "", **more: Any) -> Comparison:
    (found,) = mlserve_cli.compare(CompareRequest(str(a), str(b) if b else "", **more)).comparisons
    return found


def scores(run: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(part) for part in sorted((run / "data").iterdir())])


def test_the_figures_of_a_score_are_numpys_and_scipys(shop: Path) -> None:
    found = compared(shop / "one", shop / "other")
    a, b = (np.asarray(scores(shop / name)["score"], np.float64) for name in ("one", "other"))
    (column,) = found.columns
    assert (found.kind, found.rows, found.only_a, found.only_b) == ("runs", ROWS, 0, 0)
    assert (column.a, column.b, column.rows) == ("score", "score", ROWS)
    assert column.shift.value == pytest.approx((b - a).mean())
    wanted = stats.ttest_rel(b, a).confidence_interval(0.95)
    assert (column.shift.low, column.shift.high) == pytest.approx((wanted.low, wanted.high), rel=1e-4)
    apart = np.abs(b - a)
    assert column.mean_absolute == pytest.approx(apart.mean())
    assert column.largest_absolute == pytest.approx(apart.max())
    assert (column.median_absolute, column.p99_absolute) == pytest.approx(tuple(np.quantile(apart, [0.5, 0.99])))
    assert column.rank_correlation is not None
    assert column.rank_correlation.value == pytest.approx(stats.spearmanr(a, b).statistic)


def test_decisions_are_counted_with_how_they_changed(shop: Path) -> None:
    found = compared(shop / "one", shop / "other").decisions
    a, b = (np.asarray(scores(shop / name)["prediction"]) for name in ("one", "other"))
    assert found is not None
    assert found.flips == (a != b).sum()
    assert found.agreement.value == pytest.approx((a == b).mean())
    assert {(move.a, move.b): move.rows for move in found.moves} == {
        ("0", "1"): ((a == 0) & (b == 1)).sum(),
        ("1", "0"): ((a == 1) & (b == 0)).sum(),
    }


def test_the_rows_that_moved_most_come_first(shop: Path) -> None:
    found = compared(shop / "one", shop / "other", moved=3).moved
    a, b = scores(shop / "one"), scores(shop / "other")
    apart = np.abs(np.asarray(b["score"]) - np.asarray(a["score"]))
    order = np.argsort(-apart)[:3]
    assert [one.row["id"] for one in found] == [str(a["id"][int(row)]) for row in order]
    assert compared(shop / "one", shop / "other", moved=0).moved == ()
    assert compared(shop / "one", shop / "one").moved == ()


def test_gains_against_labels_are_those_of_scikit_learn(shop: Path) -> None:
    found = compared(shop / "one", shop / "other", labels=(str(shop / "came.parquet"),), asked=Asked(positive="1"))
    truth = np.asarray(customers(ROWS, 1)["came"])
    a, b = (np.asarray(scores(shop / name)["score"], np.float64) for name in ("one", "other"))
    said = [np.asarray(scores(shop / name)["prediction"]) for name in ("one", "other")]
    assert found.labelled is not None
    by_name = {one.metric: one for one in found.labelled.metrics}
    assert by_name["auc"].gain.value == pytest.approx(metrics.roc_auc_score(truth, b) - metrics.roc_auc_score(truth, a))
    losses = [metrics.log_loss(truth, one) for one in (a, b)]
    assert by_name["log_loss"].gain.value == pytest.approx(losses[0] - losses[1])  # less is better
    briers = [metrics.brier_score_loss(truth, one) for one in (a, b)]
    assert by_name["brier"].gain.value == pytest.approx(briers[0] - briers[1])
    for metric, of in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert by_name[metric].gain.value == pytest.approx(of(truth, said[1]) - of(truth, said[0])), metric
    assert by_name["auc"].better == "b"
    assert {one.better for one in found.labelled.metrics if one.metric == "log_loss"} == {"b"}


def test_the_other_way_round_the_gains_have_the_other_sign(shop: Path) -> None:
    labels = {"labels": (str(shop / "came.parquet"),), "asked": Asked(positive="1")}
    there, back = compared(shop / "one", shop / "other", **labels), compared(shop / "other", shop / "one", **labels)
    assert there.labelled is not None
    assert back.labelled is not None
    for one, other in zip(there.labelled.metrics, back.labelled.metrics, strict=True):
        assert one.gain.value == pytest.approx(-other.gain.value, abs=1e-12)
        assert (one.gain.low, one.gain.high) == pytest.approx(
            (-(other.gain.high or 0), -(other.gain.low or 0)), abs=1e-9
        )


def test_rows_find_each_other_by_id_in_any_order_type_and_format(shop: Path, tmp_path: Path) -> None:
    """The second run is of other files: shuffled, in two pieces, ids as text, some rows missing and some new."""
    table = customers(ROWS, 1)
    shuffled = table.take(np.random.default_rng(3).permutation(ROWS)[:1_500])
    more = customers(100, 9, first=ROWS)
    (tmp_path / "rows").mkdir()
    for number, piece in enumerate((shuffled.slice(0, 700), shuffled.slice(700), more)):
        texts = piece.set_column(0, "id", piece["id"].cast(pa.string()))
        pyarrow.csv.write_csv(texts.drop_columns(["came"]), tmp_path / "rows" / f"{number}.csv")
    old, _ = models(tmp_path)
    run = scored(old, str(tmp_path / "rows"), tmp_path / "again.csv")
    found = compared(shop / "one", run)
    assert (found.rows, found.only_a, found.only_b) == (1_500, 500, 100)
    assert found.columns[0].largest_absolute < 1e-6


def test_labels_that_came_for_some_are_counted(shop: Path, tmp_path: Path) -> None:
    table = customers(ROWS, 1).slice(0, 300)
    labels = came(tmp_path, table)
    found = compared(shop / "one", shop / "other", labels=(labels,), asked=Asked(positive="1"))
    assert found.labelled is not None
    assert (found.labelled.rows, figures_of(found)["coverage"]) == (300, 0.15)


def test_two_models_are_scored_on_one_input(shop: Path) -> None:
    models_of = (str(shop / "old.onnx"), str(shop / "new.onnx"))
    scoring = ScoreRequest("", (str(shop / "rows.parquet"),), "", id_column="id", threshold=0.5, workers=1)
    found = compared(*models_of, scoring=scoring, labels=(str(shop / "came.parquet"),), asked=Asked(positive="1"))
    of_runs = compared(shop / "one", shop / "other", labels=(str(shop / "came.parquet"),), asked=Asked(positive="1"))
    assert (found.kind, of_runs.kind) == ("models", "runs")
    assert (found.columns, found.labelled, found.moved) == (of_runs.columns, of_runs.labelled, of_runs.moved)
    assert sorted(path.name for path in shop.iterdir()) == [
        *("came.parquet", "new.onnx", "old.onnx", "one", "other", "rows.parquet"),
    ]


def test_models_that_call_their_score_otherwise_are_compared_by_what_decides(shop: Path, tmp_path: Path) -> None:
    save(classifier(2), tmp_path / "classes.onnx")
    run = scored(str(tmp_path / "classes.onnx"), str(shop / "rows.parquet"), tmp_path / "classes", features=("a,b",))
    found = compared(shop / "one", run)
    assert [(one.a, one.b) for one in found.columns] == [("score", "probability_1")]


def test_several_classes_are_compared_class_by_class_and_by_their_labels(shop: Path, tmp_path: Path) -> None:
    save(classifier(2, ("red", "green", "blue")), tmp_path / "classes.onnx")
    save(classifier(2, ("red", "green", "blue")), tmp_path / "same.onnx")
    rows = str(shop / "rows.parquet")
    one, other = (
        scored(str(tmp_path / f"{name}.onnx"), rows, tmp_path / name, features=("a,b",), rename=rename)
        for name, rename in (("classes", {}), ("same", {"a": "b", "b": "a"}))
    )
    table = scores(Path(one))
    pq.write_table(pa.table({"id": table["id"], "colour": table["prediction"]}), tmp_path / "colours.parquet")
    found = compared(one, other, labels=(str(tmp_path / "colours.parquet"),))
    assert [one.a for one in found.columns] == ["probability_red", "probability_green", "probability_blue"]
    assert found.labelled is not None
    accuracy = next(one for one in found.labelled.metrics if one.metric == "accuracy")
    assert found.decisions is not None
    assert accuracy.a == 1.0
    assert accuracy.b == pytest.approx(found.decisions.agreement.value)


def test_numbers_are_compared_as_numbers(shop: Path, tmp_path: Path) -> None:
    table = customers(ROWS, 1)
    truth = pa.table({"id": table["id"], "paid": np.asarray(table["a"]) + 0.5})
    pq.write_table(truth, tmp_path / "paid.parquet")
    found = compared(shop / "one", shop / "other", labels=(str(tmp_path / "paid.parquet"),))
    a, b = (np.asarray(scores(shop / name)["score"], np.float64) for name in ("one", "other"))
    paid = np.asarray(truth["paid"])
    assert found.labelled is not None
    by_name = {one.metric: one for one in found.labelled.metrics}
    assert by_name["mae"].gain.value == pytest.approx(np.abs(a - paid).mean() - np.abs(b - paid).mean())
    assert by_name["r2"].gain.value == pytest.approx(metrics.r2_score(paid, b) - metrics.r2_score(paid, a))
    assert "bias" not in by_name


def test_scores_that_are_no_numbers_are_left_out_of_the_figures(tmp_path: Path) -> None:
    table = customers(50, 4)
    holes = table.set_column(1, "a", pa.array([None if row < 5 else row / 10 for row in range(50)], pa.float64()))
    rows = write(tmp_path, holes)
    old, new = models(tmp_path)
    runs = [
        scored(model, rows, tmp_path / name, nulls="nan", nan_scores="allow")
        for model, name in ((old, "one"), (new, "other"))
    ]
    found = compared(*runs)
    assert (found.rows, found.columns[0].rows) == (50, 45)


def test_a_run_without_an_id_column_is_compared_by_file_and_row(shop: Path, tmp_path: Path) -> None:
    rows = str(shop / "rows.parquet")
    one, other = (scored(str(shop / f"{m}.onnx"), rows, tmp_path / m, id_column=None) for m in ("old", "new"))
    assert compared(one, other).rows == ROWS
    with pytest.raises(UsageError, match="rows by source_file and source_row"):
        compared(one, shop / "other")


def test_what_cannot_be_compared_is_refused_with_what_to_do(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a challenger nor a split"):
        compared(shop / "one")
    with pytest.raises(UsageError, match="2 runs stand below"):
        compared(shop, shop / "one")
    with pytest.raises(InputMissing):
        compared(shop / "nowhere", shop / "one")
    elsewhere = scored(str(shop / "old.onnx"), write(tmp_path, customers(5, 1, first=10**6)), tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"no row of .* stands in"):
        compared(shop / "one", elsewhere)
    with pytest.raises(DataError, match="no label belongs to any row"):
        compared(shop / "one", shop / "other", labels=(came(tmp_path, customers(5, 1, first=-9)),))
    with pytest.raises(MissingColumn):
        compared(
            shop / "one", shop / "other", labels=(str(shop / "came.parquet"),), label="came", on={"id": "customer"}
        )
    with pytest.raises(UsageError, match="two models are compared"):
        compared(shop / "old.onnx", scoring=ScoreRequest("", (str(shop / "rows.parquet"),), ""))


def test_an_id_that_stands_twice_is_refused_where_it_matters(shop: Path, tmp_path: Path) -> None:
    table = customers(ROWS, 1)
    twice = pa.concat_tables([table.slice(0, 3), table.slice(1, 2)])
    run = scored(str(shop / "old.onnx"), write(tmp_path, twice), tmp_path / "twice")
    with pytest.raises(DataError, match="id 1 stands in 2 rows"):
        compared(shop / "one", run)


def test_models_with_nothing_alike_are_refused(shop: Path, tmp_path: Path) -> None:
    save(mlp(2, outputs=3), tmp_path / "wide.onnx")
    run = scored(
        str(tmp_path / "wide.onnx"),
        str(shop / "rows.parquet"),
        tmp_path / "wide",
        features=("a,b",),
        output_columns={"score": "other"},
    )
    plain = scored(str(shop / "old.onnx"), str(shop / "rows.parquet"), tmp_path / "plain")
    with pytest.raises(DataError, match="no column alike"):
        compared(plain, run)


def test_a_run_that_was_tampered_with_is_not_compared(shop: Path, tmp_path: Path) -> None:
    run = Path(scored(str(shop / "old.onnx"), str(shop / "rows.parquet"), tmp_path / "run"))
    part = next((run / "data").iterdir())
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(DataError, match="sha256"):
        compared(shop / "one", run)


def test_every_figure_has_a_name_for_gates(shop: Path) -> None:
    found = compared(shop / "one", shop / "other", labels=(str(shop / "came.parquet"),), asked=Asked(positive="1"))
    figures = figures_of(found)
    assert figures["rows"] == figures["labelled_rows"] == ROWS
    assert figures["flip_share"] == pytest.approx(1 - figures["agreement"])
    assert figures["flip_share_low"] < figures["flip_share"] < figures["flip_share_high"]
    assert figures["shift_low"] == figures["shift_low.score"]
    assert figures["rank_correlation"] == figures["rank_correlation.score"]
    assert figures["auc.gain_anytime_low"] < figures["auc.gain_low"] < figures["auc.gain"]
    assert figures["auc.b"] - figures["auc.a"] == pytest.approx(figures["auc.gain"])
    assert figures["cost_ratio"] > 0
