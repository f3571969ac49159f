"""Run by test_refused in a process of its own: flip bits of a model, one at a time, and load and score what comes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

from mlserve_cli.contract import TensorSpec, bind
from mlserve_cli.errors import MlserveError
from mlserve_cli.session import RowsFailed, check_supported, open_predictor, read_facts, settle


def main(path: Path, count: int) -> None:
    """Print how many flips were refused and how many scored."""
    data, draw, refused = path.read_bytes(), random.Random(7), 0
    for _ in range(count):
        place, bit = draw.randrange(len(data)), draw.randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :])
        try:
            score(str(path))
        except (MlserveError, RowsFailed):
            refused += 1
    print(refused, count - refused)


def score(path: str) -> None:
    """All the way through one batch of two rows."""
    facts = read_facts(path)
    wide = [spec for spec in facts.inputs if spec.width != 1]
    named = tuple(f"{spec.name}={','.join(f'c{i}' for i in range(min(spec.width or 1, 9)))}" for spec in wide)
    contract = bind(facts, features=named)
    check_supported(facts, contract)
    predictor = open_predictor(path, sha256=facts.sha256, contract=contract, threads=1)
    contract = settle(contract, predictor=predictor)
    predictor.predict({part.tensor.name: _zeros(part.tensor) for part in contract.inputs})


def _zeros(spec: TensorSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    shape = (2, *(size or 1 for size in spec.shape[1:]))
    return np.full(shape, "", object) if spec.dtype == "string" else np.zeros(shape, spec.dtype)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
