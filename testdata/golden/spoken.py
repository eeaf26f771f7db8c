"""How the library inflect reads numbers: spoken.json, [digits, cardinal, ordinal], without "and" and commas.

    python -P testdata/golden/spoken.py
"""

import json
import os
import random

import inflect

random.seed(1)
engine = inflect.engine()
numbers = list(range(0, 130)) + [200, 999, 1000, 1001, 1012, 1100, 9999, 10**6, 10**6 + 1, 10**9 + 20, 10**15]
numbers += [random.randrange(10**k) for k in range(2, 30)]
rows = []
for n in numbers:
    words = engine.number_to_words(n, andword="", comma="")
    last = words.replace("-", " ").split()[-1]
    ordinal = engine.ordinal(last)
    rows.append([str(n), words, words[:len(words) - len(last)] + ordinal])
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "spoken.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
