package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/phoneme"
	"pipe.dev/executor/tensorfile"
)

// PhonemesAttr describes how words become phonemes.
type PhonemesAttr struct {
	Lexicon  string   `cue:"lexicon: string | *\"\"" doc:"a file in the form of the CMU dictionary; \"\" is that dictionary itself"`
	Letters  []string `cue:"letters: [...string] | *[]" doc:"of a model: what the ids of its letters stand for; <unk> is any other letter, </s> the end of a word"`
	Phonemes []string `cue:"phonemes: [...string] | *[]" doc:"of a model: what the ids that it gives stand for; </s> ends a word"`
	Between  string   `cue:"between: string | *\"\"" doc:"what stands between words"`
	Program  string   `cue:"program: *\"\" | \"espeak-ng\"" doc:"a program that is asked instead, if it is installed; its phonemes are those of the International Phonetic Alphabet"`
	Voice    string   `cue:"voice: string | *\"en-us\"" doc:"its voice"`
}

func phonemes() *Def {
	return &Def{
		Name: "phonemes", Title: "Phonemes", Result: Text,
		Doc: "says how English words sound, by a lexicon and, for words that it lacks, by a model; without one these are spelled. Phonemes, those of ARPAbet, and marks of punctuation stand between spaces, each line of the text on its own; words that the lexicon lacks are told.",
		Ports: []Port{
			{Name: "x", Doc: "the text, as it is read aloud", Kinds: []Kind{Text}},
			{Name: "model", Doc: "of letters [batch, chars] and where the ends of words stand, last [batch], it makes ids of phonemes", Kinds: []Kind{Model}, Optional: true},
		},
		Attr:    PhonemesAttr{},
		Prepare: preparePhonemes,
		Run:     runPhonemes,
	}
}

// Words that a model spells at once, and the letters that they may have.
const (
	wordsAtOnce = 8
	longestWord = 47
)

// speller is a model that says how words sound.
type speller struct {
	plan     *plan.Plan
	letters  map[string]int32
	phonemes []string
}

func preparePhonemes(c *Call) error {
	m, a := c.Model("model"), c.Attr.(PhonemesAttr)
	if m == nil {
		return nil
	}
	s := &speller{letters: map[string]int32{}, phonemes: a.Phonemes}
	for i, letter := range a.Letters {
		s.letters[letter] = int32(i)
	}
	for _, name := range []string{"<unk>", "</s>"} {
		if _, ok := s.letters[name]; !ok {
			return fmt.Errorf("letters lacks %q", name)
		}
	}
	if !slices.Contains(a.Phonemes, "</s>") {
		return fmt.Errorf(`phonemes lacks "</s>"`)
	}
	var err error
	if s.plan, err = m.Call(map[string]int{"batch": wordsAtOnce, "chars": longestWord + 1}, nil, nil); err != nil {
		return err
	}
	for _, in := range s.plan.Inputs {
		if in.Name != "letters" && in.Name != "last" || in.Place.Type.DType != ir.I32 {
			return fmt.Errorf("the model reads %s %v; want letters and last, of i32", in.Name, in.Place.Type)
		}
	}
	c.kept = s
	return nil
}

func runPhonemes(ctx context.Context, c *Call) (Value, error) {
	text, ok := c.In["x"].(string)
	if !ok {
		return nil, errKind(c.In["x"], Text)
	}
	a := c.Attr.(PhonemesAttr)
	if a.Program != "" {
		return askProgram(ctx, a, text)
	}
	lexicon, err := a.open(c)
	if err != nil {
		return nil, err
	}
	var lines [][]phoneme.Token
	var tokens []phoneme.Token
	for line := range strings.Lines(text) {
		if l := phoneme.Split(line); len(l) > 0 {
			lines, tokens = append(lines, l), append(tokens, l...)
		}
	}
	unknown := lexicon.Unknown(tokens)
	others := map[string][]string{}
	how := "spelled by their letters"
	if s, ok := c.kept.(*speller); ok {
		how = "said as the model says"
		if others, err = s.say(ctx, c, unknown); err != nil {
			return nil, err
		}
	}
	if len(unknown) > 0 && c.Warn != nil {
		c.Warn(fmt.Errorf("words that the lexicon lacks are %s: %s", how, strings.Join(unknown, ", ")))
	}
	var all []string
	for _, tokens := range lines {
		var out []string
		for i, word := range lexicon.Say(tokens, others) {
			if i > 0 && a.Between != "" {
				out = append(out, a.Between)
			}
			out = append(out, word...)
		}
		all = append(all, strings.Join(out, " "))
	}
	return strings.Join(all, "\n"), nil
}

// open gives the lexicon.
func (a PhonemesAttr) open(c *Call) (*phoneme.Lexicon, error) {
	if a.Lexicon == "" {
		return phoneme.English()
	}
	c.read(a.Lexicon)
	l, err := phoneme.Open(a.Lexicon)
	if errors.As(err, new(*fs.PathError)) {
		return nil, checkpoint.FileError(a.Lexicon, err)
	}
	return l, err
}

// say asks the model for words, some at a time; what it says of one does not
// depend on the others.
func (s *speller) say(ctx context.Context, c *Call, words []string) (map[string][]string, error) {
	out := map[string][]string{}
	for some := range slices.Chunk(words, wordsAtOnce) {
		letters, last := make([]int32, wordsAtOnce*(longestWord+1)), make([]int32, wordsAtOnce)
		for i, w := range some {
			runes := []rune(w)
			if len(runes) > longestWord {
				return nil, fmt.Errorf("the word %.20q... has %d letters; at most %d are said", w, len(runes), longestWord)
			}
			row := letters[i*(longestWord+1):]
			for k, r := range runes {
				id, ok := s.letters[string(r)]
				if !ok {
					id = s.letters["<unk>"]
				}
				row[k] = id
			}
			row[len(runes)], last[i] = s.letters["</s>"], int32(len(runes))
		}
		got, err := c.Model("model").Run(ctx, s.plan, map[string]tensorfile.Tensor{
			"letters": tensorfile.FromInt32s("letters", letters, wordsAtOnce, longestWord+1), "last": tensorfile.FromInt32s("last", last, wordsAtOnce),
		})
		if err != nil {
			return nil, err
		}
		ids, err := got[0].Int32s()
		if err != nil {
			return nil, err
		}
		limit := len(ids) / wordsAtOnce
		for i, w := range some {
			if out[w], err = s.names(ids[i*limit : (i+1)*limit]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// names are the phonemes of ids, up to the end of the word.
func (s *speller) names(ids []int32) ([]string, error) {
	list := []string{}
	for _, id := range ids {
		if id < 0 || int(id) >= len(s.phonemes) {
			return nil, fmt.Errorf("the model gives id %d; phonemes has %d", id, len(s.phonemes))
		}
		if s.phonemes[id] == "</s>" {
			break
		}
		if name := s.phonemes[id]; !strings.HasPrefix(name, "<") {
			list = append(list, name)
		}
	}
	return list, nil
}

// askProgram asks espeak-ng how text sounds.
func askProgram(ctx context.Context, a PhonemesAttr, text string) (Value, error) {
	path, err := exec.LookPath(a.Program)
	if err != nil {
		return nil, fmt.Errorf("program is %q, which is not installed; without it the lexicon says how words sound", a.Program)
	}
	cmd := exec.CommandContext(ctx, path, "-q", "--ipa", "-v", a.Voice, "--stdin")
	cmd.Stdin = strings.NewReader(text)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	said, err := cmd.Output()
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", a.Program, err, first)
	}
	return strings.Join(strings.Fields(string(said)), " "), nil
}
