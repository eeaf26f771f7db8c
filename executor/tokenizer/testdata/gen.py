"""Writes kinds.json.gz and small/tokenizer.json: what the Rust tokenizers make of awkward texts with every kind of part.

    pip install tokenizers==0.23.3 && python3 gen.py

kinds.json: {"models": {name: model}, "cases": [{"name", "model", "change": fields of the model that differ,
"parts": the other fields of a tokenizer.json, "results": [[ids, decoded, decoded without special tokens, places]]}], "texts",
"full": [{"name", "model", "change", "parts", "results": [[first text, second text or null, special, all fields of the encoding, with its overflow, or null where
it is refused]]}]};
a decoded text is 0 where it is the text, 1 where the library panics; places are a list of starts and ends in characters, one after the other.
"""
import base64
import gzip
import json
import os
import random
import struct

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
here = os.path.dirname(os.path.abspath(__file__))
rng = random.Random(7)

corpus = ["the cat and the other cat sat on the mat, then they ate", "It's the hour; they'll say we've 12345 hours in the year 2024",
          "der Bär und das Mädchen hören über Ägypten", "  def f(x):\n    return x ** 2\n\n", "ABC abc Hello HELLO world",
          "the the the and and cat cat hello hello world world"] * 3

texts = ["", " ", "  ", "a", " a", "a ", "   a   b   ", "the cat", "the cat and the other cat", "It's they'll WE'VE i'M x'ſa ''s", "12345 1234567 ½ ²3 ٣٤",
         "\n\n\n", " \n \n", "a\r\n\r\nb\t\tc", "x  \n  y", "Mädchen über", "Ma\u0308dchen u\u0308ber \u1e69 q\u0307\u0323", "ﬁne ﬂow Ⅷ x²", "İstanbul ΣΑΣ ß ẞ",
         "你好，世界", "안녕 \u1112\u1161\u11ab", "😀👨‍👩‍👧", "hello, world! (the end)...", "\u00a0nbsp\u3000wide\u2028line\u0085", "snake_case x_y2 a-b--c", "▁the ▁▁cat", "Ġthe Ċ",
         "<s>the</s>", "the<s> cat </s>and", "<tok>", "a <tok> b", "a<tok>b", "  <tok>  <tok>the", "the [Word] [Word]s x[Word] [Word]", "longlonglonger long", "the  <strip>  cat<strip>",
         "<0x41><0x0A> x", "\x00\x01\x7f", "xxyxxx", "aXbXXc", "CamelCaseHTTPServer", "the" * 40, "ab" * 50, " " * 70, "a" + "\u0301\u0323" * 40 + "b", "\u1112\u1161\u11ab\u09c7\u09bex\u1112\u0301\u1161 e" + "\u0302\u0301\u0327" * 15 + "\u0915\u093c\u0344", "\u116d" * 35 + "\u11a8"]
pool = list("abcdehlot ThA  \n\t'.,-_12▁") + ["the", " cat", "ä", "\u0308", "世", "界", "😀", "<s>", "<tok>", "'s", "\r\n", "[Word]"]
texts += ["".join(rng.choice(pool) for _ in range(rng.randrange(2, 14))) for _ in range(12)]


def trained(pre, size, alphabet, special):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=special, show_progress=False))
    return json.loads(t.to_str())["model"]


def renumber(vocab):
    return {token: i for i, token in enumerate(vocab)}


special = ["<unk>", "<s>", "</s>"]
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
byte_model = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), 256 + 3 + 60, alphabet, special)
plain = trained(pre_tokenizers.Metaspace(prepend_scheme="always"), 130, [], special)
by_id = sorted(plain["vocab"], key=plain["vocab"].get)
fallback = dict(plain, vocab=renumber(special + ["<0x%02X>" % i for i in range(256)] + by_id[3:]), unk_token="<unk>", byte_fallback=True, fuse_unk=True)
partial = dict(plain, vocab=renumber(by_id + ["<0xE4>", "<0xB8>", "<0x96>", "<0xC3>", "<0xA4>"]), unk_token="<unk>", byte_fallback=True)
words = ["<unk>", "c", "##a", "##t", "##t</w>", "t", "##h", "##e", "##e</w>", "a", "##a</w>", "a</w>", "ca", "cat</w>", "th", "the</w>", "##he</w>", "[UNK]"]
affixed = dict(plain, vocab=renumber(words), merges=[["c", "##a"], ["ca", "##t</w>"], ["t", "##h"], ["##h", "##e</w>"], ["th", "##e</w>"]],
               unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>")
model = {"bytes": byte_model, "plain": plain, "fallback": fallback, "partial": partial, "affixed": affixed}

qwen = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
three = qwen.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
level = lambda space=False, regex=True: {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True, "use_regex": regex}
split = lambda pattern, behavior, invert=False: {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
both = lambda *parts: {"type": "Sequence", "pretokenizers": list(parts)}
norms = lambda *parts: {"type": "Sequence", "normalizers": list(parts)}
decs = lambda *parts: {"type": "Sequence", "decoders": list(parts)}
meta = lambda scheme, cut=True: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}
replace = lambda pattern, content: {"type": "Replace", "pattern": pattern, "content": content}
llama = norms({"type": "Prepend", "prepend": "▁"}, replace({"String": " "}, "▁"))
llama_decoder = decs(replace({"String": "▁"}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0})


def added(content, ids, **flags):
    return dict({"id": ids, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}, **flags)


def template(before, after, ids):
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [piece(b) for b in before] + [{"Sequence": {"id": "A", "type_id": 0}}] + [piece(a) for a in after],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": ids[n], "tokens": [n] * len(ids[n])} for n in before + after}}


def tokens(m, **flags):
    n = len(model[m]["vocab"])
    vocab = model[m]["vocab"]
    vocab = vocab if isinstance(vocab, dict) else renumber(token for token, _ in vocab)
    known = [added(s, vocab[s], special=True) for s in special]
    return known + [added("<tok>", n, special=True, **flags), added("[Word]", n + 1, single_word=True, **flags), added("long", n + 2, **flags),
                    added("longlonger", n + 3, **flags), added("<strip>", n + 4, lstrip=True, rstrip=True, **flags)]


cases = []


def decode(t, ids, skip, text):
    try:
        got = t.decode(ids, skip_special_tokens=skip)
        return 0 if got == text else got
    except BaseException as e:  # a panic of the library, as when it strips more than there is
        assert type(e).__name__ == "PanicException", e
        return 1


def case(name, m, change={}, **parts):
    full = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None}
    full.update(parts)
    t = Tokenizer.from_str(json.dumps(dict(full, model=dict(model[m], **change))))
    rows = []
    for text in texts:
        e = t.encode(text)
        rows.append([e.ids, decode(t, e.ids, False, text), decode(t, e.ids, True, text), [x for o in e.offsets for x in o]])
    cases.append({"name": name, "model": m, "change": change, "parts": parts, "results": rows})


bl = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
case("byte level", "bytes", pre_tokenizer=level(), decoder=bl)
case("byte level, prefix space", "bytes", pre_tokenizer=level(True), decoder=bl, added_tokens=tokens("bytes"))
case("byte level, no regex", "bytes", pre_tokenizer=level(True, False), decoder=bl)
case("byte level, then another", "bytes", pre_tokenizer=both(level(), split({"String": "Ġ"}, "MergedWithNext")), decoder=bl)
case("byte level, merges as text", "bytes", {"merges": [" ".join(m) for m in byte_model["merges"]]}, pre_tokenizer=level(), decoder=bl)
case("byte level, whole words", "bytes", {"ignore_merges": True}, pre_tokenizer=level(), decoder=bl)
case("split by lines", "bytes", normalizer={"type": "NFC"}, pre_tokenizer=both(split({"Regex": qwen}, "Isolated"), level(False, False)), decoder=bl)
case("split by lines, three digits", "bytes", pre_tokenizer=both(split({"Regex": three}, "Removed", True), level(False, False)), decoder=bl)
for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
    for invert in [False, True]:
        case("split %s %s" % (behavior, invert), "bytes", pre_tokenizer=both(split({"Regex": "x|the|\\s"}, behavior, invert), level(False, False)), decoder=bl)
case("split by text", "bytes", pre_tokenizer=both(split({"String": "xx"}, "Isolated"), level(False, False)), decoder=bl)
case("split at places", "bytes", pre_tokenizer=both(split({"Regex": "(?=[A-Z])|x*"}, "MergedWithNext"), level(False, False)), decoder=bl)
case("split lines by general pattern", "bytes", pre_tokenizer=both(split({"Regex": qwen}, "MergedWithNext"), level(False, False)), decoder=bl)
case("classes", "bytes", pre_tokenizer=both({"type": "Digits", "individual_digits": False}, {"type": "Punctuation", "behavior": "Contiguous"}, level(False, False)), decoder=bl)
case("digits", "bytes", pre_tokenizer=both({"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}, level()), decoder=bl)
case("words", "bytes", pre_tokenizer=both({"type": "Whitespace"}, level(False, False)), decoder=bl)
case("white space", "bytes", pre_tokenizer=both({"type": "WhitespaceSplit"}, level(True, False)), decoder=bl)
for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]:
    case(form, "bytes", normalizer={"type": form}, pre_tokenizer=level(), decoder=bl)
case("strip", "bytes", normalizer=norms({"type": "NFD"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": False}), pre_tokenizer=level(), decoder=bl)
case("replace", "bytes", normalizer=norms(replace({"Regex": "\\s+"}, "$1 "), replace({"String": "the"}, "THE")), pre_tokenizer=level(), decoder=bl)
case("added, normalized", "bytes", normalizer={"type": "Lowercase"}, pre_tokenizer=level(), decoder=bl, added_tokens=tokens("bytes", normalized=True))
case("post", "bytes", pre_tokenizer=level(), decoder=bl, added_tokens=tokens("bytes"),
     post_processor={"type": "Sequence", "processors": [bl, template(["<s>", "two"], ["</s>"], {"<s>": [1], "two": [5, 6], "</s>": [2]})]})
case("roberta", "bytes", pre_tokenizer=level(), decoder=bl, added_tokens=tokens("bytes"),
     post_processor={"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": False})
case("fallback", "fallback", normalizer=llama, decoder=llama_decoder, added_tokens=tokens("fallback"), post_processor=template(["<s>"], [], {"<s>": [1]}))
case("fallback, added normalized", "fallback", normalizer=llama, decoder=llama_decoder, added_tokens=tokens("fallback", normalized=True))
case("fallback, strip both", "fallback", normalizer=llama, decoder=decs(replace({"String": "▁"}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 2, "stop": 2}, replace({"String": "the c"}, "THEC")))
case("fallback, regex after fuse", "fallback", normalizer=llama, decoder=decs({"type": "ByteFallback"}, {"type": "Fuse"}, replace({"Regex": "▁+"}, "_")))
for scheme in ["always", "first", "never"]:
    case("metaspace " + scheme, "fallback", pre_tokenizer=meta(scheme), decoder=decs(meta(scheme), {"type": "ByteFallback"}), added_tokens=tokens("fallback"))
case("metaspace whole", "fallback", {"fuse_unk": False, "byte_fallback": False}, pre_tokenizer=meta("first", False), decoder=meta("first"), added_tokens=tokens("fallback"))
case("unknown vanish", "plain", pre_tokenizer=meta("always"), decoder=meta("always"))
case("unknown fuse", "plain", {"unk_token": "<unk>", "fuse_unk": True}, pre_tokenizer={"type": "WhitespaceSplit"})
case("unknown each", "plain", {"unk_token": "<unk>"}, normalizer=llama)
case("partial fallback", "partial", normalizer=llama)
case("partial fallback, fused", "partial", {"fuse_unk": True}, normalizer=llama)
case("affixes", "affixed", pre_tokenizer={"type": "Whitespace"}, decoder={"type": "BPEDecoder", "suffix": "</w>"})

def learnt(empty, trainer, pre):
    """A small model of another kind. The trainers of the library order some tokens at random: regenerating changes the file."""
    t = Tokenizer(empty)
    t.pre_tokenizer = pre
    t.train_from_iterator(corpus, trainer)
    return json.loads(t.to_str())["model"]


bert_special = ["[UNK]", "[CLS]", "[SEP]"]
pieces = learnt(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=150, special_tokens=bert_special, show_progress=False), pre_tokenizers.BertPreTokenizer())
uni = learnt(models.Unigram(), trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False), pre_tokenizers.Metaspace())
model["pieces"] = pieces
model["uni"] = uni
model["uni bytes"] = dict(uni, vocab=uni["vocab"] + [["<0x%02X>" % i, -20.0 - i / 1024] for i in range(256)], byte_fallback=True)
model["uni some"] = dict(uni, vocab=uni["vocab"] + [["<0xE4>", -9.0], ["<0xB8>", -9.0], ["<0x96>", -9.0], ["世界", -7.5]], byte_fallback=True)
if os.path.exists(os.path.join(here, "kinds.json.gz")):  # trainers break ties by chance: what was trained once stays
    with gzip.open(os.path.join(here, "kinds.json.gz"), "rt") as f:
        kept = json.load(f)["models"]
    model.update({name: kept[name] for name in ["pieces", "uni", "uni bytes", "uni some"]})
model["level"] = {"type": "WordLevel", "vocab": renumber(["<unk>", "<s>", "</s>", "the", "cat", "▁the", "▁cat", "hello", "end", "x"]), "unk_token": "<unk>"}
bert = lambda clean=True, chinese=True, accents=None, lower=True: {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents, "lowercase": lower}
wp = lambda prefix="##", cleanup=True: {"type": "WordPiece", "prefix": prefix, "cleanup": cleanup}
case("word piece", "pieces", normalizer=bert(), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp(), post_processor=template(["[CLS]"], ["[SEP]"], {"[CLS]": [1], "[SEP]": [2]}))
case("word piece, short words", "pieces", {"max_input_chars_per_word": 5}, normalizer=bert(), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp(cleanup=False))
case("word piece, other prefix", "pieces", {"continuing_subword_prefix": "#"}, normalizer=bert(), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp(prefix="#"))
case("word piece, absent prefix", "pieces", {"continuing_subword_prefix": "@@@"}, pre_tokenizer={"type": "Whitespace"}, decoder=wp(prefix="@@@"))
case("word piece, case and accents", "pieces", normalizer=bert(lower=False), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp())
case("word piece, lower with accents", "pieces", normalizer=bert(accents=False, clean=False), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp())
case("word piece, accents off", "pieces", normalizer=bert(accents=True, chinese=False, lower=False), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp())
case("word piece, fused", "pieces", normalizer=bert(), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=decs({"type": "Fuse"}, wp()))
case("bert normalizer, bytes", "bytes", normalizer=bert(lower=False, accents=True), pre_tokenizer=both({"type": "BertPreTokenizer"}, level(False, False)), decoder=bl)
for scheme in ["always", "first", "never"]:
    case("unigram " + scheme, "uni", pre_tokenizer=meta(scheme), decoder=meta(scheme), added_tokens=tokens("uni"))
case("unigram, whole texts", "uni", normalizer=llama, decoder=llama_decoder)
case("unigram, white space", "uni", pre_tokenizer=both({"type": "WhitespaceSplit"}, meta("always")), decoder=meta("always"))
case("unigram, bytes", "uni bytes", pre_tokenizer=meta("always"), decoder=decs(meta("always"), {"type": "ByteFallback"}))
case("unigram, some bytes", "uni some", pre_tokenizer=meta("first", False), decoder=decs(meta("first"), {"type": "ByteFallback"}))
case("unigram, bytes not used", "uni bytes", {"byte_fallback": False}, normalizer=llama, decoder=llama_decoder)


def charsmap(rules):
    """A precompiled_charsmap: a double-array trie of the rules' left sides, whose values are places of the right sides."""
    blob, root = b"", {}
    for text, new in rules.items():
        node = root
        for c in text.encode():
            node = node.setdefault(c, {})
        node[0] = len(blob)
        blob += new.encode() + b"\0"
    units, used = {}, {0}

    def place(at, node):
        base = next(b for b in range(1, 1 << 20) if all(b ^ c not in used for c in node))
        used.update(base ^ c for c in node)
        units[at] = units.get(at, 0) | (at ^ base) << 10 | (0 in node) << 8
        for c, child in node.items():
            if c == 0:
                units[base] = child | 1 << 31
            else:
                units[base ^ c] = c
                place(base ^ c, child)

    place(0, root)
    size = (max(units) | 255) + 1
    return struct.pack("<I", 4 * size) + b"".join(struct.pack("<I", units.get(i, 0)) for i in range(size)) + blob


rules = {"a": "b", "e": "", "e\u0301": "\u00e9", "\u0301": "", "\u0323": "!", "\ufb01": "fi", "\u2167": "VIII", "x\u00b2": "xx", "\u00b2": "2", "\u00df": "ss", "\t": " ",
         "\r\n": "\n", "\u4e16": "[\u4e16]", "\U0001f600": ":)", "\u00e4": "a\u0308", "\u1112": "H", "\u3000": " ", "\u200d": ""}
case("precompiled", "bytes", normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(rules)).decode()}, pre_tokenizer=level(), decoder=bl)
case("unigram, byte level", "uni", {"unk_id": 0}, pre_tokenizer=level(), decoder=bl)
case("word piece, byte level", "pieces", pre_tokenizer=level(), decoder=bl)
case("word level", "level", normalizer={"type": "Lowercase"}, pre_tokenizer={"type": "Whitespace"})
case("word level, metaspace", "level", pre_tokenizer=meta("always"), decoder=meta("always"), added_tokens=tokens("level"))

case("normalizer of bytes", "bytes", normalizer={"type": "ByteLevel"}, decoder=bl, added_tokens=tokens("bytes", normalized=True))
case("nmt", "bytes", normalizer={"type": "Nmt"}, pre_tokenizer=level(), decoder=bl)
case("char delimiter", "bytes", pre_tokenizer=both({"type": "CharDelimiterSplit", "delimiter": "e"}, level(False, False)), decoder=bl)
case("scripts", "bytes", pre_tokenizer=both({"type": "UnicodeScripts"}, level(False, False)), decoder=bl)
case("fixed length", "bytes", pre_tokenizer=both({"type": "FixedLength", "length": 3}, level(False, False)), decoder=bl)
case("lines of a pattern", "bytes", pre_tokenizer=both(split({"Regex": "^\\s*|\\w+$"}, "Isolated"), level(False, False)), decoder=bl)
case("ctc", "plain", pre_tokenizer=meta("always"), decoder={"type": "CTC", "pad_token": "t", "word_delimiter_token": "▁", "cleanup": True}, added_tokens=tokens("plain"))
case("ctc, no cleanup", "plain", pre_tokenizer=meta("always"), decoder={"type": "CTC", "pad_token": "▁t", "word_delimiter_token": "▁", "cleanup": False})

full_cases = []
pairs = [("the cat", None), ("", None), ("the cat and the other cat", "hello, world"), ("a", "the cat and the other cat sat on the mat"), (" the  cat ", ""), ("It's ünï 世界", "  x ")]


def everything(e):
    """All fields of an encoding; last what truncation cut off, as encodings."""
    return [e.ids, e.tokens, e.type_ids, [list(o) for o in e.offsets], e.word_ids, e.special_tokens_mask, e.attention_mask, [everything(o) for o in e.overflowing]]


def full(name, m, change={}, **parts):
    file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    file.update(parts)
    t = Tokenizer.from_str(json.dumps(dict(file, model=dict(model[m], **change))))
    rows = []
    for a, b in pairs:
        for special in [True, False]:
            try:
                e = t.encode(a, b, add_special_tokens=special)
                out = everything(e)
            except BaseException as x:
                assert type(x).__name__ in ("PanicException", "Exception"), x
                out = None
            rows.append([a, b, special, out])
    full_cases.append({"name": name, "model": m, "change": change, "parts": parts, "results": rows})


def bert_template(a, b):
    p = lambda name, kind: {"SpecialToken": {"id": name, "type_id": kind}}
    q = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
    return {"type": "TemplateProcessing", "single": [p("[CLS]", 0), q("A", a), p("[SEP]", 0)], "pair": [p("[CLS]", 0), q("A", a), p("[SEP]", 0), q("B", b), p("[SEP]", b)],
            "special_tokens": {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in [("[CLS]", 1), ("[SEP]", 2)]}}


cut = lambda n, strategy="LongestFirst", direction="Right", stride=0: {"max_length": n, "strategy": strategy, "stride": stride, "direction": direction}
pad = lambda strategy, direction="Right", multiple=None: {"strategy": strategy, "direction": direction, "pad_to_multiple_of": multiple, "pad_id": 3, "pad_type_id": 1, "pad_token": "[PAD]"}
words_of_bert = dict(normalizer=bert(), pre_tokenizer={"type": "BertPreTokenizer"}, decoder=wp())
bert_post = {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}
roberta = lambda trimmed, prefix: {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": trimmed, "add_prefix_space": prefix}
full("plain", "pieces", **words_of_bert)
full("bert", "pieces", post_processor=bert_post, **words_of_bert)
full("template", "pieces", post_processor=bert_template(0, 1), **words_of_bert)
full("template, other types", "pieces", post_processor=bert_template(2, 5), **words_of_bert)
full("roberta", "bytes", pre_tokenizer=level(), post_processor=roberta(True, False), decoder=bl)
full("roberta, prefix space", "bytes", pre_tokenizer=level(True), post_processor=roberta(True, True), decoder=bl, added_tokens=tokens("bytes"))
full("roberta, whole places", "bytes", pre_tokenizer=level(True), post_processor=roberta(False, True), decoder=bl)
full("trimmed", "bytes", pre_tokenizer=level(True), post_processor=bl, decoder=bl)
full("sequence", "bytes", pre_tokenizer=level(True), post_processor={"type": "Sequence", "processors": [bl, template(["<s>"], ["</s>"], {"<s>": [1], "</s>": [2]})]}, decoder=bl)
for n in [3, 5, 8]:  # with less than is added the library goes on as if there were no limit, and pipe refuses
    full("cut to %d" % n, "pieces", truncation=cut(n), post_processor=bert_template(0, 1), **words_of_bert)
full("cut, left", "pieces", truncation=cut(6, direction="Left"), post_processor=bert_post, **words_of_bert)
full("cut the first", "pieces", truncation=cut(9, "OnlyFirst"), post_processor=bert_post, **words_of_bert)
full("cut the second", "pieces", truncation=cut(9, "OnlySecond"), post_processor=bert_post, **words_of_bert)
full("pad", "pieces", padding=pad({"Fixed": 9}), post_processor=bert_post, **words_of_bert)
full("pad, left", "pieces", padding=pad({"Fixed": 9}, "Left", 4), post_processor=bert_post, **words_of_bert)
full("pad to a multiple", "pieces", padding=pad("BatchLongest", multiple=8), truncation=cut(7), post_processor=bert_post, **words_of_bert)
for stride in [1, 2]:
    full("overlap by %d" % stride, "pieces", truncation=cut(9, stride=stride), post_processor=bert_post, **words_of_bert)
    full("overlap by %d, left" % stride, "pieces", truncation=cut(10, direction="Left", stride=stride), post_processor=bert_template(0, 1), **words_of_bert)
full("overlap, no post-processor", "pieces", truncation=cut(7, stride=2), **words_of_bert)
full("overlap, the first", "pieces", truncation=cut(9, "OnlyFirst", stride=1), post_processor=bert_template(2, 5), **words_of_bert)
full("overlap, the second, padded", "pieces", truncation=cut(12, "OnlySecond", stride=2), padding=pad({"Fixed": 14}), post_processor=bert_template(0, 1), **words_of_bert)
full("overlap, roberta", "bytes", truncation=cut(12, stride=3), padding=pad("BatchLongest", multiple=8), pre_tokenizer=level(True), post_processor=roberta(True, True), decoder=bl)
full("overlap, trimmed", "bytes", truncation=cut(8, stride=3), pre_tokenizer=level(True), post_processor=bl, decoder=bl)

with open(os.path.join(here, "kinds.json.gz"), "wb") as f:
    f.write(gzip.compress(('{"texts": ' + json.dumps(texts, ensure_ascii=False) + ',\n"models": ' + json.dumps(model, ensure_ascii=False, separators=(",", ":")) + ',\n"cases": [\n' +
            ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + '\n],\n"full": [\n' +
            ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in full_cases) + "\n]}\n").encode(), mtime=0))

small = os.path.join(here, "small")
os.makedirs(small, exist_ok=True)
t = Tokenizer.from_str(json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens("fallback")[:3], "normalizer": llama, "pre_tokenizer": None,
                                   "post_processor": template(["<s>"], [], {"<s>": [1]}), "decoder": llama_decoder, "model": fallback}))
for name, content in [("tokenizer.json", json.loads(t.to_str())), ("tokenizer_config.json", {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}}),
                      ("generation_config.json", {"bos_token_id": 0, "eos_token_id": [2, 7]}), ("config.json", {"eos_token_id": 8})]:
    with open(os.path.join(small, name), "w") as f:
        json.dump(content, f, ensure_ascii=False, indent=None if name == "tokenizer.json" else 1)
        f.write("\n")
