"""Writes conversations.parquet with pyarrow, and conversations.json with the same rows: python gen.py, beside this file.

The rows have what the Parquet files of data sets have: lists of structures, lists of lists, missing and empty lists,
missing values, several row groups, pages with dictionaries, zstd.
"""
import json
import pyarrow as pa
import pyarrow.parquet as pq

turn = pa.struct([("role", pa.string()), ("content", pa.string())])
schema = pa.schema([
    ("id", pa.int64()), ("score", pa.float64()), ("messages", pa.list_(turn)), ("tokens", pa.list_(pa.list_(pa.int32()))),
    ("meta", pa.struct([("lang", pa.string()), ("tags", pa.list_(pa.string()))])), ("text", pa.string()), ("ok", pa.bool_()),
])
rows = []
for i in range(23):
    messages = [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i} é"}] * (1 + i % 3)
    rows.append({
        "id": i, "score": i / 4, "messages": messages, "tokens": [[k] * k for k in range(i % 4)],
        "meta": {"lang": "en" if i % 2 else None, "tags": ["a", "b", None][: i % 4]}, "text": f"text {i % 5}", "ok": i % 2 == 0,
    })
rows[3]["messages"] = None
rows[4]["messages"] = []
rows[5]["messages"] = [{"role": "user", "content": None}, None]
rows[6]["meta"] = None
rows[7]["text"] = None
rows[8]["tokens"] = [None, [], [1, None]]
table = pa.Table.from_pylist(rows, schema=schema)
pq.write_table(table, "conversations.parquet", row_group_size=10, compression="zstd")
with open("conversations.json", "w") as f:
    json.dump(table.to_pylist(), f, ensure_ascii=False, indent=0)
