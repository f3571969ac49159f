"""Which model a row goes to: the published hash, and nothing but the key's text and the experiment's name."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlserve_cli.planning.assignment import assign, key_of, siphash, takes_key

TREE = Path(__file__).parents[2]
IDS = range(2_000)
KEYS = st.lists(st.text(max_size=40), max_size=60)
PERCENTS = st.sampled_from([(50.0, 50.0), (90.0, 10.0), (99.5, 0.5), (100.0, 0.0), (0.0, 100.0), (20.0, 30.0, 50.0)])

# Of the reference implementation's vectors_sip64: key 00 … 0f, message of n bytes 00, 01, …
VECTORS = {
    0: 0x726FDB47DD0E0E31,
    1: 0x74F839C593DC67FD,
    2: 0x0D6C8009D9A94F5A,
    3: 0x85676696D7FB7E2D,
    4: 0xCF2794E0277187B7,
    5: 0x18765564CD99A68D,
    6: 0xCBC9466E58FEE3CE,
    7: 0xAB0200F58B01D137,
    8: 0x93F5F5799A932462,
    9: 0x9E0082DF0BA9E4B0,
    10: 0x7A5DBBC594DDB9F3,
    11: 0xF4B32F46226BADA7,
    12: 0x751E8FBC860EE5FB,
    13: 0x14EA5627C0843D90,
    14: 0xF723CA908E7AF2EE,
    15: 0xA129CA6149BE45E5,
    63: 0x958A324CEB064572,
}


def test_the_hash_is_siphash_2_4_by_its_published_vectors() -> None:
    key = (int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little"))
    messages = pa.array([bytes(range(length)) for length in VECTORS], pa.large_binary())

    assert siphash(messages, key=key).tolist() == list(VECTORS.values())


@given(texts=KEYS, salt=st.text(max_size=20))
@settings(max_examples=25)
def test_many_keys_at_once_are_hashed_as_each_alone(texts: list[str], salt: str) -> None:
    every = siphash(pa.array([text.encode() for text in texts], pa.large_binary()), key=key_of(salt))

    assert every.tolist() == [hash_one(text.encode(), key_of(salt)) for text in texts]


@given(texts=KEYS, percents=PERCENTS, cut=st.integers(0, 60), order=st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_neither_order_nor_shards_move_a_row(texts: list[str], percents: Sequence[float], cut: int, order: Any) -> None:
    whole = assign(pa.array(texts, pa.string()), salt="s", percents=percents)
    places = list(range(len(texts)))
    order.shuffle(places)

    shuffled = assign(pa.array([texts[place] for place in places], pa.string()), salt="s", percents=percents)
    keys = pa.array(texts, pa.string())
    parts = [assign(keys.slice(*span), salt="s", percents=percents) for span in ((0, cut), (cut,))]

    assert shuffled.tolist() == whole[places].tolist()
    assert np.concatenate(parts).tolist() == whole.tolist()


@pytest.mark.parametrize(
    "keys",
    [
        *(pa.array(IDS, kind) for kind in (pa.int16(), pa.uint32(), pa.int64(), pa.float32(), pa.float64())),
        *(pa.array(map(str, IDS), kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        pa.array([str(one).encode() for one in IDS], pa.binary()),
        pa.array(map(str, IDS)).dictionary_encode(),
        pa.array([0, *IDS]).slice(1),
    ],
    ids=lambda keys: str(keys.type),
)
def test_an_id_is_one_id_in_every_type(keys: pa.Array) -> None:
    expected = assign(pa.array(map(str, IDS), pa.string()), salt="churn", percents=(70, 30))

    assert takes_key(keys.type)
    assert assign(keys, salt="churn", percents=(70, 30)).tolist() == expected.tolist()


def test_no_later_version_may_move_a_row() -> None:
    found = assign(pa.array(range(12)), salt="churn", percents=(50, 50))

    assert found.tolist() == [1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1]


def test_another_process_assigns_the_same() -> None:
    script = (
        "import hashlib, pyarrow as pa; from mlserve_cli.planning.assignment import assign; "
        "print(hashlib.sha256(assign(pa.array(range(5000)), salt='é', percents=(60, 30, 10)).tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(TREE), "PYTHONHASHSEED": "7"},
    )

    here = assign(pa.array(range(5_000)), salt="é", percents=(60, 30, 10))
    assert other.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


@pytest.mark.parametrize("percents", [(50.0, 50.0), (95.0, 5.0), (40.0, 30.0, 20.0, 10.0)])
def test_shares_are_what_was_asked_for_by_a_chi_square_test(percents: tuple[float, ...]) -> None:
    rows = 20_000
    keys = [pa.array(range(rows)), pa.array([f"customer-{one:012d}" for one in range(rows)])]
    counts = [
        np.bincount(assign(one, salt=salt, percents=percents), minlength=len(percents))
        for one in keys
        for salt in ("a", "b", "c", "d", "e")
    ]
    wanted = [rows * percent / 100 for percent in percents]

    chances = [stats.chisquare(found, wanted).pvalue for found in counts]

    assert min(chances) > 0.001
    assert stats.kstest(chances, "uniform").pvalue > 0.001  # nor more even than chance is


def test_two_experiments_are_independent_of_each_other() -> None:
    keys = pa.array(range(40_000))
    one, other = (assign(keys, salt=salt, percents=(50, 50)) for salt in ("first", "second"))

    table = np.histogram2d(one, other, bins=2)[0]

    assert stats.chi2_contingency(table).pvalue > 0.001


@given(texts=KEYS, small=st.floats(0, 100), large=st.floats(0, 100))
@settings(max_examples=25)
def test_a_growing_canary_keeps_every_row_that_it_had(texts: list[str], small: float, large: float) -> None:
    small, large = sorted((round(small, 3), round(large, 3)))
    keys = pa.array(texts, pa.string())

    before, after = (assign(keys, salt="s", percents=(100 - share, share)) == 1 for share in (small, large))

    assert not (before & ~after).any()


def test_a_canary_of_nothing_has_no_row_and_one_of_all_has_every_row() -> None:
    keys = pa.array(IDS)

    assert not assign(keys, salt="s", percents=(100, 0)).any()
    assert assign(keys, salt="s", percents=(0, 100)).all()


def test_a_row_without_a_key_belongs_to_nobody() -> None:
    assert assign(pa.array(["a", None, "b"]), salt="s", percents=(0, 100)).tolist() == [1, -1, 1]
    assert assign(pa.array([1.0, float("nan"), None]), salt="s", percents=(0, 100)).tolist() == [1, -1, -1]
    assert assign(pa.nulls(2), salt="s", percents=(50, 50)).tolist() == [-1, -1]


def test_a_number_that_is_not_whole_is_no_key() -> None:
    with pytest.raises(pa.ArrowInvalid):
        assign(pa.array([1.0, 1.5]), salt="s", percents=(50, 50))


def test_what_has_no_text_of_its_own_is_no_key() -> None:
    assert not any(map(takes_key, (pa.list_(pa.int64()), pa.timestamp("us"), pa.decimal128(9, 2))))


def hash_one(message: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 of one message, as its paper has it."""
    mask = (1 << 64) - 1
    v = [
        key[0] ^ 0x736F6D6570736575,
        key[1] ^ 0x646F72616E646F6D,
        key[0] ^ 0x6C7967656E657261,
        key[1] ^ 0x7465646279746573,
    ]

    def turned(word: int, by: int) -> int:
        return ((word << by) | (word >> (64 - by))) & mask

    def mixed() -> None:
        for a, b, by in ((0, 1, 13), (2, 3, 16), (0, 3, 21), (2, 1, 17)):
            v[a] = (v[a] + v[b]) & mask
            v[b] = turned(v[b], by) ^ v[a]
            if (a, b) in ((0, 1), (2, 1)):
                v[a] = turned(v[a], 32)

    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 255])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= word
        mixed()
        mixed()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        mixed()
    return v[0] ^ v[1] ^ v[2] ^ v[3]
