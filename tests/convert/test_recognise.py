"""What a file is, by its content; and that no code of it runs on the way. None of the libraries is needed."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mlserve_cli.errors import InvalidModel, UsageError
from mlserve_cli.optimize.convert.recognise import FORMATS, recognise
from tests.cli.desk import Desk


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return file.getvalue()


EXAMPLES = {
    "lightgbm": b"tree\nversion=v4\n",
    "xgboost": b'{"learner": {}, "version": [3, 2, 0]}',
    "catboost": b"CBM1\0\0\0\0",
    "skops": zipped("1.npy", "schema.json"),
    "torch-export": zipped("net/archive_format", "net/models/model.json"),
    "torchscript": zipped("net/data.pkl", "net/constants.pkl"),
    "torch-pickle": zipped("net/data.pkl", "net/version"),
    "pickle": pickle.dumps([1]),
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_format_is_known_by_its_content(format: str) -> None:
    assert recognise(EXAMPLES[format], file="model.bin") == format


def test_a_compressed_pickle_is_a_pickle() -> None:
    assert recognise(zlib.compress(pickle.dumps([1])), file="model.joblib") == "pickle"


@pytest.mark.parametrize("data", [b"", b"{}", b"PK\x03\x04", b"\x80", b"hello\n", b'{"learner": '])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidModel):
        recognise(data, file="model.txt")


def test_a_file_of_another_library_than_the_named_one_is_refused() -> None:
    with pytest.raises(UsageError, match="LightGBM text, which xgboost does not write"):
        recognise(EXAMPLES["lightgbm"], file="model.txt", library="xgboost")


class Touches:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.path,)


def torch_pickle(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", content)
    return file.getvalue()


@pytest.mark.parametrize("wrap", [bytes, zlib.compress, torch_pickle])
def test_a_pickle_runs_nothing_without_the_word(wrap: object, desk: Desk, tmp_path: Path) -> None:
    assert callable(wrap)
    touched = tmp_path / "touched"
    model = desk.write("model.bin", wrap(pickle.dumps(Touches(touched))))
    ended = desk.run("model", "convert", model, "--data", desk.path("rows.csv"), "--output", desk.path("made"))
    assert (ended.code, "--allow-pickle" in ended.error["hint"]) == (77, True)
    assert not touched.exists()
    pickle.loads(pickle.dumps(Touches(touched)))
    assert touched.exists()  # so it would have
