"""Writes ../unicode.bin: what the Rust tokenizers take each character for. Its parts know different versions of Unicode,
and Go another one, so the classes are asked from the library, character by character.

    pip install tokenizers==0.23.3 && python3 unicode.py

For each set of SETS, in order: the number of ranges, then for each the distance of its first character from the end of
the last range and its length; then the lower-case letters, their number and for each the distance of the character from
the last one and its letter (zig-zag difference); then the scripts, like a set, each range with the number of its script.
All numbers are unsigned LEB128.
"""
import os

import tokenizers
from tokenizers import Regex
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
ALL = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]


def by_pattern(pattern):
    """Characters that a pattern of Split and Replace (Oniguruma) matches."""
    left = set(norm.Replace(Regex(pattern), "").normalize_str("".join(ALL)))
    return [c for c in ALL if c not in left]


def alone(part):
    """Characters that a pre-tokenizer cuts off from letters beside them."""
    found = []
    for k in range(0, len(ALL), 4096):
        chunk = ALL[k:k + 4096]
        cut = {x for _, (x, y) in part.pre_tokenize_str("a".join([""] + chunk + [""])) if y == x + 1}
        found += [c for i, c in enumerate(chunk) if c != "a" and 2 * i + 1 in cut]
    return found


def joined():
    r"""Characters that stay with a letter before them in the pre-tokenizer Whitespace: \w of Rust's regex."""
    found = []
    for k in range(0, len(ALL), 4096):
        chunk = ALL[k:k + 4096]
        both = {x for _, (x, y) in pre.Whitespace().pre_tokenize_str(" ".join("a" + c for c in chunk)) if y == x + 2}
        found += [c for i, c in enumerate(chunk) if 3 * i in both]
    return found


def removed(part):
    return [c for c in ALL if part.normalize_str("a" + c) == "a"]


def bert(**flags):
    return norm.BertNormalizer(**dict(dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **flags))


def moves(c):
    """Whether a character is ordered among marks, by its canonical combining class."""
    nfd = norm.NFD()
    return nfd.normalize_str("a\u0345" + c) == "a" + c + "\u0345" or nfd.normalize_str("a" + c + "\u0334") == "a\u0334" + c


def scripts():
    """The scripts that UnicodeScripts tells apart, numbered as they come; -1 are those that go with any."""
    part = pre.UnicodeScripts()
    split = lambda a, b: len(part.pre_tokenize_str(a + b)) > 1
    cuts = {x for _, (x, y) in part.pre_tokenize_str("".join(ALL))}
    numbers, faces = [], []
    last = None
    for i, c in enumerate(ALL):
        if i in cuts or last is None or not same_any(part, last, c):
            if not split("a", c) and not split("\u0431", c):
                last = -1
            else:
                last = next((k for k, f in enumerate(faces) if not split(f, c)), None)
                if last is None:
                    last = len(faces)
                    faces.append(c)
        numbers.append(last)
    return numbers


def same_any(part, last, c):
    """Inside a run a character may go with any script while those before it do not, or the other way round."""
    any_script = len(part.pre_tokenize_str("a" + c)) == 1 and len(part.pre_tokenize_str("\u0431" + c)) == 1
    return any_script == (last == -1)


SETS = {
    **{name: by_pattern(r"\p{%s}" % name) for name in ["L", "N", "P", "S", "M", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Han"]},
    "word": joined(),
    "numeric": alone(pre.Digits(individual_digits=True)),
    "punctuation": alone(pre.Punctuation()),
    "mark": removed(norm.StripAccents()),
    "nonspacing": removed(bert(strip_accents=True)),
    "other": [c for c in removed(bert(clean_text=True)) if c not in "\0\ufffd"],
    "ordered": [c for c in ALL if moves(c)],
    "canonical": [c for c in ALL if norm.NFD().normalize_str(c) != c],
    "compatible": [c for c in ALL if norm.NFKD().normalize_str(c) != c],
}


def leb(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def ranges(characters):
    out = []
    for c in map(ord, characters):
        if out and out[-1][1] == c:
            out[-1][1] += 1
        else:
            out.append([c, c + 1])
    return out


def main():
    out, end = b"", 0
    for characters in SETS.values():
        spans, end = ranges(characters), 0
        out += leb(len(spans))
        for a, b in spans:
            out += leb(a - end) + leb(b - a)
            end = b
    lower = {c: norm.Lowercase().normalize_str(c) for c in ALL if c != "\u0130"}
    lower = {ord(c): ord(x) for c, x in lower.items() if x != c}
    out, end = out + leb(len(lower)), 0
    for c, x in lower.items():
        d = x - c
        out += leb(c - end) + leb(2 * d if d >= 0 else -2 * d - 1)
        end = c
    spans = []
    for c, n in zip(map(ord, ALL), scripts()):
        if n >= 0 and spans and spans[-1][1] == c and spans[-1][2] == n:
            spans[-1][1] += 1
        elif n >= 0:
            spans.append([c, c + 1, n])
    out, end = out + leb(len(spans)), 0
    for a, b, n in spans:
        out += leb(a - end) + leb(b - a) + leb(n)
        end = b
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unicode.bin"), "wb") as f:
        f.write(out)
    print(len(out), "bytes,", len(spans), "runs of scripts,", 1 + max(n for _, _, n in spans), "scripts,", list(SETS))


if __name__ == "__main__":
    main()
