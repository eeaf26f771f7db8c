"""Features of sound as librosa, torchaudio, transformers and MATLAB make them:

    python -P testdata/golden/sound.py FOLDER     with feature-*.mat of librosa/librosa-test-data (ISC licence), and whisper_mel_filters.npz in the folder above

sound/mel.npz         NAME: the filters of feature-melfb*.mat [mels, n_fft/2+1] f32, rows of NAME: how they were made (see COLUMNS); hz and mels of both
                      scales; whisper_80 and whisper_128, the filters that Whisper ships
sound/features.npz    x: a signal of 4,000 samples, f32; for each output of features/model.cue its value, f64; NAME.grad: the gradient of sum(probe * NAME)
                      by x, and NAME.probe

The vocoders' mel spectrograms are computed by torch and librosa's filters, after the code that the authors of HiFi-GAN and Tacotron 2 published; all else by
the functions of the packages. All in float64.
"""

import glob
import os
import sys

import librosa
import numpy as np
import scipy.fft
import scipy.io
import torch
import torchaudio
import transformers

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sound")
COLUMNS = ["sr", "nfft", "nfilts", "fmin", "fmax", "htk", "norm"]
torch.set_default_dtype(torch.float64)


def filters(root):
    out = {}
    for path in sorted(glob.glob(os.path.join(root, "feature-melfb*.mat"))):
        m = scipy.io.loadmat(path)
        name = os.path.basename(path)[len("feature-") : -len(".mat")]
        how = [float(m[c][0, 0]) for c in COLUMNS[:-1]] + [0.0 if "norm" in m else 1.0]
        out[name + ".how"] = np.array(how)
        out[name] = m["wts"][:, : int(how[1]) // 2 + 1].astype("f4")
        assert not m["wts"][:, int(how[1]) // 2 + 1 :].any()
    for kind, given in [("hz_to_mel", "f"), ("mel_to_hz", "mels")]:
        for path in sorted(glob.glob(os.path.join(root, f"feature-{kind}-*.mat"))):
            m = scipy.io.loadmat(path)
            given = next(k for k in m if k[0] != "_" and k not in ("htk", "result"))
            name = os.path.basename(path)[len("feature-") : -len(".mat")]
            out[name] = np.stack([m[given].ravel().astype("f8"), m["result"].ravel()])
            out[name + ".htk"] = m["htk"].ravel().astype("f8")
    whisper = np.load(os.path.join(root, "..", "whisper_mel_filters.npz"))
    out["whisper_80"], out["whisper_128"] = whisper["mel_80"], whisper["mel_128"]
    np.savez_compressed(os.path.join(HERE, "mel.npz"), **out)


def signal():
    rng = np.random.default_rng(7)
    t = np.arange(4000) / 22050
    x = 0.4 * np.sin(2 * np.pi * (200 * t + 9000 * t**2)) + 0.2 * np.sin(2 * np.pi * 3000 * t) + 0.01 * rng.standard_normal(4000)
    x[1500:2000] *= 1e-3
    return x.astype("f4")


def vocoder(x, n_fft, edges, eps):
    mel = torch.from_numpy(librosa.filters.mel(sr=22050, n_fft=n_fft, n_mels=80, fmin=0, fmax=8000, dtype=np.float64))
    x = torch.nn.functional.pad(x[None, None], edges, mode="reflect")[0, 0]
    s = torch.stft(x, n_fft, 256, n_fft, torch.hann_window(n_fft), center=False, return_complex=True)
    s = torch.sqrt(s.real**2 + s.imag**2 + eps)
    return torch.log(torch.clamp(mel @ s, min=1e-5))


def mfcc(log_mels):
    return torchaudio.transforms.MFCC(16000, 13, log_mels=log_mels, melkwargs={"n_fft": 400, "hop_length": 160, "n_mels": 40})


def public(extractor, x):
    torch.set_default_dtype(torch.float32)
    y = extractor(x, sampling_rate=16000, padding="longest", truncation=False).input_features[0][:, :25]
    torch.set_default_dtype(torch.float64)
    return y


if __name__ == "__main__":
    filters(sys.argv[1])
    x32 = signal()
    x = x32.astype("f8")
    tx = torch.tensor(x, requires_grad=True)
    slaney = dict(sr=22050, n_fft=512, hop_length=160, n_mels=40, pad_mode="reflect", dtype=np.float64)
    mel = librosa.feature.melspectrogram(y=x, **slaney)
    extractor = transformers.WhisperFeatureExtractor()
    whisper = extractor._np_extract_fbank_features(x[None], "cpu")[0]
    assert abs(public(extractor, x32) - whisper).max() < 1e-4
    coefficients = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=13)
    learned = {
        "hifigan": vocoder(tx, 1024, (384, 384), 1e-9),
        "torch_mfcc": mfcc(False)(tx),
        "torch_mfcc_log": mfcc(True)(tx),
        "torch_mel": torchaudio.transforms.MelSpectrogram(16000, n_fft=400, hop_length=160, n_mels=40)(tx),
        "torch_deltas": torchaudio.functional.compute_deltas(mfcc(False)(tx), 5),
        "torch_emphasis": torchaudio.functional.preemphasis(tx[None] * 1, 0.97)[0],
    }
    out = {
        "x": x32,
        "mel": mel,
        "decibels": librosa.power_to_db(mel),
        "mfcc": coefficients,
        "deltas": librosa.feature.delta(coefficients),
        "deltas2": librosa.feature.delta(coefficients, order=2),
        "emphasis": librosa.effects.preemphasis(x),
        "whisper": whisper,
        "tacotron": vocoder(torch.tensor(x), 1024, (512, 512), 0).numpy(),
        "energy": np.linalg.norm(np.abs(librosa.stft(x, n_fft=512, hop_length=160, pad_mode="reflect")), axis=0),
        "cosines": scipy.fft.dct(np.eye(8), type=2, axis=0)[:5],
    }
    for name, y in learned.items():
        probe = torch.tensor(np.random.default_rng(len(name)).uniform(-1, 1, tuple(y.shape)).astype("f4").astype("f8"))
        (grad,) = torch.autograd.grad((y * probe).sum(), tx, retain_graph=True)
        out[name], out[name + ".probe"], out[name + ".grad"] = y.detach().numpy(), probe.numpy().astype("f4"), grad.numpy().astype("f4")
    out = {k: v if k == "x" or v.size < 3000 else v.astype("f4") for k, v in out.items()}
    np.savez_compressed(os.path.join(HERE, "features.npz"), **out)
