"""Changes of rate by torchaudio: python -P testdata/golden/resample.py [core-resample-002.mat]

audio/resample/values.npz    x: 700 samples; FROM_TO: what torchaudio.functional.resample makes of it in float64, by "sinc_interp_kaiser" with the width, rolloff
                             and beta of its documentation (64, 0.9475937167399596, 14.769656459379492)

MATLAB's core-resample-002.mat keeps the rate of 22050 Hz and changes nothing, which is proven here if its path is given.
"""

import os
import sys

import numpy as np
import scipy.io
import torch
import torchaudio

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "audio", "resample")

if __name__ == "__main__":
    if len(sys.argv) > 1:
        m = scipy.io.loadmat(sys.argv[1])
        assert m["sr_in"] == m["sr_out"] and (m["y_in"] == m["y_out"]).all()
    os.makedirs(HERE, exist_ok=True)
    x = np.random.default_rng(3).uniform(-1, 1, 700).astype("f4")
    out = {"x": x}
    for a, b in [(8000, 16000), (44100, 48000), (48000, 8000), (22050, 16000), (16000, 44100)]:
        y = torchaudio.functional.resample(
            torch.tensor(x.astype("f8")), a, b, lowpass_filter_width=64, rolloff=0.9475937167399596, resampling_method="sinc_interp_kaiser", beta=14.769656459379492
        )
        out[f"{a}_{b}"] = y.numpy()
    np.savez_compressed(os.path.join(HERE, "values.npz"), **out)
