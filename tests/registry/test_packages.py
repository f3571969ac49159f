"""Packages: opened where every digest and key holds, refused by name where one does not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli.errors import InputMissing, InvalidModel
from mlserve_cli.registry import open_package
from tests.models import linear, save
from tests.scoring.runs import SAMPLES

GBM = SAMPLES / "models" / "late-gbm"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GBM, tmp_path / "late-gbm"))


def change(package: Path, old: str, new: str) -> None:
    text = (package / "package.toml").read_text()
    assert old in text
    (package / "package.toml").write_text(text.replace(old, new, 1))


def refused(package: Path, *words: str) -> InvalidModel:
    with pytest.raises(InvalidModel) as error:
        open_package(str(package))
    assert error.value.exit_code == 78
    for word in words:
        assert word in str(error.value)
    return error.value


def test_a_package_whose_digests_hold_is_opened() -> None:
    found = open_package(str(GBM))
    assert (found.name, found.version, found.file) == ("late-gbm", "1", "model.onnx")
    assert found.model_path == str(GBM / "model.onnx")
    assert found.model_sha256 == hashlib.sha256((GBM / "model.onnx").read_bytes()).hexdigest()
    assert found.declared is not None
    assert found.declared.nulls == "nan"
    assert found.golden is not None


def test_a_bare_file_is_known_by_its_own_digest(tmp_path: Path) -> None:
    path = save(linear(), tmp_path / "champion.onnx")
    found = open_package(str(path))
    assert found.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert (found.name, found.model_path, found.golden) == ("champion", str(path), None)


def test_a_package_that_moved_is_the_same_package(package: Path) -> None:
    assert open_package(str(package)).digest == open_package(str(GBM)).digest


def test_comments_and_spaces_of_a_package_are_no_part_of_it(package: Path) -> None:
    (package / "package.toml").write_text("# a comment\n" + (package / "package.toml").read_text())
    assert open_package(str(package)).digest == open_package(str(GBM)).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version = "1"', 'version = "2"'),
        ("threshold = 0.28", "threshold = 0.29"),
        ('"month", "hour"', '"hour", "month"'),
        ("tolerance = 1e-05", "tolerance = 1e-04"),
        ("held_out_auc = 0.7199", "held_out_auc = 0.9"),
    ],
)
def test_everything_a_package_says_is_in_its_digest(package: Path, old: str, new: str) -> None:
    change(package, old, new)
    assert open_package(str(package)).digest != open_package(str(GBM)).digest


# Refusals


def test_a_model_that_does_not_exist_is_66_with_a_hint(tmp_path: Path) -> None:
    save(linear(), tmp_path / "champion.onnx")
    with pytest.raises(InputMissing) as error:
        open_package(str(tmp_path / "champoin.onnx"))
    assert "champion.onnx" in error.value.hint
    with pytest.raises(InputMissing, match="no folder"):
        open_package(str(tmp_path / "none" / "m.onnx"))


@pytest.mark.parametrize("name", ["model.onnx", "golden.parquet"])
def test_a_changed_file_is_named_with_both_digests(package: Path, name: str) -> None:
    content = bytearray((package / name).read_bytes())
    content[len(content) // 2] ^= 1
    (package / name).write_bytes(content)
    refused(package, name, "sha256:", "restore the file")


@pytest.mark.parametrize("name", ["model.onnx", "golden.parquet", "package.toml"])
def test_a_missing_file_is_named(package: Path, name: str) -> None:
    (package / name).unlink()
    refused(package, name, "missing")


BROKEN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "unknown key": ('name = "late-gbm"', 'name = "late-gbm"\nauthor = "x"', ("author",)),
    "unknown key of the contract": ('nulls = "nan"', 'nulls = "nan"\nnull = "nan"', ("`null`", "contract")),
    "unknown key of an output": ('role = "probability"', 'rolle = "probability"', ("rolle",)),
    "wrong type": ('version = "1"', "version = 1", ("version",)),
    "wrong type inside": ("threshold = 0.28", 'threshold = "0.28"', ("threshold",)),
    "a value that is none": ('nulls = "nan"', 'nulls = "skip"', ("skip",)),
    "no name": ('name = "late-gbm"\n', "", ("name",)),
    "newer format": ("format = 1", "format = 2", ("package format 2", "format = 1")),
    "no format": ("format = 1\n", "", ("package format None",)),
    "format of another type": ("format = 1", "format = true", ("format",)),
    "format as text": ("format = 1", 'format = "1"', ("'1'",)),
    "no TOML": ("format = 1", "format = ", ("TOML",)),
    "a digest of nothing": (
        '"golden.parquet" = "sha256:',
        '"no.parquet" = "sha256:00"\n"golden.parquet" = "sha256:',
        ("no.parquet", "missing"),
    ),
    "model without a digest": ('"model.onnx" = ', '"golden2.onnx" = ', ("golden2.onnx",)),
    "path outside": ("[digests]", '[digests]\n"../x" = "sha256:00"', ("../x", "out of the package")),
    "absolute path": ("[digests]", '[digests]\n"/etc/hostname" = "sha256:00"', ("/etc/hostname",)),
    "path of a NUL": ("[digests]", '[digests]\n"a\\u0000b" = "sha256:00"', ("a\\x00b",)),
    "a folder": ("[digests]", '[digests]\n"." = "sha256:00"', ("is a folder",)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_package_file_that_does_not_hold_is_refused_with_the_key(package: Path, what: str) -> None:
    old, new, words = BROKEN[what]
    change(package, old, new)
    refused(package, *words)


def test_golden_rows_without_a_digest_are_refused(package: Path) -> None:
    text = (package / "package.toml").read_text().splitlines()
    (package / "package.toml").write_text("\n".join(line for line in text if not line.startswith('"golden.parquet"')))
    refused(package, "golden.parquet", "no digest")


def test_golden_rows_of_a_package_that_names_no_output_are_refused(package: Path) -> None:
    """They would be compared with nothing, and a package that says it has them would pass without."""
    text = (package / "package.toml").read_text()
    start, end = text.index("[[contract.outputs]]"), text.index("[golden]")
    (package / "package.toml").write_text(text[:start] + text[end:])
    refused(package, "golden", "outputs")


def test_bytes_that_are_no_utf8_are_refused(package: Path) -> None:
    (package / "package.toml").write_bytes(b'name = "\xff"')
    refused(package, "TOML")


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "package.toml", "is this a model package?")


FLIPS: list[Callable[[bytes, int], bytes]] = [
    lambda text, place: text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :],
    lambda text, place: text[:place],
    lambda text, place: text[place:],
    lambda text, place: text[:place] + text[place + 1 :],
]


@given(data=st.data(), flip=st.sampled_from(FLIPS))
@settings(max_examples=80)
def test_a_spoiled_package_file_is_refused_or_another_package(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, flip: Callable[[bytes, int], bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "spoiled"
    if not folder.exists():
        shutil.copytree(GBM, folder)
    text = (GBM / "package.toml").read_bytes()
    (folder / "package.toml").write_bytes(flip(text, data.draw(st.integers(0, len(text) - 1))))
    with suppress(InvalidModel):
        open_package(str(folder))
