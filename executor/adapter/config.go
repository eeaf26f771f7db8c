package adapter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// config is what adapter_config.json says, as far as it is read.
type config struct {
	Type        string          `json:"peft_type"`
	Rank        int             `json:"r"`
	Alpha       float64         `json:"lora_alpha"`
	RSLoRA      bool            `json:"use_rslora"`
	DoRA        bool            `json:"use_dora"`
	FanInFanOut bool            `json:"fan_in_fan_out"`
	Ranks       patterns        `json:"rank_pattern"`
	Alphas      patterns        `json:"alpha_pattern"`
	Bias        string          `json:"bias"`
	Init        json.RawMessage `json:"init_lora_weights"`
}

// foreign are the fields that change what an adapter means, and that are not
// read here: each must be absent, null, false or empty.
var foreign = []string{"modules_to_save", "lora_bias", "alora_invocation_tokens", "layer_replication", "trainable_token_indices",
	"target_parameters", "arrow_config", "kasa_config", "monteclora_config", "use_qalora", "use_bdlora"}

// changing are the ways to fill an adapter that change the base as well.
var changing = []string{"pissa", "olora", "corda", "loftq", "lora_ga"}

// readConfig reads adapter_config.json.
func readConfig(file string) (config, error) {
	c := config{Bias: "none"}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, checkpoint.FileError(file, err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return c, errorf(file, "is no JSON object: %v", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, errorf(file, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if c.Type != "LORA" {
		return c, errorf(file, "peft_type is %q, want LORA", c.Type)
	}
	for _, name := range foreign {
		if v := string(bytes.TrimSpace(all[name])); !slices.Contains([]string{"", "null", "false", "[]", "{}"}, v) {
			return c, errorf(file, "%s is %.40s: such adapters are not read", name, v)
		}
	}
	for _, way := range changing {
		if strings.HasPrefix(string(c.Init), `"`+way) {
			return c, errorf(file, "init_lora_weights is %s, which changes the base: save it as plain LoRA (PEFT: path_initial_model_for_weight_conversion)", c.Init)
		}
	}
	switch {
	case c.Bias != "none":
		return c, errorf(file, "bias is %q, want none: trained biases are not read", c.Bias)
	case c.Rank <= 0:
		return c, errorf(file, "r is %d, want more than 0", c.Rank)
	case c.DoRA && c.FanInFanOut:
		return c, errorf(file, "use_dora with fan_in_fan_out is not read")
	}
	return c, nil
}

// of gives the rank and the alpha of a layer.
func (c *config) of(path string) (rank int, alpha float64) {
	rank, alpha = c.Rank, c.Alpha
	if x, ok := c.Ranks.of(path); ok {
		rank = int(x)
	}
	if x, ok := c.Alphas.of(path); ok {
		alpha = x
	}
	return rank, alpha
}

// scale is the factor of a layer of a rank.
func (c *config) scale(path string, rank int) float64 {
	_, alpha := c.of(path)
	if c.RSLoRA {
		return alpha / math.Sqrt(float64(rank))
	}
	return alpha / float64(rank)
}

// patterns are numbers for some layers, by regular expressions of the end of
// their paths; the first that matches counts.
type patterns []pattern

type pattern struct {
	match *regexp.Regexp
	value float64
}

// UnmarshalJSON keeps the order of the file.
func (p *patterns) UnmarshalJSON(text []byte) error {
	*p = nil
	d := json.NewDecoder(bytes.NewReader(text))
	if first, err := d.Token(); err != nil || first == nil {
		return err
	} else if first != json.Delim('{') {
		return fmt.Errorf("rank_pattern and alpha_pattern are objects, not %.40s", text)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var x float64
		if err := d.Decode(&x); err != nil {
			return err
		}
		match, err := regexp.Compile(`^(?:.*\.)?(?:` + fmt.Sprint(key) + `)$`)
		if err != nil {
			return fmt.Errorf("pattern %q: %w", key, err)
		}
		*p = append(*p, pattern{match, x})
	}
	return nil
}

func (p patterns) of(path string) (float64, bool) {
	for _, x := range p {
		if x.match.MatchString(path) {
			return x.value, true
		}
	}
	return 0, false
}
