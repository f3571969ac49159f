"""The field's metrics of scores held against what came, each from scikit-learn or scipy, each with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mlserve_cli.errors import ExtraMissing
from mlserve_cli.monitoring import influence, intervals
from mlserve_cli.monitoring.evaluation import Figure
from mlserve_cli.monitoring.outcomes import LEAST_PROBABILITY, Outcomes, losses, squares

SMALLER_IS_BETTER = frozenset(("log_loss", "brier", "mae", "rmse", "median_absolute_error", "bias"))
RANKABLE = {  # what slices and runs can be compared by, the usual one first
    "binary": ("auc", "accuracy", "log_loss", "brier", "precision", "recall", "specificity", "f1"),
    "multiclass": ("accuracy", "log_loss", "brier", "macro_auc"),
    "regression": ("mae", "rmse", "r2", "rank_correlation"),
}
ONE_CLASS = "all labels are of one class"
TOO_FEW = "too few rows"


def measure(outcomes: Outcomes, *, confidence: float = 0.95) -> dict[str, Figure]:
    """Every metric of this kind of model, by name.

    binary: auc, average_precision, log_loss, brier, accuracy, precision, recall, specificity, f1.
    multiclass: macro_auc, log_loss, brier, accuracy, balanced_accuracy, macro_f1.
    regression: mae, rmse, median_absolute_error, bias, r2, rank_correlation.
    Those that the model gives nothing for are left out; log_loss and brier where scores are no probabilities.

    Raises ExtraMissing (69) where scikit-learn or scipy is not installed.
    """
    with libraries():
        import scipy.stats  # noqa: F401
        import sklearn.metrics  # noqa: F401
    if not len(outcomes):
        return {}
    if outcomes.kind == "regression":
        return _regression(outcomes, confidence)
    by_score = {} if outcomes.scores is None else _SCORES[outcomes.kind](outcomes, confidence)
    by_class = {} if outcomes.predicted is None else _CLASSES[outcomes.kind](outcomes, confidence)
    return {**by_score, **by_class}


@contextmanager
def libraries() -> Iterator[None]:
    """Imports of the extra's libraries; ExtraMissing (69) names the extra."""
    try:
        yield
    except ImportError as error:
        library = (error.name or str(error)).partition(".")[0]
        raise ExtraMissing({"sklearn": "scikit-learn"}.get(library, library), "evaluate") from error


def _binary_scores(outcomes: Outcomes, confidence: float) -> dict[str, Figure]:
    from sklearn import metrics

    truth, scores = outcomes.truth, outcomes.scores
    assert scores is not None
    positives = int(truth.sum())
    if positives in (0, len(truth)):
        auc = average_precision = Figure(None, reason=ONE_CLASS)
    else:
        found = float(metrics.roc_auc_score(truth, scores))
        fewer = min(positives, len(truth) - positives)
        auc = intervals.on_logit(
            found,
            spread=influence.deviation(influence.auc(outcomes)),
            least=fewer,
            confidence=confidence,
            method="DeLong",
        )
        average_precision = intervals.of_average_precision(
            float(metrics.average_precision_score(truth, scores)), positives=positives, confidence=confidence
        )
    found_all = {"auc": auc, "average_precision": average_precision}
    if not outcomes.are_probabilities:
        return found_all
    clipped = np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    log_loss = float(metrics.log_loss(truth, clipped, labels=[0, 1]))
    brier = float(metrics.brier_score_loss(truth, scores, pos_label=1, labels=[0, 1]))
    return {
        **found_all,
        "log_loss": intervals.of_mean(log_loss, losses(outcomes), confidence=confidence, least=0.0),
        "brier": intervals.of_mean(brier, squares(outcomes), confidence=confidence, least=0.0),
    }


def _binary_classes(outcomes: Outcomes, confidence: float) -> dict[str, Figure]:
    from sklearn import metrics

    assert outcomes.predicted is not None
    counted = metrics.confusion_matrix(outcomes.truth, outcomes.predicted, labels=[0, 1])
    (true_negatives, false_positives), (false_negatives, true_positives) = counted.tolist()
    share = intervals.of_share
    either = true_positives + false_positives + false_negatives
    f1 = share(true_positives, either, confidence=confidence, none="nothing is positive")
    return {
        "accuracy": share(true_positives + true_negatives, len(outcomes), confidence=confidence),
        "precision": share(
            true_positives,
            true_positives + false_positives,
            confidence=confidence,
            none="nothing is predicted positive",
        ),
        "recall": share(
            true_positives, true_positives + false_negatives, confidence=confidence, none="no label is positive"
        ),
        "specificity": share(
            true_negatives, true_negatives + false_positives, confidence=confidence, none="every label is positive"
        ),
        "f1": intervals.mapped(f1, lambda share_: 2 * share_ / (1 + share_)),
    }


def _multiclass_scores(outcomes: Outcomes, confidence: float) -> dict[str, Figure]:
    from sklearn import metrics

    scores = outcomes.scores
    assert scores is not None
    places = list(range(scores.shape[1]))
    truth = outcomes.truth.astype(np.int64)
    counts = np.bincount(truth, minlength=len(places))
    clipped = np.clip(scores, LEAST_PROBABILITY, 1)
    clipped = clipped / clipped.sum(axis=1, keepdims=True)
    if not counts.min():
        auc = Figure(None, reason="not every class came")
    else:
        each = [float(metrics.roc_auc_score(truth == place, scores[:, place])) for place in places]
        spread = influence.deviation(influence.macro_auc(outcomes))
        least = min(int(counts.min()), len(truth) - int(counts.max()))
        auc = intervals.on_logit(
            float(np.mean(each)), spread=spread, least=least, confidence=confidence, method="DeLong"
        )
    return {
        "macro_auc": auc,
        "log_loss": intervals.of_mean(
            float(metrics.log_loss(truth, clipped, labels=places)), losses(outcomes), confidence=confidence, least=0.0
        ),
        "brier": intervals.of_mean(
            float(metrics.brier_score_loss(truth, clipped, labels=places, scale_by_half=False)),
            squares(outcomes),
            confidence=confidence,
            least=0.0,
        ),
    }


def _multiclass_classes(outcomes: Outcomes, confidence: float) -> dict[str, Figure]:
    from sklearn import metrics

    assert outcomes.predicted is not None
    counted = metrics.confusion_matrix(outcomes.truth, outcomes.predicted, labels=list(range(len(outcomes.classes))))
    right = int(np.trace(counted))
    came = counted.sum(axis=1) > 0
    balanced = float(np.mean(np.diag(counted)[came] / counted.sum(axis=1)[came]))
    macro_f1 = float(
        metrics.f1_score(
            outcomes.truth,
            outcomes.predicted,
            labels=list(range(len(outcomes.classes))),
            average="macro",
            zero_division=0,
        )
    )
    return {
        "accuracy": intervals.of_share(right, len(outcomes), confidence=confidence),
        "balanced_accuracy": intervals.of_confusion(
            balanced, counted, intervals.balanced_accuracy, confidence=confidence
        ),
        "macro_f1": intervals.of_confusion(macro_f1, counted, intervals.macro_f1, confidence=confidence),
    }


def _regression(outcomes: Outcomes, confidence: float) -> dict[str, Figure]:
    from scipy import stats
    from sklearn import metrics

    truth, scores = np.asarray(outcomes.truth, np.float64), outcomes.scores
    assert scores is not None
    errors = scores - truth
    varied = len(truth) > 2 and bool(np.ptp(truth)) and bool(np.ptp(scores))
    return {
        "mae": intervals.of_mean(
            float(metrics.mean_absolute_error(truth, scores)), np.abs(errors), confidence=confidence, least=0.0
        ),
        "rmse": intervals.of_root_mean_square(
            float(metrics.root_mean_squared_error(truth, scores)), errors**2, confidence=confidence
        ),
        "median_absolute_error": intervals.of_median(
            float(metrics.median_absolute_error(truth, scores)), np.abs(errors), confidence=confidence
        ),
        "bias": intervals.of_mean(float(np.mean(errors)), errors, confidence=confidence),
        "r2": intervals.of_estimate(
            float(metrics.r2_score(truth, scores)),
            spread=influence.deviation(influence.r2(outcomes)),
            confidence=confidence,
            most=1.0,
        )
        if len(truth) > 2 and np.ptp(truth)
        else Figure(None, reason=TOO_FEW if len(truth) < 3 else "all labels are the same"),
        "rank_correlation": intervals.of_correlation(
            float(stats.spearmanr(truth, scores).statistic),
            spread=influence.deviation(influence.rank_correlation(outcomes)),
            rows=len(truth),
            confidence=confidence,
        )
        if varied
        else Figure(None, reason=TOO_FEW if len(truth) < 3 else "all labels or all scores are the same"),
    }


_SCORES = {"binary": _binary_scores, "multiclass": _multiclass_scores}
_CLASSES = {"binary": _binary_classes, "multiclass": _multiclass_classes}
