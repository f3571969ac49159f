"""OpenSSF Model Signing, the library itself, verifies what we sign; what it signs lacks what we ask for.

Each of its calls costs half a second of imports, so that it has no place before each run, only in these tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlserve_cli.errors import Untrusted
from tests.trust.signed import Shop, make_package


def model_signing(*arguments: str | Path) -> str:
    """Its command's last word."""
    command = [sys.executable, "-W", "ignore", "-m", "model_signing", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def verified(shop: Shop, folder: Path, signature: Path) -> str:
    public = shop.folder / "release.pub"
    return model_signing("verify", "key", folder, "--public_key", public, "--signature", signature)


def test_it_verifies_a_version_that_we_signed(shop: Shop) -> None:
    assert verified(shop, shop.version(2), shop.signature(2)) == "Verification succeeded"
    assert verified(shop, shop.version(1), shop.signature(1)) == "Verification succeeded"


def test_it_verifies_a_folder_that_we_signed(shop: Shop, tmp_path: Path) -> None:
    package = make_package(tmp_path / "elsewhere")
    signed = shop.sign(str(package))
    assert verified(shop, package, signed.path) == "Verification succeeded"


@pytest.mark.parametrize("name", ["model.onnx", "golden.parquet", "package.toml", "more.txt"])
def test_it_refuses_a_change_as_we_do(shop: Shop, name: str) -> None:
    path = shop.version(2) / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b"x")
    assert "Verification failed" in verified(shop, shop.version(2), shop.signature(2))


def test_it_would_run_one_version_for_another_which_we_do_not(shop: Shop) -> None:
    """The reason why the statement says more than the standard asks for."""
    assert verified(shop, shop.version(1), shop.signature(1)) == "Verification succeeded"
    moved = shop.folder / "churn-2"
    shop.version(1).rename(moved)
    assert verified(shop, moved, shop.signature(1)) == "Verification succeeded"


def test_what_it_signs_says_no_version_and_is_refused_with_the_way_to_mend_it(shop: Shop) -> None:
    ours = shop.signature(2)
    ours.unlink()
    assert (
        model_signing("sign", "key", shop.version(2), "--private_key", shop.key, "--signature", ours)
        == "Signing succeeded"
    )
    with pytest.raises(Untrusted, match="does not say which name and version") as error:
        shop.admit()
    assert "mlserve model sign" in error.value.hint
