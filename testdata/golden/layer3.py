"""MP3 files that have what encoders leave out, what LAME writes at every rate, and what two decoders read from
them: python -P testdata/golden/layer3.py

Frames are composed at random: block types, mixed blocks, every Huffman table, scale factors in all their forms,
both kinds of joint stereo, the bit reservoir, checksums. The tables of codes and bands are those of the decoder that
is tested: were one wrong, libsndfile and minimp3, which have their own, would read other values.

audio/mp3/NAME.mp3, and values.npz: NAME.mp3, every 13th sample by libsndfile, channels beside each other, f32, and
NAME.mp3.shape, [samples, channels]. minimp3, which is heard in 16 bits, agrees but for what is said below. Without
a tag libsndfile estimates the length: of lame_44100.mp3 it reads a part.
"""

import io
import re
from pathlib import Path

import lameenc
import miniaudio
import numpy
import soundfile

HERE = Path(__file__).parent / "audio" / "mp3"
HERE.mkdir(exist_ok=True)
SOURCE = Path(__file__).parents[2] / "executor" / "audio" / "mp3"
STEP = 13

bands = re.findall(r"\{([\d, ]+)\},", (SOURCE / "bands.go").read_text())
bands = [[int(w) for w in row.split(",")] for row in bands if row.count(",") in (11, 20)]
LONG, SHORT = bands[:9], bands[9:18]


def codes(tree, at=""):
    """the codes of a tree in preorder, and what is behind it"""
    if tree[0] != ".":
        return {int(tree[:2], 16): at}, tree[2:]
    low, tree = codes(tree[1:], at + "0")
    high, tree = codes(tree, at + "1")
    return low | high, tree


text = (SOURCE / "codes.go").read_text()
trees = {int(n): "".join(re.findall(r'"([^"]*)"', t)) for n, t in re.findall(r'\t(\d+): ("[^:]*"),\n', text)}
PAIRS = {n: codes(t)[0] for n, t in trees.items()}
QUADS = [codes(re.search(r'quadCodes = "(.*)"', text)[1])[0], {v: f"{15 - v:04b}" for v in range(16)}]
EXTRA = [0] * 16 + [1, 2, 3, 4, 6, 8, 10, 13, 4, 5, 6, 7, 8, 9, 11, 13]
for n in range(17, 32):
    PAIRS[n] = PAIRS[16 if n < 24 else 24]
NEXT = [(0, 0, 1), (2,), (2, 3), (0, 1)]  # kinds of windows that may follow: minimp3 takes this as given
SIZES = [(0, 0), (0, 1), (0, 2), (0, 3), (3, 0), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (4, 2), (4, 3)]
PARTS1 = [[6, 5, 5, 5], [9, 9, 9, 9], [8, 9, 9, 9]]
PARTS2 = [
    [[6, 5, 5, 5], [9, 9, 9, 9], [6, 9, 9, 9]],
    [[6, 5, 7, 3], [9, 9, 12, 6], [6, 9, 12, 6]],
    [[11, 10, 0, 0], [18, 18, 0, 0], [15, 18, 0, 0]],
    [[7, 7, 7, 0], [12, 12, 12, 0], [6, 15, 12, 0]],
    [[6, 6, 6, 3], [12, 9, 9, 6], [6, 12, 9, 6]],
    [[8, 8, 5, 0], [15, 12, 9, 0], [6, 18, 9, 0]],
]


def bits(v, n):
    assert 0 <= v < 1 << n or n == 0 and v == 0, (v, n)
    return f"{v:0{n}b}" if n else ""


class Stream:
    """composes a file; version 1, 2, or 3 for MPEG 2.5"""

    def __init__(self, seed, version, rate, mode=0, windows=True, mixed=0.0, checked=False, free=False, kbits=(9,), joint=(0,), high=6):
        self.rng = numpy.random.default_rng(seed)
        self.version, self.rate, self.mode, self.windows, self.mixed, self.window = version, rate, mode, windows, mixed, 0
        self.checked, self.free, self.kbits, self.joint, self.high = checked, free, kbits, joint, high
        self.channels, self.granules = 1 if mode == 3 else 2, 2 if version == 1 else 1
        self.row = 3 * (version - 1) + rate
        self.hz = [[44100, 48000, 32000], [22050, 24000, 16000], [11025, 12000, 8000]][version - 1][rate]

    def pick(self, *of):
        return of[self.rng.integers(len(of))]

    def scale(self, kind, right, gr):
        """scalefac_compress, how many factors of how many bits"""
        if self.version == 1:
            c = int(self.rng.integers(16))
            a, b = SIZES[c]
            return c, list(zip(PARTS1[kind], [a, a, b, b]))
        if right and self.ext & 1:
            form = self.pick(3, 4, 5)
            c = int(self.rng.integers({3: 180, 4: 64, 5: self.high}[form]))
            size = {3: [c // 36, c % 36 // 6, c % 6, 0], 4: [c // 16, c // 4 % 4, c % 4, 0], 5: [c // 3, c % 3, 0, 0]}[form]
            c = 2 * (c + {3: 0, 4: 180, 5: 244}[form]) + int(self.rng.integers(2))
        else:
            form = self.pick(0, 1, 2)
            c = int(self.rng.integers({0: 400, 1: 100, 2: 12}[form]))
            size = {0: [c // 80, c // 16 % 5, c // 4 % 4, c % 4], 1: [c // 20, c // 4 % 5, c % 4, 0], 2: [c // 3, c % 3, 0, 0]}[form]
            c += {0: 0, 1: 400, 2: 500}[form]
        return c, list(zip(PARTS2[form][kind], size))

    def granule(self, gr, ch, window, mixed, share, room, most):
        """the side information of a granule without its length, and its main data"""
        rng, kind = self.rng, 0 if window != 2 else 2 if mixed else 1
        edges = numpy.cumsum([0] + LONG[self.row]).tolist() + [576]
        compress, parts = self.scale(kind, ch == 1, gr)
        main = ""
        for p, (count, size) in enumerate(parts):
            if gr == 1 and share[p]:
                continue
            for _ in range(count):
                v = int(rng.integers(1 << size))
                if ch == 1 and self.ext & 1:  # 7 is no place; of MPEG 2 readers disagree about what is none
                    v = min(v, 7) if self.version == 1 else min(v, 6, max(0, (1 << size) - 2))
                main += bits(v, size)
        first, second = int(rng.integers(12)), int(rng.integers(8))
        regions = [edges[min(first + 1, 22)], edges[min(first + second + 2, 22)]]
        if window:
            short = 3 * sum(SHORT[self.row][:3])
            regions = [short if window == 2 and not (mixed and self.version != 2) else edges[8], 576]
        big = min(int(rng.integers(most // 2 + 1)), 288) * 2
        tables, at, largest = [0, 0, 0], 0, 1
        for i, to in enumerate([regions[0], regions[1], 576]):
            tables[i] = self.pick(*PAIRS)
            if EXTRA[tables[i]] > 6 and rng.random() < 0.7:
                tables[i] = 13
            if window and i == 2:
                tables[i] = 0
            while at < min(to, big):
                extra, code = EXTRA[tables[i]], PAIRS[tables[i]]
                x, y = divmod(int(rng.choice(list(code))), 16)
                text = code[16 * x + y]
                for v in (x, y):
                    if v == 15 and extra:
                        add = int(rng.integers(1 << extra))
                        text += bits(add, extra)
                        v += add
                    largest = max(largest, v)
                    if v:
                        text += self.pick("0", "1")
                if len(main) + len(text) > room:
                    big = at
                    break
                main, at = main + text, at + 2
        quads = int(rng.integers(2))
        while at + 4 <= most and rng.random() < 0.97:
            v = int(rng.integers(16))
            text = QUADS[quads][v] + "".join(self.pick("0", "1") for _ in range(v.bit_count()))
            if len(main) + len(text) > room:
                break
            main, at = main + text, at + 4
        gain = int(210 - 4 * numpy.log2(largest ** (4 / 3) * 12) + rng.integers(-6, 7))
        side = bits(big // 2, 9) + bits(gain, 8) + bits(compress, 4 if self.version == 1 else 9)
        if window:
            side += "1" + bits(window, 2) + bits(int(mixed), 1) + bits(tables[0], 5) + bits(tables[1], 5)
            side += "".join(bits(int(rng.integers(4)), 3) for _ in range(3))
        else:
            side += "0" + "".join(bits(t, 5) for t in tables) + bits(first, 4) + bits(second, 3)
        if self.version == 1:
            side += bits(int(rng.integers(2)), 1)
        return bits(len(main), 12) + side + bits(int(rng.integers(2)), 1) + bits(quads, 1), main

    def frame(self, back, size):
        """side information and main data of a frame of at most so many bits"""
        windows = []  # what kind, and whether the lowest subbands keep to long ones
        for _ in range(self.granules):
            was, self.window = self.window, self.pick(*NEXT[self.window]) if self.windows else 0
            if was in (0, 3):
                self.low = bool(self.rng.random() < self.mixed)
            windows.append((self.window, self.low and self.window > 0))
        shared = all(w != 2 for w, _ in windows)  # factors of short windows are not
        share = [[int(self.rng.integers(2)) for _ in range(4)] for _ in range(self.channels)]
        side = bits(back, 9) + "0" * (5 if self.channels == 1 else 3) if self.version == 1 else bits(back, 8) + "0" * self.channels
        if self.version == 1:
            share = [[v * shared for v in row] for row in share]
            side += "".join(str(v) for row in share for v in row)
        main = ""
        for gr, (window, mixed) in enumerate(windows):
            for ch in range(self.channels):
                room = size // (self.granules * self.channels)
                # where both are one in the upper bands, the right one is silent there
                most = int(self.rng.integers(60, 200)) if ch == 1 and self.ext & 1 else 576
                s, m = self.granule(gr, ch, window, mixed, share[ch], min(room, 4095), most)
                side, main = side + s, main + m
        return side, main

    def file(self, frames):
        """a file; main data begins up to 511 bytes before its frame"""
        out, data, headers, at, slots = [], "", [], 0, 0
        for f in range(frames):
            kbits = 0 if self.free else int(self.pick(*self.kbits))
            rates = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320] if self.version == 1 else [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
            pad = int(f > 1 and self.rng.integers(2))  # by its first libsndfile estimates a length
            size = 72 * self.granules * 1000 * (rates[kbits - 1] if kbits else 416) // self.hz + pad
            self.ext = int(self.pick(*self.joint))
            head = bytes([0xFF, [0xFA, 0xF2, 0xE2][self.version - 1] | (not self.checked), kbits << 4 | self.rate << 2 | pad << 1, self.mode << 6 | self.ext << 4])
            length = ({1: 17, 2: 32} if self.version == 1 else {1: 9, 2: 17})[self.channels]
            slot = size - 4 - 2 * self.checked - length
            back = min(slots - at, 511 if self.version == 1 else 255)
            data += "0" * 8 * (slots - back - at)
            side, main = self.frame(back, int((8 * (back + slot)) * self.rng.uniform(0.5, 1)))
            main += "0" * (-len(main) % 8)
            data, at, slots = data + main, slots - back + len(main) // 8, slots + slot
            side = int(side, 2).to_bytes(length, "big") if len(side) == 8 * length else None
            headers.append((head, side, slot))
        data = int(data + "0" * 8 * (slots - at), 2).to_bytes(slots, "big")
        for head, side, slot in headers:
            check = crc(head[2:] + side).to_bytes(2, "big") if self.checked else b""
            out.append(head + check + side + data[:slot])
            data = data[slot:]
        return out


def crc(data):
    c = 0xFFFF
    for b in data:
        c ^= b << 8
        for _ in range(8):
            c = (c << 1 ^ 0x8005 if c & 0x8000 else c << 1) & 0xFFFF
    return c


values = {}


def keep(name, data, alone=False):
    """reads a file with both decoders and keeps it; alone: minimp3 reads it otherwise"""
    want, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    other = miniaudio.mp3_read_f32(data)  # of 16 bits, whatever its name says
    got = numpy.array(other.samples, "float32").reshape(-1, other.nchannels)
    n = min(len(got), len(want))
    differ = numpy.abs(got[:n] - want[:n].clip(-1, 1)).max()
    assert (differ < 5e-5) != alone and rate == other.sample_rate, (name, differ)
    print(f"{name:24} {len(data):6} bytes {want.shape} {len(got) - len(want):5} peak {numpy.abs(want).max():.3f} differ {differ:.1e}")
    (HERE / name).write_bytes(data)
    values[name] = want.reshape(-1)[::STEP]
    values[name + ".shape"] = numpy.array([max(len(want), len(got)), want.shape[1]], "int32")


def lame(name, rate, channels, seconds, **how):
    """noise that wanders, with clicks, of which both channels have a part"""
    rng = numpy.random.default_rng(rate + channels)
    n = int(rate * seconds)
    t = numpy.arange(n) / rate
    x = 0.2 * numpy.sin(2 * numpy.pi * 300 * t * (1 + 5 * t))[:, None] + 0.05 * rng.standard_normal((n, channels))
    x *= 0.3 + (t * 9 % 1 < 0.1)[:, None]
    e = lameenc.Encoder()
    e.silence()
    e.set_in_sample_rate(rate)
    e.set_out_sample_rate(rate)
    e.set_channels(channels)
    for option, v in how.items():
        getattr(e, "set_" + option)(v)
    data = e.encode((x.clip(-1, 1) * 32767).astype("<i2").tobytes()) + e.flush()
    keep(name, bytes(data))


for version in (1, 2, 3):
    for rate in range(3):
        for mode in (3, 1):
            s = Stream(100 * version + 10 * rate + mode, version, rate, mode, joint=(0, 2) if mode == 1 else (0,))
            keep(f"{s.hz}_{s.channels}.mp3", b"".join(s.file(6)))
    s = Stream(6, version, 0, 0, mixed=0.7)  # minimp3 divides the lines of mixed blocks of MPEG 2 otherwise
    keep(f"{s.hz}_mixed.mp3", b"".join(s.file(12)), alone=version > 1)
    s = Stream(24, version, 0, 1, joint=(1, 3))
    keep(f"{s.hz}_placed.mp3", b"".join(s.file(8)))
s = Stream(11, 2, 0, 1, joint=(1, 3), windows=False, high=12)  # minimp3 takes the highest to say more
keep("22050_placed_long.mp3", b"".join(s.file(8)), alone=True)
keep("checked.mp3", b"".join(Stream(3, 1, 0, 0, checked=True).file(4)))
keep("free.mp3", b"".join(Stream(3, 1, 0, 3, free=True).file(4)))
# what the first frame refers to is lost; minimp3 leaves such frames out
keep("joined.mp3", b"".join(Stream(8, 1, 0, 0).file(5)[1:]), alone=True)
lame("lame_44100.mp3", 44100, 2, 0.3, vbr=4, vbr_quality=4)
lame("lame_48000.mp3", 48000, 2, 0.3, bit_rate=96)
lame("lame_22050.mp3", 22050, 1, 0.4, bit_rate=32)
lame("lame_11025.mp3", 11025, 1, 0.4, bit_rate=16)
lame("lame_12000.mp3", 12000, 2, 0.4, bit_rate=32)
lame("lame_8000.mp3", 8000, 1, 0.5, vbr=4, vbr_quality=2)
numpy.savez_compressed(HERE / "values.npz", **values)
