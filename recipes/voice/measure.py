"""Measures a voice against espeak-ng, whose sentences it learned to say: on sentences of a corpus that it never heard.

    python3 measure.py --pipe PIPE --corpus FOLDER --out FOLDER2 [--model DIR] [--vocoder DIR] [--count N]

FOLDER is of corpus.py, made with --skip. FOLDER2 gets N.spoken.wav, what pipelines/tts.cue says of each text, and N.again.wav, what the
vocoder alone makes of the recording's own spectrogram (pipelines/resynthesize.cue). Printed are, of both,

    distortion    of mel-cepstra, in dB: 24 coefficients without the first, of WORLD's envelopes every 5 ms, frames beside each other by
                  dynamic time warping (Kubichek, 1993); frames of digital silence, of which espeak's pauses are, don't count
    pitch         the median distance of WORLD's frequencies where both have one, in cents
    words         that pocketsphinx understands, of those that it understands from espeak's recordings

Needs the packages of Python librosa 0.11, pyworld 0.3.5 and pysptk 1.0.1 (with setuptools<80), and pocketsphinx_continuous with its English model.
"""

import argparse
import csv
import difflib
import math
import pathlib
import re
import statistics
import subprocess
import tempfile

import librosa
import numpy
import pysptk
import pyworld
import soundfile

PIPELINES = pathlib.Path(__file__).parent.parent.parent / "pipelines"


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def heard(path):
    """The words that the recogniser hears."""
    sound, _ = librosa.load(path, sr=16000)
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        soundfile.write(f.name, sound, 16000, "PCM_16")
        return words(run(["pocketsphinx_continuous", "-infile", f.name, "-logfn", "/dev/null"]))


def understood(said, text):
    """How many words of the text are among those that were heard, in its order."""
    return sum(m.size for m in difflib.SequenceMatcher(None, words(text), said, autojunk=False).get_matching_blocks())


def analysed(path):
    """Frequencies, mel-cepstra and loudness of a recording, every 5 ms."""
    sound, _ = librosa.load(path, sr=22050)
    f0, envelope, _ = pyworld.wav2world(sound.astype(float), 22050, frame_period=5.0)
    power = [numpy.mean(sound[int(i * 110.25):int(i * 110.25) + 221] ** 2) if i * 110.25 < len(sound) else 0.0 for i in range(len(f0))]
    return f0, pysptk.sp2mc(envelope, 24, 0.455), 10 * numpy.log10(numpy.array(power) + 1e-20)


def apart(recording, made):
    """The distortion of mel-cepstra, dB, and the distance of frequencies, cents."""
    (f, a, loud), (g, b, _) = analysed(recording), analysed(made)
    _, path = librosa.sequence.dtw(a[:, 1:].T, b[:, 1:].T)
    path = path[loud[path[:, 0]] > -100]
    i, j = path[:, 0], path[:, 1]
    distortion = 10 / math.log(10) * math.sqrt(2) * numpy.linalg.norm(a[i, 1:] - b[j, 1:], axis=1).mean()
    both = (f[i] > 0) & (g[j] > 0)
    return distortion, numpy.median(numpy.abs(1200 * numpy.log2(f[i][both] / g[j][both])))


def main():
    p = argparse.ArgumentParser()
    for name, default in (("pipe", "pipe"), ("corpus", None), ("out", None), ("model", ""), ("vocoder", "")):
        p.add_argument("--" + name, default=default, required=default is None)
    p.add_argument("--count", type=int, default=50)
    args = p.parse_args()
    corpus, out = pathlib.Path(args.corpus), pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(open(corpus / "metadata.csv", newline="")))[:args.count]
    given = lambda **names: [x for name, value in names.items() if value for x in ("--set", f"{name}={value}")]
    total, by_espeak, by = 0, 0, {"spoken": 0, "again": 0}
    distances = {name: [] for name in by}
    for i, row in enumerate(rows):
        recording = corpus / row["file_name"]
        made = {name: out / f"{i}.{name}.wav" for name in by}
        run([args.pipe, "run", PIPELINES / "tts.cue", "--quiet", *given(text=row["text"], model=args.model, vocoder=args.vocoder, to=made["spoken"])])
        run([args.pipe, "run", PIPELINES / "resynthesize.cue", "--quiet", *given(audio=recording, model=args.vocoder or "models/voice/vocoder", to=made["again"])])
        said = understood(heard(recording), row["text"])
        total, by_espeak = total + len(words(row["text"])), by_espeak + said
        line = f"{i}: {len(words(row['text']))} words, espeak {said}"
        for name, path in made.items():
            n = understood(heard(path), row["text"])
            by[name] += n
            distances[name].append(apart(recording, path))
            line += f"; {name} {n}, {distances[name][-1][0]:.2f} dB, {distances[name][-1][1]:.0f} cents"
        print(line, flush=True)
    print(f"{len(rows)} sentences, {total} words: espeak's recordings are understood in {by_espeak}")
    for name in by:
        print(f"{name}: {by[name]} words, {by[name] / max(1, by_espeak):.1%} of espeak's; distortion {statistics.mean(d for d, _ in distances[name]):.2f} dB, pitch {statistics.median(c for _, c in distances[name]):.0f} cents")


if __name__ == "__main__":
    main()
