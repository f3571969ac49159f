"""Flip bits of a model and score what the kernel still takes: a crash would show as this process's end.

Arguments: the model's path, and how many flips.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

from mlserve_cli.contract import bind
from mlserve_cli.errors import MlserveError
from mlserve_cli.session import RowsFailed, Unsupported, open_trees, read_facts
from tests.trees.ensembles import FEATURES


def main(path: Path, count: int) -> None:
    """Print how many flips were refused and how many scored."""
    data, draw, refused = path.read_bytes(), random.Random(7), 0
    for _ in range(count):
        place, bit = draw.randrange(len(data)), draw.randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :])
        try:
            score(str(path))
        except (MlserveError, RowsFailed, Unsupported):
            refused += 1
    print(refused, count - refused)


def score(path: str) -> None:
    """A batch of some rows, without asking ONNX Runtime first."""
    facts = read_facts(path)
    contract = bind(facts, features=(",".join(f"c{i}" for i in range(FEATURES)),))
    trees = open_trees(path, sha256=facts.sha256, contract=contract)
    trees.predict({"X": np.full((200, FEATURES), 0.5, np.float32)})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
