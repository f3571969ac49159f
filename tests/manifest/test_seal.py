"""The seal of records and manifests: what was written is read back, and nothing else passes for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlserve_cli.contract import decode_sealed, encode_sealed
from mlserve_cli.errors import InputMissing, InvalidConfig, MlserveError, RunMismatch
from mlserve_cli.manifest import (
    MANIFEST_FORMAT,
    RECORD_FORMAT,
    Latencies,
    Manifest,
    Stages,
    TaskRecord,
    read_manifest,
    read_record,
)
from tests.manifest.example import MANIFEST

SECONDS = st.floats(0, 1e6, allow_nan=False)
COUNTS = st.dictionaries(st.text(max_size=9), st.integers(0, 2**40), max_size=4)
RECORDS = st.builds(
    TaskRecord,
    format=st.just(RECORD_FORMAT),
    reasons=COUNTS,
    coerced=COUNTS,
    stages=st.builds(Stages, SECONDS, SECONDS, SECONDS, SECONDS),
    latencies=st.builds(Latencies, st.dictionaries(st.integers(-9, 300).map(str), st.integers(1, 10**6), max_size=5)),
    started_at_s=SECONDS,
    seconds=SECONDS,
    digest=st.just(""),
)


def without_digest(value: TaskRecord) -> TaskRecord:
    return msgspec.structs.replace(value, digest="")


@given(record=RECORDS)
@settings(max_examples=40)
def test_what_is_sealed_is_read_back(record: TaskRecord) -> None:
    found = decode_sealed(encode_sealed(record), TaskRecord, where="here")
    assert without_digest(found) == record
    assert encode_sealed(found) == encode_sealed(record)


@given(record=RECORDS, data=st.data())
@settings(max_examples=60)
def test_any_other_byte_breaks_the_seal(record: TaskRecord, data: st.DataObject) -> None:
    content = encode_sealed(record)
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    with pytest.raises(MlserveError) as refused:
        decode_sealed(content[:place] + bytes([byte]) + content[place + 1 :], TaskRecord, where="here")
    assert refused.value.exit_code == 65
    assert refused.value.where == "here"


def test_a_value_that_was_changed_and_kept_its_digest_breaks_the_seal() -> None:
    sealed = decode_sealed(encode_sealed(MANIFEST), Manifest, where="")
    content = msgspec.json.format(
        msgspec.json.encode(msgspec.structs.replace(sealed, inputs=()), order="sorted"), indent=2
    )
    with pytest.raises(RunMismatch, match="its own digest"):
        decode_sealed(content + b"\n", Manifest, where="")


@pytest.mark.parametrize("spelled", [lambda text: text + b"\n", lambda text: text.replace(b"  ", b" ")])
def test_another_spelling_of_the_same_value_breaks_the_seal(spelled: Callable[[bytes], bytes]) -> None:
    with pytest.raises(RunMismatch):
        decode_sealed(spelled(encode_sealed(MANIFEST)), Manifest, where="")


# Formats


def test_a_newer_format_is_refused_by_name_and_is_no_damage() -> None:
    newer = encode_sealed(msgspec.structs.replace(MANIFEST, format=MANIFEST_FORMAT + 1))
    with pytest.raises(InvalidConfig, match=r"format 2 of Manifest") as refused:
        decode_sealed(newer, Manifest, where="m.json")
    assert (refused.value.exit_code, refused.value.hint) == (78, "upgrade mlserve")


def test_a_newer_format_is_told_from_its_head_alone() -> None:
    with pytest.raises(InvalidConfig, match="format 7"):
        decode_sealed(b'{"format": 7, "all": "new"}', Manifest, where="m.json")


def test_an_unknown_key_of_this_format_is_damage() -> None:
    content = encode_sealed(MANIFEST).replace(b'"digest"', b'"extra": 1, "digest"', 1)
    with pytest.raises(RunMismatch, match="extra"):
        decode_sealed(content, Manifest, where="m.json")


@pytest.mark.parametrize("format_", [0, -1])
def test_a_format_that_never_was_is_refused(format_: int) -> None:
    content = encode_sealed(msgspec.structs.replace(MANIFEST, format=format_))
    with pytest.raises(InvalidConfig, match="format"):
        decode_sealed(content, Manifest, where="m.json")


# Files


def test_a_manifest_and_a_record_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(encode_sealed(MANIFEST))
    assert read_manifest(tmp_path / "manifest.json").run == MANIFEST.run


def test_a_run_without_its_manifest_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"there is no manifest\.json"):
        read_manifest(tmp_path / "manifest.json")


def test_what_is_no_file_is_no_manifest_and_no_record(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(InputMissing):
        read_manifest(tmp_path / "manifest.json")
    with pytest.raises(MlserveError, match="cannot read"):
        read_record(tmp_path / "manifest.json")


# Sums


@given(parts=st.lists(st.builds(Stages, *[st.integers(0, 9).map(float)] * 4), min_size=1))
def test_stages_add_up_in_any_order(parts: list[Stages]) -> None:
    total = Stages()
    for part in parts:
        total = total + part
    assert total == sum(reversed(parts), Stages())
    assert total.write_s == sum(part.write_s for part in parts)


HISTOGRAMS = st.dictionaries(st.integers(0, 200).map(str), st.integers(1, 99), max_size=6).map(Latencies)


@given(one=HISTOGRAMS, other=HISTOGRAMS, third=HISTOGRAMS)
def test_histograms_merge_in_any_order(one: Latencies, other: Latencies, third: Latencies) -> None:
    assert one + other == other + one
    assert (one + other) + third == one + (other + third)
    assert sum((one + other).counts.values()) == sum(one.counts.values()) + sum(other.counts.values())


@given(one=HISTOGRAMS, low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_higher_share_is_never_quicker(one: Latencies, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert one.quantile_s(low) <= one.quantile_s(high)


def test_a_quantile_is_right_within_its_bucket() -> None:
    micros = 1_000.0
    bucket = str(int(8 * 9.965784))  # 8 · log2(1000)
    assert Latencies({bucket: 5}).quantile_s(0.5) == pytest.approx(micros / 1e6, rel=0.05)
    assert Latencies().quantile_s(0.5) == 0.0
