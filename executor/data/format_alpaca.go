package data

// The text that the Alpaca data set puts around instructions. Source: github.com/tatsu-lab/stanford_alpaca.
const (
	alpacaAlone = "Below is an instruction that describes a task. " +
		"Write a response that appropriately completes the request.\n\n"
	alpacaInput = "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request.\n\n"
)

// AlpacaPrompt is the text before the answer to an instruction; input may be empty.
func AlpacaPrompt(instruction, input string) string {
	if input == "" {
		return alpacaAlone + "### Instruction:\n" + instruction + "\n\n### Response:\n"
	}
	return alpacaInput + "### Instruction:\n" + instruction + "\n\n### Input:\n" + input + "\n\n### Response:\n"
}

func alpacaPrompt(r *record) (string, error) {
	instruction, err := r.text("instruction")
	if err != nil {
		return "", err
	}
	input, err := r.optional("input")
	return AlpacaPrompt(instruction, input), err
}

func renderAlpaca(r *record) ([][]Segment, error) {
	prompt, err := alpacaPrompt(r)
	if err != nil {
		return nil, err
	}
	answer, err := r.text("output")
	if err != nil {
		return nil, err
	}
	return [][]Segment{{{Text: prompt}, {Text: answer, Train: true, End: true}}}, nil
}

// renderPreference gives the document with the chosen answer, then that with the rejected one.
func renderPreference(r *record) ([][]Segment, error) {
	prompt, err := alpacaPrompt(r)
	if err != nil {
		return nil, err
	}
	var out [][]Segment
	for _, field := range []string{"chosen", "rejected"} {
		answer, err := r.text(field)
		if err != nil {
			return nil, err
		}
		out = append(out, []Segment{{Text: prompt}, {Text: answer, Train: true, End: true}})
	}
	return out, nil
}
