"""Features as small integer codes, so that every comparison of a tree is `code <= cut` on a byte or two.

A feature's thresholds, sorted, number its values: a value's rank is how many of them lie below it. `x <= t` is then
`rank <= rank of t`, exactly. `x < t` is `x <=` the number before t, `>` and `>=` are these with the children swapped,
and `==` and sets have a column of codes of their own, 0 for a member and 1 for any other. NaN has a rank of its own,
and in each column the code that goes where it should. A feature with more thresholds than a byte tells apart has
several columns, each for a piece of them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.session.trees._ensemble import Ensemble, Flags, Ints, Mode, Reals, Unsupported

NARROW_COLUMNS = 128  # columns of bytes that stay in the first-level cache beside the rest; beyond, two bytes per code
MOST_COLUMNS = 32_767


class Splits(msgspec.Struct, frozen=True):
    """The branches in use: `node` is their position, NaN goes to `low` where `nan_low`; `bound` is NaN for a set."""

    node: Ints
    feature: Ints
    bound: Reals
    nan_low: Flags
    low: Ints
    high: Ints
    sets: dict[int, Reals]  # by index into these arrays


class Coded(msgspec.Struct, frozen=True):
    """How codes are made, and which column and cut each split compares.

    `features` int64 [used features, 5]: number, first threshold, thresholds, first column, column after the last.
    `columns` int64: where each column's codes by rank begin in `codes` (int8 or int16; the last of each is NaN's).
    """

    features: Ints
    thresholds: Reals
    columns: Ints
    codes: NDArray[Any]
    column: Ints
    cut: Ints


def split(ensemble: Ensemble, *, reached: Flags) -> Splits:
    """Every branch that is reached, as `value <= bound` or membership in a set."""
    node = np.flatnonzero(~ensemble.is_leaf & reached)
    mode = ensemble.mode[node]
    bound = ensemble.threshold[node].copy()
    below = np.isin(mode, (Mode.LT, Mode.GTE))
    if np.any(bound[below] == -np.inf):
        raise Unsupported("a node asks for numbers below -inf")
    bound[below] = _before(bound[below])
    swapped = np.isin(mode, (Mode.GT, Mode.GTE, Mode.NEQ))
    sets = {int(i): bound[i : i + 1].copy() for i in np.flatnonzero(np.isin(mode, (Mode.EQ, Mode.NEQ)))}
    sets |= {int(i): ensemble.members[int(node[i])] for i in np.flatnonzero(mode == Mode.MEMBER)}
    bound[list(sets)] = np.nan
    true, false = ensemble.true[node], ensemble.false[node]
    return Splits(
        node=node,
        feature=ensemble.feature[node],
        bound=bound,
        nan_low=(ensemble.missing_true[node] ^ swapped) & (mode != Mode.NEQ),  # NaN differs from any number
        low=np.where(swapped, false, true),
        high=np.where(swapped, true, false),
        sets=sets,
    )


def encode(splits: Splits) -> Coded:
    """The codes of all features that the splits read."""
    plain = np.flatnonzero(~np.isnan(splits.bound))
    feature, value, at = _thresholds(splits, plain)
    used, first, counts = np.unique(feature, return_index=True, return_counts=True)
    place = np.searchsorted(used, splits.feature)
    code_type, lowest, most = _code_type(counts)
    rank = at - first[place[plain]]
    column, cut = np.zeros(len(splits.node), np.int64), np.zeros(len(splits.node), np.int64)
    kinds, column[plain] = _plain_columns(place[plain], rank // most, splits.nan_low[plain])
    cut[plain] = rank % most
    _add_set_columns(kinds, column, splits, place)
    if len(kinds) > MOST_COLUMNS:
        raise Unsupported(f"its thresholds fill {len(kinds)} columns of codes")
    order = sorted(range(len(kinds)), key=lambda i: kinds[i].place)
    places = np.array([kinds[i].place for i in order], np.int64)
    spans = [np.searchsorted(places, np.arange(len(used)), side=side) for side in ("left", "right")]
    tables = [_table(kinds[i], value[first[kinds[i].place] :][: counts[kinds[i].place]], most) for i in order]
    return Coded(
        features=np.stack([used, first, counts, *spans], axis=1).astype(np.int64),
        thresholds=value,
        columns=np.cumsum([0, *map(len, tables)])[:-1].astype(np.int64),
        codes=np.concatenate([np.empty(0, code_type), *((table + lowest).astype(code_type) for table in tables)]),
        column=np.argsort(order)[column] if len(order) else column,
        cut=cut + lowest,
    )


class _Column(msgspec.Struct, frozen=True):
    """What a column tells of the feature at `place`: a piece of its ranks, or whether it is in a set (its bytes)."""

    place: int
    piece: int
    nan_low: bool
    members: bytes = b""


def _thresholds(splits: Splits, plain: Ints) -> tuple[Ints, Reals, Ints]:
    """(feature, threshold) pairs once each, sorted, and where each plain split's pair stands among them.

    A set's member stands there with the number before it: what lies between the two is the member alone.
    """
    features, values = [splits.feature[plain]], [splits.bound[plain]]
    for i, members in splits.sets.items():
        both = np.concatenate([members, _before(members)])
        features.append(np.full(len(both), splits.feature[i]))
        values.append(both)
    feature, value = np.concatenate(features), np.concatenate(values)
    order = np.lexsort((value, feature))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(feature[order]) != 0) | (value[order][1:] != value[order][:-1])
    at = np.empty(len(order), np.int64)
    at[order] = np.cumsum(new) - 1
    return feature[order][new], value[order][new], at[: len(plain)]


def _before(values: Reals) -> Reals:
    with np.errstate(over="ignore"):  # below the lowest number comes -inf
        found: Reals = np.nextafter(values, values.dtype.type(-np.inf))
    return found


def _code_type(counts: Ints) -> tuple[type[np.int8] | type[np.int16], int, int]:
    """The type of the codes, the lowest of them, and how many thresholds a column of it tells apart.

    Those of two bytes are never negative: comparing them without a sign is two operations less on a walk down a tree.
    """
    narrow = int(np.sum(-(-counts // 255)))
    return (np.int8, -128, 255) if narrow <= NARROW_COLUMNS else (np.int16, 0, 32_767)


def _plain_columns(place: Ints, piece: Ints, nan_low: Flags) -> tuple[list[_Column], Ints]:
    keys, column = np.unique((place << 32) | (piece << 1) | nan_low, return_inverse=True)
    return [_Column(int(key) >> 32, (int(key) & 0xFFFFFFFF) >> 1, bool(key & 1)) for key in keys], column


def _add_set_columns(kinds: list[_Column], column: Ints, splits: Splits, place: Ints) -> None:
    """A column for each different set of a feature; its splits are `code <= 0`."""
    known: dict[_Column, int] = {}
    for i, members in splits.sets.items():
        kind = _Column(int(place[i]), 0, bool(splits.nan_low[i]), members.tobytes())
        if kind not in known:
            known[kind] = len(kinds)
            kinds.append(kind)
        column[i] = known[kind]


def _table(column: _Column, thresholds: Reals, most: int) -> Ints:
    """A column's code for each rank, and for NaN; the lowest is 0."""
    ranks = np.arange(len(thresholds) + 1)
    if column.members:
        inside = np.searchsorted(thresholds, np.frombuffer(column.members, thresholds.dtype))
        return np.append(~np.isin(ranks, inside), not column.nan_low).astype(np.int64)
    codes = np.clip(ranks - column.piece * most, 0, most)
    return np.append(codes, 0 if column.nan_low else most)
