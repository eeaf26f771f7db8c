"""Sound at another speed and at another pitch by librosa: python -P testdata/golden/stretch.py

audio/stretch/values.npz    x: 6,000 samples at 22050 Hz; stretch_RATE: librosa.effects.time_stretch, in float64; yin: librosa.yin of x with frames of 1024, hops of
                            256, from 80 to 1000 Hz; griffin_lim: librosa.griffinlim of the magnitudes of x (n_fft 512, hop 128, 3 iterations, momentum 0.99, begun with phases of 0)
"""

import os

import librosa
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "audio", "stretch")

if __name__ == "__main__":
    os.makedirs(HERE, exist_ok=True)
    t = np.arange(6000) / 22050
    f = 180 * t + 150 * t**2
    x = sum(np.sin(2 * np.pi * k * f) / k for k in range(1, 6)) * 0.3 + 0.01 * np.random.default_rng(5).standard_normal(6000)
    x = x.astype("f4")
    out = {"x": x}
    for rate in [0.8, 1.0, 1.25]:
        out[f"stretch_{rate}"] = librosa.effects.time_stretch(x.astype("f8"), rate=rate).astype("f4")
    out["yin"] = librosa.yin(x.astype("f8"), fmin=80, fmax=1000, sr=22050, frame_length=1024, hop_length=256)
    s = np.abs(librosa.stft(x.astype("f8"), n_fft=512, hop_length=128, pad_mode="reflect"))
    out["griffin_lim"] = librosa.griffinlim(s, n_iter=3, hop_length=128, n_fft=512, momentum=0.99, init=None, pad_mode="reflect").astype("f4")
    np.savez_compressed(os.path.join(HERE, "values.npz"), **out)
