"""Short-time Fourier transforms that MATLAB made, as librosa keeps them (librosa/librosa-test-data, ISC licence).

    python testdata/golden/signals.py FOLDER     with core-stft-*.mat, core-istft-003.mat and test1_22050.wav

signal/librosa.safetensors   x: the begin of the signal, as both channels' mean, f32; NAME.real, NAME.imag [bins, frames]: its first frames, f64; the metadata
                          key attr holds n_fft, hop_length and hann_w (the width of a Hann window, or 0 for none) of each NAME.
                          istft.*: the same of an inverse, and istft.y, what it gives, f64
"""

import json
import os
import sys
import wave

import numpy as np
import scipy.io
from safetensors.numpy import save_file

from reference import folder

FRAMES = 24

if __name__ == "__main__":
    root = sys.argv[1]
    with wave.open(os.path.join(root, "test1_22050.wav")) as w:
        assert w.getsampwidth() == 2
        x = np.frombuffer(w.readframes(w.getnframes()), "<i2").reshape(-1, w.getnchannels()) / 32768
    file, attr = {"x": x.mean(1)[: 128 * (FRAMES + 1)].astype(np.float32)}, {}
    for name, path in [("stft1", "core-stft-001"), ("stft2", "core-stft-002"), ("stft3", "core-stft-003"), ("istft", "core-istft-003")]:
        m = scipy.io.loadmat(os.path.join(root, path + ".mat"))
        attr[name] = {k: int(m[k][0, 0]) for k in ("nfft", "hop_length", "hann_w")}
        # transposed there by ', which conjugates
        file[name + ".real"], file[name + ".imag"] = m["D"].real[:, :FRAMES], -m["D"].imag[:, :FRAMES]
        if name == "istft":
            file["istft.y"] = m["Dinv"][0, : FRAMES * attr[name]["hop_length"]]
    save_file({k: np.ascontiguousarray(v) for k, v in file.items()}, os.path.join(folder("signal"), "librosa.safetensors"), metadata={"attr": json.dumps(attr)})
