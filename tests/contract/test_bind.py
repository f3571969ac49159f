"""From a model, a package and a command to one contract: what is taken from where, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from mlserve_cli.contract import Contract, Declared, DeclaredInput, DeclaredOutput, ModelFacts, bind
from mlserve_cli.errors import InvalidModel, UsageError
from mlserve_cli.session import read_facts
from tests import models


@pytest.fixture
def facts_of(tmp_path: Path) -> Any:
    """Model -> its facts."""

    def read(model: ModelProto) -> ModelFacts:
        return read_facts(str(models.save(model, tmp_path / "m.onnx")))

    return read


def columns_of(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Input -> columns."""
    return {part.tensor.name: part.columns for part in contract.inputs}


# Inputs


def test_a_matrix_that_nothing_names_is_refused_with_the_ways_to_name_it(facts_of: Any) -> None:
    with pytest.raises(InvalidModel, match="takes 3 columns, and nothing names them") as caught:
        bind(facts_of(models.linear()))
    for way in ("--features a,b,c", "file-order", "package", "feature_names"):
        assert way in caught.value.hint


def test_features_names_the_columns_in_order(facts_of: Any) -> None:
    facts = facts_of(models.linear())
    assert columns_of(bind(facts, features=("b,a,c",))) == {"X": ("b", "a", "c")}
    assert columns_of(bind(facts, features=('"a,1",b, c',))) == {"X": ("a,1", "b", " c")}
    assert columns_of(bind(facts, features=("#2,#1,#3",))) == {"X": ("#2", "#1", "#3")}
    assert columns_of(bind(facts, features=("X=a,b,c",))) == {"X": ("a", "b", "c")}
    assert columns_of(bind(facts, features=("file-order",), file_columns=("u", "v", "w"))) == {"X": ("u", "v", "w")}


def test_the_command_goes_before_the_package_before_the_models_own_words(facts_of: Any) -> None:
    facts = facts_of(models.linear(2, names=("m", "n")))
    package = Declared(inputs=(DeclaredInput("X", ("p", "q")),))
    assert columns_of(bind(facts)) == {"X": ("m", "n")}
    assert columns_of(bind(facts, package)) == {"X": ("p", "q")}
    assert columns_of(bind(facts, package, features=("a,b",))) == {"X": ("a", "b")}


def test_metadata_may_be_a_json_list(facts_of: Any) -> None:
    model = models.linear(2, names=("x",))
    model.metadata_props[0].value = '["first, of two", "second"]'
    assert columns_of(bind(facts_of(model))) == {"X": ("first, of two", "second")}
    model.metadata_props[0].value = '{"a": 1}'
    with pytest.raises(InvalidModel, match="no list of names"):
        bind(facts_of(model))


def test_inputs_of_one_value_are_columns_of_their_own_names(facts_of: Any) -> None:
    contract = bind(facts_of(models.mixed_columns()))
    assert contract.columns == ("age", "city", "visits", "member")
    assert [contract.dtype_of(column) for column in contract.columns] == ["float32", "string", "int64", "bool"]
    renamed = bind(facts_of(models.mixed_columns()), features=("a,b,c,d",))
    assert columns_of(renamed) == {"age": ("a",), "city": ("b",), "visits": ("c",), "member": ("d",)}


def test_several_matrices_are_named_one_by_one(facts_of: Any) -> None:
    facts = facts_of(models.several_matrices())
    contract = bind(facts, features=("right=c,d,e", "left=a,b"))
    assert columns_of(contract) == {"left": ("a", "b"), "right": ("c", "d", "e")}
    with pytest.raises(UsageError, match="2 inputs"):
        bind(facts, features=("a,b,c,d,e",))
    with pytest.raises(InvalidModel, match="left") as caught:
        bind(facts, features=("right=c,d,e",))
    assert "--features left=a,b,c" in caught.value.hint
    with pytest.raises(UsageError, match="twice"):
        bind(facts, features=("left=a,b", "left=a,b"))
    with pytest.raises(UsageError, match="names no input"):
        bind(facts, features=("left=a,b", "middle=c,d,e"))


@pytest.mark.parametrize(
    ("features", "file_columns"),
    [(("a,b",), None), (("a,b,c,d",), None), (("file-order",), ("a", "b")), (("file-order",), None)],
)
def test_another_number_of_columns_than_the_model_takes_is_a_usage_error(
    features: tuple[str, ...], file_columns: tuple[str, ...] | None, facts_of: Any
) -> None:
    with pytest.raises(UsageError):
        bind(facts_of(models.linear()), features=features, file_columns=file_columns)


def test_a_package_or_metadata_that_does_not_fit_its_model_is_refused(facts_of: Any) -> None:
    with pytest.raises(InvalidModel, match="package's contract names 2 columns"):
        bind(facts_of(models.linear()), Declared(inputs=(DeclaredInput("X", ("a", "b")),)))
    with pytest.raises(InvalidModel, match="an input Z"):
        bind(facts_of(models.linear()), Declared(inputs=(DeclaredInput("Z", ("a", "b")),)))
    with pytest.raises(InvalidModel, match="metadata feature_names names 2"):
        bind(facts_of(models.linear(3, names=("a", "b"))))
    with pytest.raises(InvalidModel, match="fills z"):
        bind(facts_of(models.linear(1)), Declared(fill={"z": 1.0}))
    with pytest.raises(InvalidModel, match="fill value 'x'"):
        bind(facts_of(models.linear(1)), Declared(fill={"X": "x"}))


def test_one_name_for_a_wide_input_is_a_list_column(facts_of: Any) -> None:
    contract = bind(facts_of(models.linear()), features=("embedding",))
    assert contract.inputs[0].is_list
    assert bind(facts_of(models.sequence_model()), features=("steps",)).inputs[0].is_list
    assert not bind(facts_of(models.linear(1))).inputs[0].is_list


def test_an_open_width_is_as_wide_as_its_columns(facts_of: Any) -> None:
    contract = bind(facts_of(models.identity(models.FLOAT, [None, None])), features=("a,b,c",))
    assert contract.inputs[0].tensor.shape == (None, 3)


def test_rename_maps_model_columns_to_the_files(facts_of: Any) -> None:
    contract = bind(facts_of(models.linear()), features=("a,b,c",), rename={"a": "File A"})
    assert [contract.file_column(name) for name in contract.columns] == ["File A", "b", "c"]
    with pytest.raises(UsageError, match="which the model does not take"):
        bind(facts_of(models.linear()), features=("a,b,c",), rename={"File A": "a"})


def test_one_column_feeds_one_type(facts_of: Any) -> None:
    with pytest.raises(InvalidModel, match="would feed both float32 and string"):
        bind(facts_of(models.mixed_columns()), features=("a,a,c,d",))


def test_nulls_come_from_the_command_then_the_package(facts_of: Any) -> None:
    facts = facts_of(models.linear(1))
    assert bind(facts).nulls == "error"
    assert bind(facts, Declared(nulls="nan")).nulls == "nan"
    assert bind(facts, Declared(nulls="nan"), nulls="error").nulls == "error"


# Outputs


def names_of(contract: Contract) -> list[tuple[str, tuple[str, ...]]]:
    """(role, columns) of each output."""
    return [(output.role, output.columns) for output in contract.outputs]


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_classifier_writes_its_label_and_a_probability_for_each_class(zipmap: bool, facts_of: Any) -> None:
    contract = bind(facts_of(models.classifier(3, ("no", "yes", "on hold"), zipmap=zipmap)), features=("a,b,c",))
    assert names_of(contract) == [
        ("label", ("prediction",)),
        ("probability", ("probability_no", "probability_yes", "probability_on hold")),
    ]
    assert contract.outputs[1].tensor.name == "probabilities"
    assert contract.outputs[1].classes == ("no", "yes", "on hold")


def test_without_labels_only_the_probabilities_are_asked_for(facts_of: Any) -> None:
    contract = bind(facts_of(models.classifier()), features=("a,b,c",), labels=False)
    assert names_of(contract) == [("probability", ("probability_0", "probability_1"))]


def test_other_outputs_are_called_what_the_model_calls_them(facts_of: Any) -> None:
    model = models.linear()
    for name, column in (
        ("sequential/dense_2/Softmax:0", "sequential_dense_2_Softmax_0"),
        ("Größe", "Größe"),
        (":0", "0"),
    ):
        model.graph.output[0].name = model.graph.node[0].output[0] = name
        assert names_of(bind(facts_of(model), features=("a,b,c",))) == [("value", (column,))]


def test_a_package_names_its_outputs_and_leaves_out_the_rest(facts_of: Any) -> None:
    facts = facts_of(models.classifier(zipmap=True))
    for tensor in ("probabilities", "output_probability"):
        package = Declared(outputs=(DeclaredOutput(tensor, ("p_no", "p_yes"), "probability"),))
        contract = bind(facts, package, features=("a,b,c",))
        assert names_of(contract) == [("probability", ("p_no", "p_yes"))]
        assert contract.outputs[0].tensor.name == "probabilities"
    with pytest.raises(InvalidModel, match="an output probabilties") as caught:
        bind(facts, Declared(outputs=(DeclaredOutput("probabilties", ("p",)),)), features=("a,b,c",))
    assert "did you mean" in caught.value.hint
    with pytest.raises(InvalidModel, match="names 3 columns"):
        bind(facts, Declared(outputs=(DeclaredOutput("probabilities", ("a", "b", "c")),)), features=("a,b,c",))


def test_a_threshold_takes_the_labels_place(facts_of: Any) -> None:
    contract = bind(facts_of(models.classifier()), features=("a,b,c",), threshold=0.3)
    assert names_of(contract) == [("probability", ("probability_0", "probability_1"))]
    assert (contract.threshold, contract.prediction) == (0.3, "prediction")
    package = Declared(threshold=0.4)
    assert bind(facts_of(models.classifier()), package, features=("a,b,c",)).threshold == 0.4
    assert bind(facts_of(models.classifier()), package, features=("a,b,c",), threshold=0.5).threshold == 0.5


def test_a_threshold_stands_against_one_probability_or_two(facts_of: Any) -> None:
    bind(facts_of(models.mlp(3)), features=("a,b,c",), threshold=0.5)
    two = Declared(outputs=(DeclaredOutput("Y", ("p0", "p1"), "probability"),))
    bind(facts_of(models.linear(3, 2)), two, features=("a,b,c",), threshold=0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.classifier(3, (0, 1, 2)),
        lambda: models.linear(3, 2),
        lambda: models.linear(3, 4),
        lambda: models.identity(models.INT64, [None, 3]),
    ],
    ids=["three classes", "two unnamed values", "a vector", "ints"],
)
def test_a_threshold_on_anything_else_is_refused(make: Any, facts_of: Any) -> None:
    with pytest.raises(InvalidModel, match="--threshold needs a binary classifier"):
        bind(facts_of(make()), features=("a,b,c",), threshold=0.5)


def test_written_columns_are_renamed_and_never_clash(facts_of: Any) -> None:
    facts = facts_of(models.classifier())
    contract = bind(facts, features=("a,b,c",), output_columns={"probability_1": "p", "prediction": "verdict"})
    assert names_of(contract) == [("label", ("verdict",)), ("probability", ("probability_0", "p"))]
    moved = bind(facts, features=("a,b,c",), threshold=0.5, output_columns={"prediction": "verdict"})
    assert moved.prediction == "verdict"
    with pytest.raises(UsageError, match="score, which is not written"):
        bind(facts, features=("a,b,c",), output_columns={"score": "p"})
    with pytest.raises(UsageError, match="an empty name"):
        bind(facts, features=("a,b,c",), output_columns={"prediction": ""})
    with pytest.raises(InvalidModel, match="two outputs would be written as prediction"):
        bind(facts, features=("a,b,c",), output_columns={"probability_1": "prediction"})


def test_nothing_left_to_write_is_refused(facts_of: Any) -> None:
    package = Declared(outputs=(DeclaredOutput("label", ("y",), "label"),))
    with pytest.raises(InvalidModel, match="no output is left"):
        bind(facts_of(models.classifier()), package, features=("a,b,c",), labels=False)


@pytest.mark.parametrize(
    ("dtype", "fits", "does_not"),
    [
        (models.FLOAT, [1, 0.5], [True, "1"]),
        (models.INT64, [1], [1.5, True, "1"]),
        (models.BOOL, [True], [1, "true"]),
        (models.STRING, [""], [1]),
    ],
)
def test_a_fill_value_is_of_the_columns_own_type(
    dtype: int, fits: list[Any], does_not: list[Any], facts_of: Any
) -> None:
    facts = facts_of(models.identity(dtype, [None, 1]))
    for value in fits:
        assert bind(facts, Declared(fill={"X": value})).fill == {"X": value}
    for value in does_not:
        with pytest.raises(InvalidModel, match="fill value"):
            bind(facts, Declared(fill={"X": value}))


def test_a_package_may_name_the_columns_of_an_output_of_open_width(facts_of: Any) -> None:
    facts = facts_of(models.identity(models.FLOAT, [None, 2], out_axes=[None, None]))
    contract = bind(facts, Declared(outputs=(DeclaredOutput("Y", ("u", "v")),)), features=("a,b",))
    assert contract.outputs[0].tensor.shape == (None, 2)


def test_a_probability_output_of_undeclared_width_is_as_wide_as_its_classes(facts_of: Any) -> None:
    model = models.classifier(3, ("a", "b", "c"))
    model.graph.output[1].CopyFrom(models.tensor("probabilities", models.FLOAT, [None, None]))
    assert bind(facts_of(model), features=("x,y,z",)).outputs[1].tensor.shape == (None, 3)
