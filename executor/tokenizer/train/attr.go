// Package train makes tokenizers from texts: byte pair encoding, WordPiece and Unigram. The result is a tokenizer.json,
// field by field as the Rust library "tokenizers" 0.23 writes it.
//
// BPE and WordPiece equal that library's trainer: the same ids and the same merges, ties included. Where its result
// depends on the order of a hash map, the order of code points stands here: for the ids of characters with a
// continuing_subword_prefix or end_of_word_suffix, and for characters of equal count at limit_alphabet. A prefix or
// suffix that is also a letter of the texts makes that library's merges a matter of chance, which none equals. Unigram
// follows the same method from better pieces to start with, and its scores differ. All results are the same for any number of threads.
//
// Non-goals: reading files; special tokens found in the training text, which is taken as plain text; dropout;
// truncation and padding.
package train

// Attr describes how a tokenizer is trained.
type Attr struct {
	Kind            string   `cue:"kind: \"bpe\" | \"wordpiece\" | \"unigram\" | *\"bpe\"" doc:"the model that is trained"`
	VocabSize       int      `cue:"vocab_size: int & >0 | *8000" doc:"how many tokens to have, special ones included; there may be fewer where the text gives no more"`
	MinFrequency    int      `cue:"min_frequency: int & >=0 | *0" doc:"how often two neighbours must occur to become a token (bpe, wordpiece)"`
	SpecialTokens   []string `cue:"special_tokens: [...string & !=\"\"] | *[]" doc:"tokens that stand for no text, in the order of their ids from 0"`
	UnknownToken    string   `cue:"unk_token: string | *\"\"" doc:"the special token for text that no token covers; wordpiece and unigram need one unless byte_level is set"`
	BeginToken      string   `cue:"bos_token: string | *\"\"" doc:"the special token put before every text; empty for none"`
	EndToken        string   `cue:"eos_token: string | *\"\"" doc:"the special token put after every text; empty for none"`
	Normalizers     []string `cue:"normalizers: [...(\"bert\" | \"lowercase\" | \"nfc\" | \"nfd\" | \"nfkc\" | \"nfkd\" | \"strip\" | \"strip_accents\")] | *[]" doc:"what rewrites the text first, in order"`
	Split           string   `cue:"split: \"bert\" | \"metaspace\" | \"none\" | \"whitespace\" | \"whitespace_split\" | *\"auto\"" doc:"how text is cut into words; auto is bert for wordpiece, GPT-2's pattern with byte_level, and metaspace otherwise"`
	Pattern         string   `cue:"pattern: string | *\"\"" doc:"a regular expression; its matches and what lies between them are the words; it stands in for split"`
	Digits          bool     `cue:"digits: bool | *false" doc:"make every digit a word of its own"`
	PrefixSpace     string   `cue:"prefix_space: \"always\" | \"first\" | \"never\" | *\"auto\"" doc:"put a space before the text; auto is always for metaspace and never for byte_level"`
	ByteLevel       bool     `cue:"byte_level: bool | *false" doc:"train on bytes, so that any text can be written"`
	ByteFallback    bool     `cue:"byte_fallback: bool | *false" doc:"add 256 tokens for bytes, which spell characters that are no tokens (bpe, unigram)"`
	InitialAlphabet string   `cue:"initial_alphabet: string | *\"\"" doc:"characters that are tokens even if no text has them"`
	LimitAlphabet   int      `cue:"limit_alphabet: int & >=0 | *0" doc:"how many characters to keep at most, the most frequent; 0 keeps all (bpe, wordpiece)"`
	Prefix          string   `cue:"continuing_subword_prefix: string | *\"\"" doc:"marks tokens that continue a word; empty is ## for wordpiece and none for bpe"`
	Suffix          string   `cue:"end_of_word_suffix: string | *\"\"" doc:"marks tokens that end a word (bpe)"`
	FuseUnknown     bool     `cue:"fuse_unk: bool | *false" doc:"make a run of unknown characters one unknown token (bpe; unigram always does)"`
	MaxTokenLength  int      `cue:"max_token_length: int & >=0 | *0" doc:"tokens of more than two characters have fewer than this; 0 is no limit (bpe)"`
	SeedSize        int      `cue:"seed_size: int & >0 | *1000000" doc:"how many pieces to start from at most (unigram)"`
	ShrinkingFactor float64  `cue:"shrinking_factor: number & >0 & <1 | *0.75" doc:"the share of pieces that each round keeps (unigram)"`
	MaxPieceLength  int      `cue:"max_piece_length: int & >0 | *16" doc:"characters of a piece at most (unigram)"`
	SubIterations   int      `cue:"sub_iterations: int & >0 | *2" doc:"rounds of expectation and maximisation between prunings (unigram)"`
}

// Defaults are the attributes that a document leaves as they are.
func Defaults() Attr {
	return Attr{
		Kind: "bpe", VocabSize: 8000, Split: "auto", PrefixSpace: "auto",
		SeedSize: 1_000_000, ShrinkingFactor: 0.75, MaxPieceLength: 16, SubIterations: 2,
	}
}

// Progress is told how far the training is. A stage is "words" (done: bytes of text read; total is 0, unknown),
// "merges" (done: tokens) or "rounds" (done: rounds of expectation and maximisation; total is an estimate). It is
// called by the goroutine that called Run. Its error ends the training and is returned.
type Progress func(stage string, done, total int64) error
