"""The four models: trained, packaged, and held to what their own training library says of every sample row."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import polars as pl

import int8
import network
import packages
import pipeline
import question
import shards
import trees
from packages import Package
from question import Score

LARGEST_DIFFERENCE = 1e-5
LATE = "Arrives more than 15 minutes late"


def make_all(year: pl.DataFrame, *, sample: pl.DataFrame, output: Path) -> Iterator[str]:
    """Write each package and its expected scores; yield a line on each."""
    training, held_out = question.split(year)
    for package, score in _train_all(training):
        threshold = question.best_threshold(score, training)
        metrics = question.measure(score, held_out, threshold=threshold)
        package = package.measured(threshold=threshold, metrics=metrics)
        worst = _write(package, score, sample=sample, output=output)
        yield f"{package.name}: {metrics}; ONNX Runtime is at most {worst:.1e} away"


def _train_all(training: pl.DataFrame) -> Iterator[tuple[Package, Score]]:
    model, score = trees.train(training)
    yield _matrix_package(trees.NAME, "gradient-boosted trees", model, trees.FEATURES, libraries=trees.LIBRARIES), score
    model, score = pipeline.train(training)
    yield _pipeline_package(model), score
    model, score = network.train(training)
    about = "a small neural network"
    yield _matrix_package(network.NAME, about, model, network.FEATURES, libraries=network.LIBRARIES), score
    model, score = int8.quantise(model, training)
    about = "the network of late-mlp in static INT8"
    yield _matrix_package(int8.NAME, about, model, network.FEATURES, libraries=int8.LIBRARIES), score


def _matrix_package(
    name: str, about: str, model: onnx.ModelProto, features: tuple[str, ...], *, libraries: tuple[str, ...]
) -> Package:
    """A model of one float matrix; the names of its columns go into the ONNX file too, so that it is enough alone."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    named.metadata_props.add(key="feature_names", value=json.dumps(features))
    output = model.graph.output[-1].name
    return Package(
        name=name,
        description=f"{LATE}: {about} over one float matrix",
        model=named,
        inputs={"X": features},
        output=output,
        output_columns=("probability_late",) if output == "late" else ("probability_0", "probability_1"),
        provenance=question.provenance(*libraries),
    )


def _pipeline_package(model: onnx.ModelProto) -> Package:
    return Package(
        name=pipeline.NAME,
        description=f"{LATE}: one-hot text and integers, scaled numbers, logistic regression; one input per column",
        model=model,
        inputs={tensor.name: (tensor.name,) for tensor in model.graph.input},
        output="probabilities",
        output_columns=("probability_0", "probability_1"),
        provenance=question.provenance(*pipeline.LIBRARIES),
        fill=pipeline.FILL,
    )


def _write(package: Package, score: Score, *, sample: pl.DataFrame, output: Path) -> float:
    """Write the package and the expected scores; return how far ONNX Runtime is from them on the worst row."""
    late = score(sample)
    both = [1 - late, late][-len(package.output_columns) :]
    expected = pl.DataFrame(dict(zip(package.output_columns, both, strict=True)))
    folder = output / "models" / package.name
    packages.write(package, folder=folder, golden=packages.golden_rows(sample, package=package, expected=expected))
    (output / "expected").mkdir(exist_ok=True)
    ids_first = expected.select(sample["flight_id"], pl.all())
    shards.WRITERS["parquet"](output / "expected" / f"{package.name}.parquet", iter([ids_first]))
    actual = packages.score_by_hand(folder, sample, package=package)
    worst = float(np.abs(actual - expected.to_numpy()).max())
    assert worst <= LARGEST_DIFFERENCE, f"{package.name}: ONNX Runtime is {worst} away from its training library"
    return worst
