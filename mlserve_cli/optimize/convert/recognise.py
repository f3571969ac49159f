"""Which library a model file is of, by its content: names lie, and `.pt` or `.model` say little."""

from __future__ import annotations

import io
import json
import zipfile
import zlib

from mlserve_cli.errors import InvalidModel, UsageError, shown

FORMATS = {
    "lightgbm": "LightGBM text",
    "xgboost": "XGBoost JSON or UBJSON",
    "catboost": "CatBoost cbm",
    "skops": "skops",
    "torch-export": "torch.export",
    "torchscript": "TorchScript",
    "torch-pickle": "PyTorch pickle",
    "pickle": "pickle or joblib",
}
OF_LIBRARY = {  # --from -> the formats that such a library writes
    "sklearn": ("skops", "pickle"),
    "lightgbm": ("lightgbm", "pickle"),
    "xgboost": ("xgboost", "pickle"),
    "catboost": ("catboost", "pickle"),
    "torch": ("torch-export", "torchscript", "torch-pickle"),
}
_UNPACKED_BYTES = 64  # of a compressed joblib file, enough to see that a pickle follows


def recognise(data: bytes, *, file: str, library: str = "") -> str:
    """The format of the file's bytes, a key of FORMATS; nothing in them is run.

    Raises InvalidModel (78) where it is none of them, UsageError (2) where it is not of the library that was named.
    """
    found = _format(data)
    if not found:
        raise InvalidModel(
            "this is no model file that can be converted",
            shown(file, limit=400),
            f"known are {', '.join(FORMATS.values())}" if data else "the file is empty",
        )
    if library and found not in OF_LIBRARY[library]:
        raise UsageError(f"this is {FORMATS[found]}, which {library} does not write", shown(file, limit=400))
    return found


def _format(data: bytes) -> str:
    if data.startswith(b"tree\n"):
        return "lightgbm"
    if data.startswith(b"CBM1"):
        return "catboost"
    if data.startswith(b"{L\0\0\0\0\0\0\0\x07learner") or _is_xgboost_json(data):
        return "xgboost"
    if data.startswith(b"PK\x03\x04"):
        return _zip_format(data)
    return "pickle" if _is_pickle(_unpacked(data)) else ""


def _is_xgboost_json(data: bytes) -> bool:
    if data[:1] != b"{" or b'"learner"' not in data:
        return False
    try:
        return "learner" in json.loads(data)
    except ValueError:
        return False


def _zip_format(data: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        return ""
    inner = {name.partition("/")[2] for name in names}
    if "schema.json" in names:
        return "skops"
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        return "torch-export"
    if "constants.pkl" in inner:
        return "torchscript"
    return "torch-pickle" if "data.pkl" in inner else ""


def _unpacked(data: bytes) -> bytes:
    """The head of what joblib's usual compression packs."""
    if data[:2] in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
        try:
            return zlib.decompressobj().decompress(data, _UNPACKED_BYTES)
        except zlib.error:
            return b""
    return data


def _is_pickle(data: bytes) -> bool:
    """Protocols 2 and later start so; those before are from before Python 3."""
    return len(data) > 2 and data[0] == 0x80 and 2 <= data[1] <= 5
