"""Signatures appear whole, beside what stands, and only on what holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlserve_cli import signing
from mlserve_cli.errors import InvalidModel, InvalidRegistry, OutputExists, UnknownModel
from tests import models
from tests.trust.signed import Shop, make_package


def test_a_signature_lies_beside_the_version_and_changes_nothing_in_it(shop: Shop) -> None:
    before = {path: path.read_bytes() for path in shop.version(2).rglob("*")}
    shop.new_key("quality", "*")
    signed = shop.sign("churn@champion", key="quality")
    assert signed.path == shop.churn / "signatures" / f"2.{signed.key_id[:16]}.sig"
    assert (signed.name, signed.version, signed.already) == ("churn", "2", False)
    assert {path: path.read_bytes() for path in shop.version(2).rglob("*")} == before


def test_a_folder_is_signed_under_its_own_name_and_version(shop: Shop, tmp_path: Path) -> None:
    package = make_package(tmp_path / "elsewhere", name="fraud", version="2026-11")
    signed = shop.sign(str(package))
    assert (signed.name, signed.version) == ("fraud", "2026-11")
    assert signed.path == package / "signatures" / f"{signed.key_id[:16]}.sig"


def test_another_signature_in_its_place_is_never_written_over(shop: Shop) -> None:
    shop.signature(2).write_bytes(shop.signature(1).read_bytes())
    with pytest.raises(OutputExists, match="the signature is for churn:1"):
        shop.sign("churn:2")
    assert shop.signature(2).read_bytes() == shop.signature(1).read_bytes()


def test_only_what_holds_is_signed(shop: Shop, tmp_path: Path) -> None:
    model = shop.version(2) / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidRegistry):
        shop.sign("churn:2")
    with pytest.raises(UnknownModel):
        shop.sign("churn:9")
    with pytest.raises(InvalidModel, match="no place for a signature"):
        shop.sign(str(models.save(models.linear(), tmp_path / "m.onnx")))


def test_ten_signers_at_once_all_sign(shop: Shop) -> None:
    for number in range(10):
        shop.new_key(f"key-{number}", "churn")
        shop.sign("churn:2", key=f"key-{number}")
    assert len(list((shop.churn / "signatures").glob("2.*.sig"))) == 11
    seen = signing.trust_check("churn:2", registry=str(shop.root), trust_policy=shop.policy)
    assert {one.wrong for one in seen.signatures} == {""}
    assert {one.signer for one in seen.signatures} == {"release", *(f"key-{number}" for number in range(10))}
