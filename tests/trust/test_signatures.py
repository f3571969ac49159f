"""The file of a signature: in the standard's form, read in its one spelling alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli import trust
from mlserve_cli.errors import Untrusted
from tests.trust.signed import Shop


@given(st.binary(max_size=200), st.binary(max_size=80), st.text("0123456789abcdef", max_size=64))
def test_a_bundle_comes_back_as_it_was(payload: bytes, signature: bytes, key_id: str) -> None:
    bundle = trust.Bundle(payload, signature, key_id)
    assert trust.decode_bundle(trust.encode_bundle(bundle), where="here") == bundle


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=5),
    st.text(max_size=10),
    st.text(max_size=10),
)
def test_a_statement_comes_back_as_it_was(files: dict[str, str], name: str, version: str) -> None:
    made = trust.statement_of(files, name=name, version=version, package_digest="sha256:0", history="")
    again = trust.decode_statement(trust.encode_statement(made), where="here")
    assert again == made
    assert again.files == files


@given(st.binary(max_size=300))
def test_whatever_stands_in_a_signature_file_is_a_bundle_or_refused(data: bytes) -> None:
    with pytest.raises(Untrusted, match="no signature of a model"):
        trust.decode_bundle(data, where="here")


def test_a_statement_names_every_file_with_name_version_and_history(shop: Shop) -> None:
    bundle = trust.read_signature(shop.signature(2))
    statement = trust.decode_statement(bundle.payload, where="here")
    signed = statement.predicate.mlserve
    assert set(statement.files) == {"model.onnx", "golden.parquet", "package.toml"}
    assert signed is not None
    assert (signed.name, signed.version) == ("churn", "2")
    assert signed.history.startswith("sha256:")


def test_base64_with_loose_bits_is_another_spelling_and_refused(shop: Shop) -> None:
    document = json.loads(shop.signature(2).read_bytes())
    text = base64.b64encode(b"x" * 70).decode()
    document["dsseEnvelope"]["signatures"][0]["sig"] = text[:-3] + chr(ord(text[-3]) + 1) + text[-2:]
    assert base64.b64decode(document["dsseEnvelope"]["signatures"][0]["sig"]) == b"x" * 70
    with pytest.raises(Untrusted, match="base64"):
        trust.decode_bundle(json.dumps(document).encode(), where="here")


@pytest.mark.parametrize("suffix", [b" ", b"\n"])
def test_spaces_around_a_bundle_do_no_harm(shop: Shop, suffix: bytes) -> None:
    path: Path = shop.signature(2)
    path.write_bytes(path.read_bytes() + suffix)
    assert shop.admit().signed
