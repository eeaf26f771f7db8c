"""Writes vocabularies.json.gz: small SentencePiece models, ranks of tiktoken and GGUF vocabularies, and what their libraries
make of awkward texts; and one of each as a file, in formats/.

    pip install sentencepiece==0.2.3 tiktoken==0.14.0 protobuf && python3 vocabularies.py spm
    pip install llama-cpp-python==0.3.36 gguf==0.19.0 && python3 vocabularies.py gguf

The file: {"texts", "spm": [{"name", "model": base64, "results": [[ids, places in bytes, decoded]], "odd": [[ids, decoded]]}],
"tiktoken": [{"name", "ranks", "recipe", "results": [[ids, decoded]]}], "gguf": [{"name", "meta", "results": [ids]}]}. Each
run replaces its own parts.
"""
import base64
import gzip
import io
import json
import os
import random
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, "vocabularies.json.gz")
corpus = ["the cat and the other cat sat on the mat, then they ate", "It's the hour; they'll say we've 12345 hours in the year 2024",
          "der Bär und das Mädchen hören über Ägypten", "  def f(x):\n    return x ** 2", "ABC abc Hello HELLO world", "the the the and and cat cat hello hello world world"] * 8

texts = ["", " ", "  ", "a", " a", "a ", "   a   b   ", "the cat", "the cat and the other cat", "It's they'll WE'VE", "12345 1234567 \u00bd \u00b23", "x  \n  y", "M\u00e4dchen \u00fcber",
         "Ma\u0308dchen q\u0307\u0323", "\ufb01ne \u2167 x\u00b2", "\u4f60\u597d\uff0c\u4e16\u754c", "\uc548\ub155 \u1112\u1161\u11ab", "\U0001f600\U0001f468\u200d\U0001f469", "hello, world! (the end)...",
         "\u00a0nbsp\u3000wide\u2028line", "\u2581the \u2581\u2581cat\u2581", "<s>the</s>", "<sep>the <sep> cat", "x<sep><sep>x", "<0x41>", "the" * 30, "ab" * 40, " " * 60, "<unk> \u2047", "\ufffd", "\ufeffa\u200b", "HELLO Hello"]
rng = random.Random(7)
pool = list("abcdehlot ThA  \n'.,-_12\u2581") + ["the", " cat", "\u00e4", "\u0308", "\u4e16", "\U0001f600", "<sep>", "'s", "\u3000"]
texts += ["".join(rng.choice(pool) for _ in range(rng.randrange(2, 14))) for _ in range(20)]


def spm():
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    assert sentencepiece.__version__ == "0.2.3", sentencepiece.__version__
    out = []

    def model(name, change=None, **options):
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_writer=file, minloglevel=2, num_threads=1,
                                                 **dict(dict(hard_vocab_limit=False, vocab_size=120), **options))
        data = file.getvalue()
        m = pb.ModelProto()
        m.ParseFromString(data)
        m.trainer_spec.ClearField("input")
        if change:
            change(m)
        data = m.SerializeToString()
        p = sentencepiece.SentencePieceProcessor(model_proto=data)
        results = []
        for t in texts:
            x = p.encode(t, out_type="proto")
            ids = [q.id for q in x.pieces]
            results.append([ids, [n for q in x.pieces for n in (q.begin, q.end)], p.decode(ids)])
        odd = []
        for _ in range(60):
            ids = [rng.randrange(p.vocab_size()) for _ in range(rng.randrange(8))]
            odd.append([ids, p.decode(ids)])
        if name == "bpe, bytes":
            keep("small.model", data)
        out.append({"name": name, "model": base64.b64encode(data).decode(), "results": results, "odd": odd})

    def unused(m):  # some pieces that merges go through, and no text becomes
        pieces = [p for p in m.pieces if p.type == 1 and len(p.piece) > 1]
        for p in pieces[:len(pieces):3]:
            p.type = 5

    model("unigram", normalization_rule_name="identity")
    model("unigram, bytes", byte_fallback=True, vocab_size=380, normalization_rule_name="identity", user_defined_symbols=["<sep>", "ca", "t a"])
    model("unigram, suffix", treat_whitespace_as_suffix=True, normalization_rule_name="identity")
    model("unigram, unused", unused, normalization_rule_name="identity")
    model("bpe", model_type="bpe", normalization_rule_name="identity")
    model("bpe, bytes", model_type="bpe", byte_fallback=True, vocab_size=380, normalization_rule_name="identity", user_defined_symbols=["<sep>", "ca", "t a"])
    model("bpe, spaces stay", model_type="bpe", remove_extra_whitespaces=False, add_dummy_prefix=False, normalization_rule_name="identity", split_by_whitespace=False)
    model("bpe, unused", unused, model_type="bpe", normalization_rule_name="identity")
    model("characters", model_type="char", normalization_rule_name="identity", user_defined_symbols=["<sep>"])

    def small(m):  # of the rules the trie is large: a few of its own instead
        m.normalizer_spec.precompiled_charsmap = charsmap({"a": "b", "\ufb01": "fi", "\u2167": "VIII", "\u3000": " ", "\u00b2": "2", "e\u0301": "\u00e9", "\u200b": "", "\u4e16\u754c": "W", "the": "T h", "\u00a0": " "})
    model("unigram, rules", small, normalization_rule_name="identity")
    model("bpe, rules", small, model_type="bpe", byte_fallback=True, vocab_size=380, normalization_rule_name="identity", user_defined_symbols=["<sep>", "hello"])
    return {"spm": out, "tiktoken": ranks()}


def keep(name, data):
    os.makedirs(os.path.join(here, "formats"), exist_ok=True)
    with open(os.path.join(here, "formats", name), "wb") as f:
        f.write(data)


def charsmap(rules):
    sys.path.insert(0, here)
    source = open(os.path.join(here, "gen.py")).read()
    scope = {"struct": __import__("struct")}
    exec(source[source.index("def charsmap"):source.index("rules = {")], scope)
    return scope["charsmap"](rules)


def ranks():
    import tiktoken
    from tiktoken._educational import bpe_train
    assert tiktoken.__version__ == "0.14.0", tiktoken.__version__
    with open(os.path.join(here, "..", "patterns.json")) as f:
        patterns = json.load(f)["patterns"]
    out = []
    for name in ["words", "lines, single digits", "cased"]:
        found = bpe_train("\n".join(corpus), 330, patterns[name], visualise=None)
        special = {"<sep>": 400, "<s>": 401}
        e = tiktoken.Encoding(name, pat_str=patterns[name], mergeable_ranks=found, special_tokens=special)
        results = []
        for t in texts:
            ids = e.encode(t, allowed_special="all")
            results.append([ids, e.decode(ids)])
        if name == "words":
            keep("small.tiktoken", "".join("%s %d\n" % (base64.b64encode(k).decode(), v) for k, v in found.items()).encode())
            keep("small.tiktoken.json", json.dumps({"split": [patterns[name]], "special": [{"token": k, "id": v} for k, v in special.items()]}, indent=1).encode() + b"\n")
        out.append({"name": name, "ranks": "".join("%s %d\n" % (base64.b64encode(k).decode(), v) for k, v in found.items()),
                    "recipe": {"split": [patterns[name]], "special": [{"token": k, "id": v} for k, v in special.items()]}, "results": results})
    return out


def gguf():
    import gguf
    import llama_cpp
    assert llama_cpp.__version__ == "0.3.36", llama_cpp.__version__
    with gzip.open(path, "rt") as f:
        known = json.load(f)
    sys.path.insert(0, here)
    out = []

    def model(name, **meta):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "v.gguf")
            w = gguf.GGUFWriter(file, "llama")
            for k, v in {"block_count": 1, "context_length": 64, "embedding_length": 8, "feed_forward_length": 8, "head_count": 1}.items():
                getattr(w, "add_" + k)(v)
            w.add_layer_norm_rms_eps(1e-5)
            for k, v in meta.items():
                add = {bool: w.add_bool, str: w.add_string, int: w.add_uint32, list: w.add_array}[type(v)]
                add("tokenizer.ggml." + k, v)
            w.write_header_to_file()
            w.write_kv_data_to_file()
            w.close()
            if name == "llama":
                with open(file, "rb") as f:
                    keep("small.gguf", f.read())
            m = llama_cpp.Llama(file, vocab_only=True, verbose=False)
            results = [m.tokenize(t.encode(), add_bos=True, special=True) for t in texts]
        out.append({"name": name, "meta": meta, "results": results})

    import base64 as b
    for c in known["spm"]:
        pieces = parse_pieces(b.b64decode(c["model"]))
        if c["name"] == "bpe, bytes":
            model("llama", model="llama", tokens=[p for p, _, _ in pieces], scores=[s for _, s, _ in pieces], token_type=[k for _, _, k in pieces])
            model("llama, no prefix", model="llama", add_space_prefix=False, tokens=[p for p, _, _ in pieces], scores=[s for _, s, _ in pieces], token_type=[k for _, _, k in pieces])
        if c["name"] == "unigram":
            model("t5", model="t5", add_space_prefix=True, remove_extra_whitespaces=True, unknown_token_id=0, eos_token_id=2, tokens=[p for p, _, _ in pieces], scores=[s for _, s, _ in pieces], token_type=[k for _, _, k in pieces])
    with gzip.open(os.path.join(here, "kinds.json.gz"), "rt") as f:
        kinds = json.load(f)["models"]
    byte = kinds["bytes"]
    tokens = sorted(byte["vocab"], key=byte["vocab"].get)
    merges = [" ".join(m) for m in byte["merges"]]
    with open(os.path.join(here, "..", "patterns.json")) as f:
        names = sorted(n for key in json.load(f)["gguf"] for n in key.split())
    for pre in names:
        model("gpt2, " + pre, model="gpt2", pre=pre, tokens=tokens, merges=merges, token_type=[3, 3, 3] + [1] * (len(tokens) - 3), bos_token_id=1, eos_token_id=2)
    return {"gguf": out}


def parse_pieces(data):
    """The pieces of a SentencePiece model: text, score, type."""
    def fields(data):
        i = 0
        while i < len(data):
            key, i = varint(data, i)
            if key & 7 == 0:
                v, i = varint(data, i)
            elif key & 7 == 5:
                v, i = data[i:i + 4], i + 4
            else:
                n, i = varint(data, i)
                v, i = data[i:i + n], i + n
            yield key >> 3, v

    def varint(data, i):
        x = shift = 0
        while True:
            x |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if data[i - 1] < 128:
                return x, i

    import struct
    out = []
    for n, v in fields(data):
        if n == 1:
            text, score, kind = "", 0.0, 1
            for k, x in fields(v):
                if k == 1:
                    text = x.decode()
                elif k == 2:
                    score = struct.unpack("<f", x)[0]
                elif k == 3:
                    kind = x
            out.append((text, score, kind))
    return out


def main():
    try:
        with gzip.open(path, "rt") as f:
            all = json.load(f)
    except FileNotFoundError:
        all = {}
    all["texts"] = texts
    all.update({"spm": spm, "gguf": gguf}[sys.argv[1]]())
    with open(path, "wb") as f:
        f.write(gzip.compress(json.dumps(all, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0))


main()
