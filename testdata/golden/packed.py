"""FLAC and MP3 files written by libsndfile, and what it reads from them: python -P testdata/golden/packed.py

audio/packed/NAME.flac, .mp3, and values.npz: NAME.flac, NAME.mp3 [samples, channels] f32
"""

from pathlib import Path

import numpy
import soundfile

HERE = Path(__file__).parent / "audio" / "packed"
HERE.mkdir(exist_ok=True)

rng = numpy.random.default_rng(7)
values = {}


def write(name, rate, channels, n, **how):
    t = numpy.arange(n)[:, None] / rate
    x = 0.5 * numpy.sin(2 * numpy.pi * (300 + 200 * numpy.arange(channels)) * t * (1 + t)) + 0.05 * rng.uniform(-1, 1, (n, channels))
    soundfile.write(HERE / name, x, rate, **how)
    read, r = soundfile.read(HERE / name, dtype="float32", always_2d=True)
    assert r == rate
    values[name] = read


for kind in ["PCM_S8", "PCM_16", "PCM_24"]:
    for channels in [1, 2]:
        write(f"{kind.lower()}_{channels}.flac", 22050, channels, 2001, subtype=kind)
write("six.flac", 48000, 6, 500, subtype="PCM_16")
quiet = numpy.zeros((3000, 2), dtype="int16")
quiet[1000:2000, 0] = 1000
soundfile.write(HERE / "quiet.flac", quiet, 16000)
values["quiet.flac"] = soundfile.read(HERE / "quiet.flac", dtype="float32")[0]
for rate, channels in [(44100, 1), (44100, 2), (16000, 1), (24000, 2)]:
    for mode in ["CONSTANT", "VARIABLE"]:
        write(f"{rate}_{channels}_{mode.lower()}.mp3", rate, channels, 5000, bitrate_mode=mode, compression_level=0.3)
numpy.savez_compressed(HERE / "values.npz", **values)
