"""Features of sound beside librosa, torch, torchaudio and transformers, and a vocoder beside ONNX Runtime, in turns, as a table in Markdown.

    make compare-audio PYTHON=venv/bin/python

Each line is computed of the same noise by one call, in f32, by all with two threads: Whisper's log-mel spectrogram of 30 s (librosa and torchaudio: the mel
spectrogram alone), a mel spectrogram of 20 s of music, and its Fourier transforms alone; HiFi-GAN is of the paper's size V1, with drawn weights, 100 frames.
Of several turns the best counts. Pipe's values are first held against librosa's, and the vocoder's against ONNX Runtime's.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

import librosa
import numpy as np
import onnxruntime
import torch
import torchaudio
import transformers
from safetensors.numpy import save_file

from report import write

MODEL = """package sound

import (
	%s"pipe.dev/schema/op"
)

model: op.#Model & {
	nodes: {
		x: op.#Input & {shape: ["batch", %d]}
		y: %s
	}
	out: nodes.y.out
}
"""
PIPELINE = """package pipelines

import "pipe.dev/schema/pipeline"

sound: pipeline.#Pipeline & {
	name: "sound"
	inputs: {
		model: type: "model"
		x: type:     "tensor"
	}
	models: model: from: inputs.model.value
	nodes: run: pipeline.#Run & {model: models.model.out, with: x: inputs.x.out}
	outputs: tensors: {from: nodes.run.out, type: "tensors"}
}
"""
RNG = np.random.default_rng(0)


def best(f, turns):
    took = []
    for _ in range(turns):
        begin = time.perf_counter()
        f()
        took.append(time.perf_counter() - begin)
    return min(took)


class Case:
    """One line: pipe's node, and what the others call."""

    def __init__(self, name, samples, node, check, peers):
        self.name, self.samples, self.node, self.check, self.peers = name, samples, node, check, peers
        self.x = RNG.uniform(-1, 1, samples).astype("f4")
        self.times = {}

    def note(self, name, seconds):
        self.times[name] = min(seconds, self.times.get(name, seconds))

    def prepare(self, pipe, folder):
        self.dir = tempfile.mkdtemp(dir=folder)
        model = os.path.join(self.dir, "model")
        os.mkdir(model)
        save_file({}, os.path.join(model, "model.safetensors"))
        for path, text in [(os.path.join(model, "model.cue"), MODEL % ('"pipe.dev/layers"\n\t' if "layers." in self.node else "", self.samples, self.node)), (os.path.join(self.dir, "sound.cue"), PIPELINE)]:
            with open(path, "w") as f:
                f.write(text)
        np.save(os.path.join(self.dir, "x.npy"), self.x[None])
        self.args = [os.path.join(self.dir, "sound.cue"), "--set", f"model={model}", "--set", f"x={os.path.join(self.dir, 'x.npy')}"]
        out = os.path.join(self.dir, "y.npz")
        subprocess.run([pipe, "run", *self.args, "--out", out, "--quiet"], check=True)
        y, want = next(iter(np.load(out).values()))[0], self.check(self.x)
        worst = abs(y - want).max() / abs(want).max()
        assert worst < 1e-5, f"{self.name} differs by {worst} of the greatest value"

    def turn(self, pipe):
        said = json.loads(subprocess.run([pipe, "bench", *self.args, "--json"], check=True, capture_output=True).stdout)
        self.note("pipe", said["calls"][0]["seconds_min"])
        for name, f in self.peers.items():
            self.note(name, best(lambda: f(self.x), 8))


class Vocoder(Case):
    """HiFi-GAN by pipelines/vocode.cue, all at once, and by ONNX Runtime from what PyTorch exports."""

    def __init__(self):
        self.name, self.times = "HiFi-GAN V1, 100 frames", {}

    def prepare(self, pipe, folder):
        self.dir = tempfile.mkdtemp(dir=folder)
        at = lambda name: os.path.join(self.dir, name)
        torch.manual_seed(0)
        config = transformers.SpeechT5HifiGanConfig(upsample_rates=[8, 8, 2, 2], upsample_kernel_sizes=[16, 16, 4, 4], normalize_before=False)
        model = transformers.SpeechT5HifiGan(config).eval()
        model.save_pretrained(at("model"))
        x = torch.randn(1, 100, 80)
        np.save(at("x.npy"), x.numpy())
        torch.onnx.export(model, (x,), at("model.onnx"), dynamo=False, opset_version=17)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(at("model.onnx"), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: x.numpy()}
        self.x, self.peers = None, {"ONNX Runtime": lambda _: session.run(None, feed), "torch": lambda _: model(x)}
        here = os.path.dirname(os.path.abspath(__file__))
        self.args = [os.path.join(here, "..", "pipelines", "vocode.cue"), "--set", f"model={at('model')}", "--set", f"spectrogram={at('x.npy')}", "--set", "window=0", "--set", f"to={at('y.wav')}"]
        subprocess.run([pipe, "run", *self.args, "--quiet"], check=True, capture_output=True)
        want = session.run(None, feed)[0].reshape(-1)
        worst = abs(librosa.load(at("y.wav"), sr=None)[0] - want).max()
        assert worst < 1e-4, f"{self.name} differs by {worst}"


def cases():
    extractor = transformers.WhisperFeatureExtractor()
    whisper = torchaudio.transforms.MelSpectrogram(16000, 400, hop_length=160, n_mels=80)
    music = torchaudio.transforms.MelSpectrogram(22050, 1024, hop_length=256, n_mels=80, mel_scale="slaney", norm="slaney")
    window = torch.hann_window(1024)
    how = dict(sr=22050, n_fft=1024, hop_length=256, n_mels=80, pad_mode="reflect")
    return [
        Case("Whisper's log-mel, 30 s", 480000, 'layers.#WhisperMel & {x: nodes["x"].out}', lambda x: extractor._np_extract_fbank_features(x[None], "cpu")[0], {
            "transformers (torch)": lambda x: extractor._torch_extract_fbank_features(x[None], "cpu"),
            "librosa": lambda x: librosa.feature.melspectrogram(y=x, sr=16000, n_fft=400, hop_length=160, n_mels=80),
            "torch": lambda x: whisper(torch.from_numpy(x)),
        }),
        Case("mel spectrogram, 20 s at 22 kHz", 441000, 'layers.#MelSpectrogram & {x: nodes["x"].out, rate: 22050, n_fft: 1024, hop: 256, mels: 80}',
             lambda x: librosa.feature.melspectrogram(y=x, **how), {
            "librosa": lambda x: librosa.feature.melspectrogram(y=x, **how),
            "torch": lambda x: music(torch.from_numpy(x)),
        }),
        Case("STFT's sizes, 20 s at 22 kHz", 441000, 'op.#Spectrogram & {x: nodes["x"].out, n_fft: 1024, hop: 256, power: 1}',
             lambda x: abs(librosa.stft(x, n_fft=1024, hop_length=256, pad_mode="reflect")), {
            "librosa": lambda x: abs(librosa.stft(x, n_fft=1024, hop_length=256, pad_mode="reflect")),
            "torch": lambda x: torch.stft(torch.from_numpy(x), 1024, 256, 1024, window, return_complex=True).abs(),
        }),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipe", default="./pipe")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", default="")
    parser.add_argument("--only", default="", help="lines whose names have this")
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    pipe = os.path.abspath(args.pipe)
    with tempfile.TemporaryDirectory() as folder:
        list_of = [c for c in cases() + [Vocoder()] if args.only in c.name]
        for c in list_of:
            c.prepare(pipe, folder)
        for _ in range(args.rounds):
            for c in list_of:
                c.turn(pipe)
    names = ["pipe", "librosa", "torch", "transformers (torch)", "ONNX Runtime"]
    lines = ["| of a call, ms | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for c in list_of:
        lines.append(f"| {c.name} | " + " | ".join(f"{c.times[n] * 1e3:.2f}" if n in c.times else "-" for n in names) + " |")
    write(args.write, "compare-audio", lines)
