"""The pitch of a voice by librosa's pYIN: python -P testdata/golden/pyin.py

audio/pyin/values.npz    x: 16,000 samples at 22050 Hz: a tone of five harmonics that rises and wavers, noise, silence, a lower tone in noise;
                         hz, voiced: librosa.pyin of x in float64, with frames of 1024, hops of 256, from 80 to 1000 Hz; 0 where there is no voice
"""

import os

import librosa
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "audio", "pyin")

if __name__ == "__main__":
    os.makedirs(HERE, exist_ok=True)
    r = np.random.default_rng(7)
    n = np.arange(16000)
    t = n / 22050
    tones = lambda f: sum(np.sin(2 * np.pi * k * f) / k for k in range(1, 6)) * 0.2
    x = np.zeros(16000)
    x[:6000] = tones(180 * t + 150 * t**2 + 0.4 * np.sin(30 * t))[:6000]
    x[6000:8500] = 0.1 * r.standard_normal(2500)
    x[10500:] = tones(110 * t)[10500:]
    x += 0.01 * r.standard_normal(16000) * (n >= 10500)
    x = x.astype("f4")
    hz, _, voiced = librosa.pyin(x.astype("f8"), fmin=80, fmax=1000, sr=22050, frame_length=1024, hop_length=256)
    np.savez_compressed(os.path.join(HERE, "values.npz"), x=x, hz=np.nan_to_num(hz), voiced=voiced)
    print(np.nan_to_num(hz).round(1), voiced.round(3))
