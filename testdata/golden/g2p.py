"""How g2p_en spells words by phonemes: g2p/, of a small network with random weights and of the real one.

    python -P testdata/golden/g2p.py

    small.npz     weights of a network of size 8, named as those of the real one
    words.json    [word, ...] with what each network says

The classes are made without their initialiser, which wants corpora of nltk that it fetches from elsewhere.
"""

import json
import os

import numpy as np
from g2p_en import G2p

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "g2p")
WORDS = ["kubernetes", "pipe", "declarative", "xylograph", "a", "mcdonald", "tacotron", "brrr", "supercalifragilistic", "qzoq"]


def network(weights):
    g = G2p.__new__(G2p)
    g.graphemes = ["<pad>", "<unk>", "</s>"] + list("abcdefghijklmnopqrstuvwxyz")
    g.g2idx = {c: i for i, c in enumerate(g.graphemes)}
    phones = sorted(PHONES + ["UW"])
    g.phonemes = ["<pad>", "<unk>", "<s>", "</s>"] + phones
    g.idx2p = dict(enumerate(g.phonemes))
    for name, x in weights.items():
        setattr(g, name, x)
    return g


VOWELS = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
PHONES = [v + s for v in VOWELS for s in "012"] + CONSONANTS


def main():
    import g2p_en
    real = dict(np.load(os.path.join(os.path.dirname(g2p_en.__file__), "checkpoint20.npz")))
    phonemes = real["dec_emb"].shape[0]
    rng = np.random.default_rng(3)
    small = {}
    for name, x in real.items():
        shape = [{256: 8, 768: 24}.get(n, n) for n in x.shape]
        small[name] = (rng.standard_normal(shape) * (1.5 if name.startswith("fc") else 0.7)).astype(np.float32)
    small["fc_b"][3] += 3  # so that some words end
    np.savez(os.path.join(HERE, "small.npz"), **small)
    nets = {"small": network(small), "real": network(real)}
    print(phonemes, len(nets["real"].phonemes))
    rows = [{"word": w} | {name: n.predict(w) for name, n in nets.items()} for w in WORDS]
    with open(os.path.join(HERE, "words.json"), "w") as f:
        json.dump(rows, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()
