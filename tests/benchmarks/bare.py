"""What `mlserve score` does to one CSV, by hand and with none of its care: the peer that startup.py measures against.

python tests/benchmarks/bare.py MODEL.onnx ROWS.csv SCORES.parquet
"""

import json
import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

model, rows, scores = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
features = json.loads(session.get_modelmeta().custom_metadata_map["feature_names"])
convert = pa.csv.ConvertOptions(
    include_columns=["flight_id", *features], column_types=dict.fromkeys(features, pa.float32()), null_values=["NA"]
)
table = pa.csv.read_csv(rows, convert_options=convert)
matrix = np.column_stack([np.asarray(table[name].combine_chunks().fill_null(np.nan)) for name in features])
(late,) = session.run(["late"], {"X": np.ascontiguousarray(matrix, dtype=np.float32)})
written = pa.table({"flight_id": table["flight_id"], "probability_late": late[:, 0]})
pa.parquet.write_table(written, scores, compression="zstd")
