"""`late-pipeline`: a scikit-learn pipeline with one input per column, text and integer categories among them."""

import numpy as np
import onnx
import polars as pl
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from question import Score, Scores, labels

NAME = "late-pipeline"
TEXTS = ("carrier", "origin", "dest", "manufacturer")
INTS = ("month", "hour", "engines")
FLOATS = ("distance", "plane_year", "temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
FILL: dict[str, str | int] = {"manufacturer": "unknown", "engines": 0}
LIBRARIES = ("scikit-learn", "skl2onnx")


def train(training: pl.DataFrame) -> tuple[onnx.ModelProto, Score]:
    """The model as ONNX, and the library's own scores."""
    model = _pipeline().fit(_typed(training), labels(training).astype(np.int64))

    def score(rows: pl.DataFrame) -> Scores:
        return np.asarray(model.predict_proba(_typed(rows))[:, 1], dtype=np.float64)

    return _to_onnx(model), score


def _pipeline() -> Pipeline:
    numbers = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), list(TEXTS)),
            ("int", OneHotEncoder(handle_unknown="ignore"), list(INTS)),
            ("float", numbers, list(FLOATS)),
        ]
    )
    return Pipeline([("columns", columns), ("classify", LogisticRegression(max_iter=500))])


def _typed(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns as the ONNX inputs will see them: float32 and int64, nulls filled as the contract says."""
    return rows.select(
        *(pl.col(name).fill_null(FILL.get(name)) if name in FILL else pl.col(name) for name in TEXTS),
        *(pl.col(name).cast(pl.Int64).fill_null(FILL.get(name, 0)) for name in INTS),
        *(pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in FLOATS),
    )


def _to_onnx(model: Pipeline) -> onnx.ModelProto:
    types = [
        *((name, StringTensorType([None, 1])) for name in TEXTS),
        *((name, Int64TensorType([None, 1])) for name in INTS),
        *((name, FloatTensorType([None, 1])) for name in FLOATS),
    ]
    options = {id(model): {"zipmap": False}}
    exported: onnx.ModelProto = convert_sklearn(model, NAME, types, target_opset=17, options=options)
    opsets = sorted((opset.domain, opset.version) for opset in exported.opset_import)  # the order comes from a set
    del exported.opset_import[:]
    exported.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets)
    return exported
