"""Makes a corpus of speech for recipes/fastspeech2.cue: espeak-ng reads sentences aloud, phoneme by phoneme as pipelines/phonemes.cue gives them.

    python3 corpus.py --pipe PIPE --text SENTENCES.txt --out FOLDER [--count N] [--skip N] [--voice en-us]

SENTENCES.txt has a sentence on each line, or running text, which is cut at full stops; --skip leaves out the first of its sentences, as those
that a voice has learned from. FOLDER gets wavs/NNNN.wav, 22050 samples a
second; vocab.json, the numbers of the phonemes; and metadata.csv with the columns

    file_name, text
    phonemes      of ARPAbet, between spaces; _ stands between words, marks of punctuation are among them
    durations     how many frames of 256 samples each of them lasts, 0 among them
    pitch         of each: log2(f / median) of the frequency in its middle, by autocorrelation; 0 where there is none

Sentences are left out, and counted, if what espeak says can't be laid beside the phonemes. Needs libespeak-ng, and no packages of Python.
"""

import argparse
import csv
import ctypes
import json
import math
import pathlib
import re
import statistics
import subprocess
import wave

HOP = 256
MARKS = ".,;:!?"
# How espeak's English voices call the phonemes of ARPAbet.
NAMES = dict(AA="A:", AE="a", AH="V", AO="O:", AW="aU", AY="aI", EH="E", ER="3:", EY="eI", IH="I", IY="i:", OW="oU", OY="OI", UH="U", UW="u:",
             B="b", CH="tS", D="d", DH="D", F="f", G="g", HH="h", JH="dZ", K="k", L="l", M="m", N="n", NG="N", P="p", R="r", S="s", SH="S",
             T="t", TH="T", V="v", W="w", Y="j", Z="z", ZH="Z")
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")


class Event(ctypes.Structure):
    class Id(ctypes.Union):
        _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]
    _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
                ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", Id)]


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
RETRIEVAL, PHONEME_EVENTS, UTF8, PHONEMES, PHONEME = 1, 1, 1, 0x100, 7


class Voice:
    """A voice of espeak: say gives samples of 16 bits, and (sample, name) of each phoneme's beginning."""

    def __init__(self, name):
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(RETRIEVAL, 500, None, PHONEME_EVENTS)
        if self.rate <= 0 or self.lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {name}")
        self.callback = CALLBACK(self.heard)
        self.lib.espeak_SetSynthCallback(self.callback)

    def heard(self, samples, count, events):
        if count > 0:
            self.samples += samples[:count]
        i = 0
        while events[i].type != 0:
            if events[i].type == PHONEME:
                self.events.append((events[i].sample, events[i].id.string.decode("utf-8", "replace")))
            i += 1
        return 0

    def say(self, text):
        self.samples, self.events = [], []
        data = text.encode()
        self.lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, UTF8 | PHONEMES, None, None)
        self.lib.espeak_Synchronize()
        return self.samples, self.events


def spelled(phonemes):
    """What espeak is asked to say, word by word."""
    out, word = [], []
    for p in phonemes + ["_"]:
        if p == "_" or p in MARKS:
            if word:
                out.append("[[" + "".join(word) + "]]")
            word = []
            if p != "_" and out:
                out[-1] += p
            continue
        name, stress = p.rstrip("012"), p[-1] if p[-1] in "012" else ""
        word.append({"1": "'", "2": ","}.get(stress, "") + ("@" if p == "AH0" else NAMES[name]))
    return " ".join(out)


def cost(event, given):
    """How unlike what espeak says, and the phonemes that are to be what it says, are: the same kind of sound costs little."""
    vowel = lambda e: e[:1] in "aAEeIiOoUuV@30"
    first = NAMES[given[0].rstrip("012")] if given[0] != "AH0" else "@"
    kind = all(vowel(event) == (g.rstrip("012") in VOWELS) for g in given[:1])
    same = event.replace(":", "") == first.replace(":", "")
    return (0 if same else 1 if kind else 4) + 2 * (len(given) - 1)


def aligned(names, events):
    """Lays events beside phonemes: each event says one phoneme, two that it merges, or none, as a linking r; None if they differ too
    much. Gives, of each phoneme, (event, part, parts)."""
    far = float("inf")
    best = [[far] * (len(names) + 1) for _ in range(len(events) + 1)]
    how = [[0] * (len(names) + 1) for _ in range(len(events) + 1)]
    best[0][0] = 0
    for i, event in enumerate(events):
        for j in range(len(names) + 1):
            for take in (1, 0, 2):
                if best[i][j] == far or j + take > len(names):
                    continue
                c = best[i][j] + ((0.5 if event.endswith("-") else 2.5) if take == 0 else cost(event, names[j:j + take]))  # a linking r- is nobody's
                if c < best[i + 1][j + take]:
                    best[i + 1][j + take], how[i + 1][j + take] = c, take
    if best[-1][-1] > 0.5 * len(names) + 2:
        return None
    out, j = [None] * len(names), len(names)
    for i in range(len(events), 0, -1):
        take = how[i][j]
        for k in range(take):
            out[j - take + k] = (i - 1, k, take)
        j -= take
    return out


def durations(phonemes, events, total):
    """How many frames each of what stands in a sentence lasts; None if it does not align."""
    said = [(at, name) for at, name in events if name and name[0] not in "_;"]
    names = [(i, p) for i, p in enumerate(phonemes) if p != "_" and p not in MARKS]
    if not names or not said:
        return None
    to = aligned([p for _, p in names], [name for _, name in said])
    if to is None:
        return None
    starts = sorted({at for at, _ in events} | {total})
    begins, ends = {}, {}  # samples, by phoneme
    for (i, _), (event, part, parts) in zip(names, to):
        at = said[event][0]
        nexts = [s for s in starts if s > at]
        end = nexts[0] if nexts else total
        begins[i], ends[i] = at + (end - at) * part / parts, at + (end - at) * (part + 1) / parts
    # What lies between the end of one and the beginning of the next belongs to the mark there, or to what else stands between them.
    edges, last = [0.0] * (len(phonemes) + 1), 0.0
    for i in range(len(phonemes)):
        edges[i] = begins.get(i, last)
        last = ends.get(i, edges[i])
    edges[0], edges[-1] = 0, total
    for i in range(1, len(phonemes)):
        if phonemes[i - 1] in MARKS and i not in begins:
            edges[i] = next((begins[k] for k in range(i, len(phonemes)) if k in begins), total)
    frames, done = [], 0
    for edge in edges[1:]:
        frames.append(max(0, min(round(edge / HOP), total // HOP) - done))
        done += frames[-1]
    return frames


def frequency(samples, at, rate):
    """The frequency around a sample, Hz, between 60 and 400; 0 if nothing repeats: autocorrelation of what is left of every fourth sample."""
    step, half = 4, int(0.025 * rate)
    x = samples[max(0, at - half):at + half]
    x = [sum(x[i:i + step]) / step for i in range(0, len(x) - step, step)]
    least, most = int(rate / step / 400), int(rate / step / 60)
    n = len(x) - most
    if n < 40:
        return 0.0
    mean = sum(x) / len(x)
    x = [v - mean for v in x]
    power = sum(v * v for v in x[:n])
    if power / n < 100.0 ** 2:
        return 0.0
    r = {}
    for lag in range(least, most + 1):
        y = x[lag:lag + n]
        r[lag] = sum(a * b for a, b in zip(x, y)) / math.sqrt(power * sum(b * b for b in y) + 1)
    top = max(r.values())
    if top < 0.5:
        return 0.0
    lag = min(k for k, v in r.items() if v >= 0.9 * top and v >= r.get(k - 1, -1) and v >= r.get(k + 1, -1)) if top else 0
    return rate / step / lag


def sentences(path):
    text = pathlib.Path(path).read_text("utf-8")
    for part in re.split(r"(?<=[.!?])[\"']?\s+", text):
        part = " ".join(part.replace('"', " ").split())
        if 15 <= len(part) <= 110 and re.fullmatch(r"[A-Za-z0-9 ,:'$%-]+[.!?]", part):
            yield part


def pronounced(args, texts):
    """The phonemes of each sentence, by one call for all; of fewer, where abbreviations take the marks that should end them, and None where one does."""
    done = subprocess.run([args.pipe, "run", args.pipeline, "--quiet", "--set", "text=" + " ".join(texts)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    said = [part.split() for part in re.findall(r"[^.!?]+[.!?]", done.stdout)]
    if len(said) == len(texts):
        return [phonemes[1:] if phonemes[0] == "_" else phonemes for phonemes in said]
    half = len(texts) // 2
    return pronounced(args, texts[:half]) + pronounced(args, texts[half:]) if half else [None]


def main():
    p = argparse.ArgumentParser()
    for name, default in (("pipe", "pipe"), ("text", None), ("out", None), ("voice", "en-us"), ("pipeline", str(pathlib.Path(__file__).parent.parent.parent / "pipelines/phonemes.cue"))):
        p.add_argument("--" + name, default=default, required=default is None)
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--skip", type=int, default=0)
    args = p.parse_args()
    out = pathlib.Path(args.out)
    (out / "wavs").mkdir(parents=True, exist_ok=True)
    texts = list(dict.fromkeys(sentences(args.text)))[args.skip:]
    voice, rows, left = Voice(args.voice), [], dict(unknown=0, unaligned=0)
    for start in range(0, len(texts), 100):
        if len(rows) >= args.count:
            break
        part = texts[start:start + 100]
        for text, phonemes in zip(part, pronounced(args, part)):
            if len(rows) >= args.count:
                break
            if phonemes is None or any(q != "_" and q not in MARKS and q.rstrip("012") not in NAMES for q in phonemes):
                left["unknown"] += 1
                continue
            samples, events = voice.say(spelled(phonemes))
            frames = durations(phonemes, events, len(samples))
            if frames is None:
                left["unaligned"] += 1
                continue
            name = f"wavs/{len(rows):05d}.wav"
            with wave.open(str(out / name), "wb") as w:
                w.setnchannels(1), w.setsampwidth(2), w.setframerate(voice.rate)
                w.writeframes((ctypes.c_short * len(samples))(*samples))
            at, pitch = 0, []
            for q, n in zip(phonemes, frames):
                pitch.append(frequency(samples, (at + n // 2) * HOP, voice.rate) if n and q != "_" and q not in MARKS else 0.0)
                at += n
            rows.append([name, text, " ".join(phonemes), frames, pitch])
    if not rows:
        raise SystemExit("no sentence could be used")
    middle = statistics.median([f for r in rows for f in r[4] if f > 0] or [100.0])
    with open(out / "metadata.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["file_name", "text", "phonemes", "durations", "pitch"])
        for name, text, phonemes, frames, pitch in rows:
            w.writerow([name, text, phonemes, " ".join(map(str, frames)), " ".join(f"{math.log2(x / middle):.3f}" if x else "0" for x in pitch)])
    symbols = ["<blank>", "<unk>", "_", *MARKS] + [n + s for n in NAMES for s in (("0", "1", "2") if n in VOWELS else ("",))]
    (out / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols)}, indent=1) + "\n")
    print(f"{len(rows)} sentences; left out: {left['unknown']} whose phonemes are not known, {left['unaligned']} that do not align; median {middle:.0f} Hz; {len(symbols)} symbols")


if __name__ == "__main__":
    main()
