"""WAV files of every kind that is read, written by libsndfile, and what it reads
from them: python -P testdata/golden/audio.py
"""

from pathlib import Path

import numpy
import soundfile

HERE = Path(__file__).parent / "audio"
HERE.mkdir(exist_ok=True)

rng = numpy.random.default_rng(7)
samples = (rng.uniform(-1, 1, (37, 2)) * 0.9).astype("f8")
samples[3] = [0.999, -0.999]

values = {}
for container in ["WAV", "WAVEX", "RF64"]:
    for kind in ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]:
        if container != "WAV" and kind in ("PCM_U8", "PCM_32"):
            continue
        for channels in [1, 2]:
            if container != "WAV" and channels == 1:
                continue
            name = f"{container.lower()}_{kind.lower()}_{channels}"
            path = HERE / f"{name}.wav"
            soundfile.write(path, samples[:, :channels], 22050, subtype=kind, format=container)
            read, rate = soundfile.read(path, dtype="float32", always_2d=True)
            assert rate == 22050
            values[name] = read
numpy.savez(HERE / "values.npz", **values)
