"""espeak-ng's reading of three sentences that the voice in models/voice never heard: voice/NAME.flac.

    python -P voice.py HELD

HELD is a corpus of recipes/voice/corpus.py, of sentences of Botchan after the first 1,400 (--skip 1400 --count 50).
Needs soundfile 0.13.1.
"""

import csv
import pathlib
import sys

import soundfile

SENTENCES = {
    "care": "I don't care if it does affect it.",
    "house": "And I left the house of Red Shirt.",
    "milky": "The solitary milky way hung high in the sky.",
}

held, out = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent / "voice"
out.mkdir(exist_ok=True)
files = {row["text"]: row["file_name"] for row in csv.DictReader(open(held / "metadata.csv", newline=""))}
for name, text in SENTENCES.items():
    sound, rate = soundfile.read(held / files[text], dtype="int16")
    soundfile.write(out / f"{name}.flac", sound, rate)
