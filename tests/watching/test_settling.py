"""When a shard is complete: never while it still changes, always once it has stood still for long enough."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlserve_cli.watching.inbox import LONGEST_NAME_BYTES, Seen, look, look_again
from mlserve_cli.watching.settling import Settling

# Seconds to the next look, and whether the file grew meanwhile.
LOOKS = st.lists(st.tuples(st.floats(0, 10), st.booleans()), min_size=1, max_size=30)


def seen(name: str = "a.csv", *, size_bytes: int = 1, mtime_ns: int = 1, inode: int = 1) -> Seen:
    return Seen(name, f"/in/{name}", size_bytes, mtime_ns, inode)


@given(LOOKS, st.floats(0.5, 20))
def test_a_shard_is_complete_just_when_it_has_stood_still_for_long_enough(
    looks: list[tuple[float, bool]], settled_s: float
) -> None:
    settling = Settling(settled_s)
    now_s, size_bytes, since_s = 100.0, 1, 100.0
    settling.complete([seen()], now_s=now_s)
    for pause_s, grew in looks:
        now_s += pause_s
        if grew:
            size_bytes, since_s = size_bytes + 1, now_s

        complete = settling.complete([seen(size_bytes=size_bytes)], now_s=now_s)

        assert bool(complete) == (now_s - since_s >= settled_s)
        assert settling.waiting == 1 - len(complete)


def test_a_shard_that_went_and_came_back_is_a_new_one() -> None:
    settling = Settling(10)
    settling.complete([seen()], now_s=0)
    settling.complete([], now_s=5)

    assert settling.complete([seen()], now_s=11) == []
    assert settling.complete([seen()], now_s=21) == [seen()]


def test_another_file_of_the_same_size_and_time_is_another() -> None:
    settling = Settling(10)
    settling.complete([seen(inode=1)], now_s=0)

    assert settling.complete([seen(inode=2)], now_s=11) == []


def test_a_file_s_own_times_do_not_matter(tmp_path: Path) -> None:
    """A copy that keeps the times of its source is old from its first byte on."""
    settling = Settling(10)

    assert settling.complete([seen(mtime_ns=0)], now_s=1e6) == []


def test_where_shards_are_renamed_into_place_the_first_look_is_enough() -> None:
    assert Settling(0).complete([seen()], now_s=5) == [seen()]


def test_a_look_finds_shards_and_says_what_it_passes_over(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.csv", "deep/b.PQ", "deep/er/c.tsv.gz", "x" * LONGEST_NAME_BYTES + ".csv"):
        (tmp_path / name).write_bytes(b"x")
    passed: list[str] = []

    found = look(str(tmp_path), any_ending=False, passed=lambda name, _: passed.append(name))

    assert sorted(one.name for one in found) == ["a.csv", "deep/b.PQ", "deep/er/c.tsv.gz"]
    assert passed == ["x" * LONGEST_NAME_BYTES + ".csv"]
    assert all(look_again(one) == one for one in found)


def test_a_shard_that_is_gone_or_may_not_be_read_yet_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x")
    (found,) = look(str(tmp_path), any_ending=False, passed=lambda *_: None)
    os.unlink(path)

    assert look_again(found) is None
