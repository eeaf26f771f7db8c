"""Holds pipe tokenize against the libraries whose tokenizers it reads, on random texts: ids, tokens, places and decoded
text must be equal.

    python3 benchmarks/compare_tokenizers.py ./pipe DATA [--count 100000] [--only NAME ...]

DATA is the folder of the shared data. The references are tokenizers (of Hugging Face) for gpt2, qwen2_5 and bert and for
the small tokenizers of every part in executor/tokenizer/testdata/kinds.json.gz, sentencepiece for .model files, tiktoken
for ranks, transformers for CLIP, llama_cpp for vocabularies in GGUF files. What is not installed is left out and said so.
Texts are made from a seed, so that a difference can be made again.
"""
import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(here)

WORDS = ["the", " cat", "It's", "they'll", "WE'VE", "I'M", "x'\u017fa", "12345", "3.14", "\u0663\u0664", "\u00bd", "e\u0301", "\u1112\u1161\u11ab", "\ud55c\uad6d",
         "\u4e16\u754c", "\u306b\u307b\u3093", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "<s>", "<tok>", "[Word]", "long", "longer", "<strip>", "[MASK]", "<|endoftext|>", "\r\n", "\n\n", "\t", "   ",
         "\u00a0", "\u3000", "\u2581", "\u0120", "\ufb01", "\u2167", "\u0130", "\u03a3", "\u00df", "\u1e69", "...", "!?", "--", "_a_", "don't", " do not", "CamelCase", "<0x41>", "\u0000", "\u0301\u0323", "\u00e4", "\u0344", "\u0958", "\u1100\u1161\u11a8", "\u09c7\u09be"]


def texts(count, seed):
    rng = random.Random(seed)

    def char():
        k = rng.random()
        if k < 0.35:
            return chr(rng.randrange(0x20, 0x7F))
        if k < 0.5:
            return rng.choice(" \n\t '.,\u00e9\u00fc")
        if k < 0.65:
            return chr(rng.randrange(0xA0, 0x600))
        if k < 0.75:
            return chr(rng.randrange(0x600, 0x2000))
        if k < 0.85:
            return chr(rng.choice([0x300, 0x2000, 0x3000, 0x4E00, 0xAC00, 0x1F600]) + rng.randrange(0x80))
        while True:
            c = rng.randrange(0x110000 if k > 0.97 else 0x32000)
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    out = []
    for _ in range(count):
        out.append("".join(rng.choice(WORDS) if rng.random() < 0.4 else char() for _ in range(rng.randrange(1, 24))))
    return out


def pipe(binary, path, items, *flags):
    r = subprocess.run([binary, "tokenize", path, "--json", *flags], input=json.dumps(items), capture_output=True, text=True, encoding="utf-8")
    if r.returncode:
        raise RuntimeError(r.stderr.strip())
    return json.loads(r.stdout)


def differ(name, texts, got, want, shown):
    bad = [(t, g, w) for t, g, w in zip(texts, got, want) if g != w]
    for t, g, w in bad[:shown]:
        print("   %s: %a\n      pipe %a\n      ref  %a" % (name, t, g, w))
    return len(bad)


def report(name, what, bad, total):
    print("%-34s %-22s %7d of %d differ" % (name, what, bad, total), flush=True)
    return bad


def hugging(binary, name, path, items, shown):
    from tokenizers import Tokenizer
    ref = Tokenizer.from_file(path)
    ids, bad = [], 0
    for special in [True]:
        enc = ref.encode_batch(items, add_special_tokens=special)
        want = [[e.ids, e.tokens, [list(o) for o in e.offsets], e.type_ids, e.word_ids, e.special_tokens_mask] for e in enc]
        got = [[g["ids"], g["tokens"], g["offsets"], g["types"], g["words"], g["special"]] for g in pipe(binary, path, items, "--tokens")]
        for k, what in enumerate(["ids", "tokens", "places", "types", "words", "special"]):
            bad += report(name, what, differ(what, items, [g[k] for g in got], [w[k] for w in want], shown), len(items))
        ids = [w[0] for w in want]
    fast = pipe(binary, path, items)
    bad += report(name, "ids alone", differ("ids alone", items, fast, ids, shown), len(items))
    want = []
    for i in ids:
        try:
            want.append(ref.decode(i, skip_special_tokens=False))
        except BaseException as e:  # the library panics where it strips more than there is
            assert type(e).__name__ == "PanicException", e
            want.append(None)
    got = pipe(binary, path, ids, "--decode")
    bad += report(name, "decoded", differ("decoded", items, [g if w is not None else None for g, w in zip(got, want)], want, shown), len(items))
    return bad


def kinds(binary, items, shown, folder):
    with gzip.open(os.path.join(root, "executor/tokenizer/testdata/kinds.json.gz"), "rt") as f:
        all = json.load(f)
    bad = 0
    for c in all["cases"]:
        file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
        file.update(c["parts"], model=dict(all["models"][c["model"]], **c["change"]))
        path = os.path.join(folder, "kind.json")
        with open(path, "w") as f:
            json.dump(file, f)
        try:
            bad += hugging(binary, c["name"], path, items, shown)
        except RuntimeError as e:
            bad += 1
            print(c["name"], e)
    return bad


def sentencepiece(binary, name, path, items, shown):
    from sentencepiece import SentencePieceProcessor
    ref = SentencePieceProcessor(path)
    items = [t for t in items if "\0" not in t]
    protos = [ref.encode(t, out_type="proto") for t in items]
    want = [[[p.id for p in x.pieces], [[p.begin, p.end] for p in x.pieces]] for x in protos]
    got = [[g["ids"], g["offsets"]] for g in pipe(binary, path, items, "--bytes")]
    bad = report(name, "ids", differ("ids", items, [g[0] for g in got], [w[0] for w in want], shown), len(items))
    bad += report(name, "places", differ("places", items, [g[1] for g in got], [w[1] for w in want], shown), len(items))
    ids = [w[0] for w in want]
    bad += report(name, "ids alone", differ("ids alone", items, pipe(binary, path, items), ids, shown), len(items))
    rng = random.Random(5)
    ids += [[rng.randrange(ref.vocab_size()) for _ in range(rng.randrange(9))] for _ in items]
    return bad + report(name, "decoded", differ("decoded", ids, pipe(binary, path, ids, "--decode"), [ref.decode(i) for i in ids], shown), len(ids))


def tiktoken(binary, name, path, items, shown, pattern):
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    ref = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(path), special_tokens={})
    items = [t.replace("<|", "<") for t in items]
    want = [ref.encode_ordinary(t) for t in items]
    bad = report(name, "ids", differ("ids", items, pipe(binary, path, items), want, shown), len(items))
    return bad + report(name, "decoded", differ("decoded", items, pipe(binary, path, want, "--decode"), [ref.decode(i) for i in want], shown), len(items))


def clip(binary, name, path, items, shown, folder):
    """The reference is made of the parts that transformers gives the tokenizer of CLIP."""
    from transformers import CLIPTokenizer
    with gzip.open(path, "rt", encoding="utf-8") as f:
        merges = [tuple(line.split()) for line in f.read().split("\n")[1:48895]]
    own = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = [chr(b) for b in own] + [chr(256 + n) for n in range(256 - len(own))]
    tokens = chars + [c + "</w>" for c in chars] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    ref = CLIPTokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=merges)
    want = [ref(t)["input_ids"] for t in items]
    return report(name, "ids", differ("ids", items, pipe(binary, path, items), want, shown), len(items))


def gguf(binary, name, path, items, shown):
    """Of bert the reference is that of Hugging Face: llama.cpp takes all marks off and leaves Hangul together."""
    if name == "gguf bert-bge":
        from tokenizers import Tokenizer
        with gzip.open(os.path.join(os.path.dirname(path), "..", "bert.tokenizer.json.gz"), "rt") as f:
            ref = Tokenizer.from_str(f.read())
        want = [e.ids for e in ref.encode_batch(items, add_special_tokens=False)]
        return report(name, "ids", differ("ids", items, pipe(binary, path, items, "--no-special"), want, shown), len(items))
    import llama_cpp
    ref = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    items = [t for t in items if "\0" not in t]
    want = [ref.tokenize(t.encode(), add_bos=False, special=True) for t in items]
    return report(name, "ids", differ("ids", items, pipe(binary, path, items, "--no-special"), want, shown), len(items))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("pipe")
    a.add_argument("data")
    a.add_argument("--count", type=int, default=100000)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--shown", type=int, default=3)
    a.add_argument("--only", nargs="*", default=[])
    a = a.parse_args()
    data = os.path.join(a.data, "tokenizer")
    bad, left_out = 0, set()
    with tempfile.TemporaryDirectory() as folder:
        def run(name, f, *args, count=a.count):
            nonlocal bad
            if a.only and name not in a.only:
                return
            try:
                bad += f(a.pipe, *args[:2], texts(count, a.seed), a.shown, *args[2:])
            except ImportError as e:
                left_out.add(e.name)
        for name in ["bert", "gpt2", "qwen2_5"]:
            path = os.path.join(folder, name + ".json")
            with gzip.open(os.path.join(data, name + ".tokenizer.json.gz")) as f, open(path, "wb") as g:
                g.write(f.read())
            run(name, hugging, name, path)
        if not a.only or "kinds" in a.only:
            bad += kinds(a.pipe, texts(a.count // 100, a.seed + 1), a.shown, folder)
        for name in ["mistral_v1", "spm_test_model"]:
            run(name, sentencepiece, name, os.path.join(data, name + ".model"))
        words = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
        for name in ["whisper_gpt2", "whisper_multilingual"]:
            run(name, tiktoken, name, os.path.join(data, name + ".tiktoken"), words)
        for scheme, source in schemes().items():  # other patterns, on the ranks that there are
            path = os.path.join(folder, scheme + ".tiktoken")
            if not os.path.exists(path):
                os.symlink(os.path.join(os.path.abspath(data), "whisper_multilingual.tiktoken"), path)
            with open(path + ".json", "w") as f:
                json.dump({"split": [source["pipe"]]}, f)
            run(scheme, tiktoken, scheme, path, source["tiktoken"])
        run("clip", clip, "clip", os.path.join(data, "clip_bpe_simple_vocab_16e6.txt.gz"), folder, count=a.count // 10)
        for name in ["bert-bge", "deepseek-coder", "falcon", "gpt-2", "phi-3", "starcoder"]:
            run("gguf " + name, gguf, "gguf " + name, os.path.join(data, "ggml-vocab", "ggml-vocab-%s.gguf" % name), count=a.count // 10)
    if left_out:
        print("not installed, and left out:", ", ".join(sorted(left_out)))
    print("differences:", bad)
    sys.exit(bad > 0)


def schemes():
    """Patterns as executor/tokenizer/patterns.json has them and as tiktoken spells them."""
    with open(os.path.join(root, "executor/tokenizer/patterns.json")) as f:
        ours = json.load(f)["patterns"]
    try:
        from tiktoken_ext import openai_public
        import inspect
        source = inspect.getsource(openai_public.cl100k_base)
        cl100k = source.split('r"""')[1].split('"""')[0]
        source = inspect.getsource(openai_public.o200k_base)
        o200k = "|".join(p.split('"""')[0] for p in source.split('r"""')[1:])
    except ImportError:
        return {}
    return {"cl100k": {"pipe": ours["lines, blanks at the end together"], "tiktoken": cl100k}, "o200k": {"pipe": ours["cased"], "tiktoken": o200k}}


if __name__ == "__main__":
    main()
