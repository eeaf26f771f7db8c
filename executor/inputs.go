package executor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// inputKind is what the token of an input of a document gives.
func inputKind(declared string) stage.Kind {
	switch declared {
	case "int", "float":
		return stage.Number
	case "bool":
		return stage.Flag
	case "list":
		return stage.List
	case "tensor":
		return stage.Tensor
	}
	return stage.Text
}

// inputs turns the values of the document's inputs into what flows. Tensors
// are read from their files, but only if a stage reads their token.
func (p *Pipeline) inputs() error {
	readers := p.readers()
	for _, in := range p.doc.Inputs {
		token := "inputs." + in.Name
		if readers[token] == 0 || in.Value == nil && !p.needs(token) {
			continue
		}
		v, err := inputValue(in)
		if err != nil {
			return err
		}
		if file, ok := in.Value.(string); ok && in.Type == "tensor" {
			p.read(file)
		}
		p.known[token] = v
	}
	return nil
}

// needs reports whether a token is read where something must be given.
func (p *Pipeline) needs(token string) bool {
	for _, out := range p.doc.Outputs {
		if out.From == token {
			return true
		}
	}
	for _, c := range p.order {
		for _, port := range c.def.Ports {
			if !port.Optional && (c.from[port.Name] == token || slices.Contains(slices.Collect(maps.Values(c.maps[port.Name])), token)) {
				return true
			}
		}
	}
	return false
}

func inputValue(in schema.Input) (stage.Value, error) {
	switch v := in.Value.(type) {
	case nil:
		return nil, &schema.Error{Pos: in.Pos, Msg: "has no value", Hint: fmt.Sprintf("give --set %s=...", in.Name)}
	case json.Number:
		return v.Float64()
	case string:
		if in.Type != "tensor" {
			return v, nil
		}
		list, err := tensorfile.Read(v)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			if len(list) == 1 || t.Name == in.Name {
				return t, nil
			}
		}
		return nil, fmt.Errorf("%s: holds %d tensors and none is called %q", v, len(list), in.Name)
	default:
		return v, nil
	}
}
