"""Loudness by pyloudnorm: python -P testdata/golden/loudness.py

audio/loudness.json    signals of two channels, parts [amplitude, Hz, seconds] one after the other, whose second channel is half as loud, and their loudness
                       in LUFS by the filters that pyloudnorm calls DeMan, those of the recommendation
"""

import json
import os

import numpy as np
import pyloudnorm

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "audio")

if __name__ == "__main__":
    out = []
    for rate, parts in [
        (48000, [[0.1, 1000, 2]]),
        (44100, [[0.05, 440, 1], [0.5, 3000, 1.5], [0.001, 100, 1]]),
        (16000, [[0.0001, 1000, 1], [0.3, 60, 1], [0.02, 5000, 0.7]]),
        (8000, [[0.0002, 500, 1]]),
    ]:
        x = np.concatenate([a * np.sin(2 * np.pi * hz * np.arange(int(s * rate)) / rate) for a, hz, s in parts]).astype("f4").astype("f8")
        loud = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(np.stack([x, x / 2], 1))
        out.append({"rate": rate, "parts": parts, "lufs": float(loud) if np.isfinite(loud) else None})
    with open(os.path.join(HERE, "loudness.json"), "w") as f:
        json.dump(out, f, indent=1)
