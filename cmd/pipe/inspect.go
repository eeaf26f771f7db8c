package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
)

// inspection is what pipe inspect shows.
type inspection struct {
	Path       string            `json:"path"`
	ModelType  string            `json:"model_type,omitempty"` // of config.json
	Tokenizer  *tokenizerKind    `json:"tokenizer,omitempty"`
	Files      []fileSize        `json:"files"`
	Metadata   map[string]string `json:"metadata"`
	Tensors    []tensorLine      `json:"tensors"`    // those that the filter lets through
	Parameters int64             `json:"parameters"` // elements of these tensors
	Bytes      int64             `json:"bytes"`      // of their data
	DTypes     map[string]int    `json:"dtypes"`     // tensors by element type
	Of         int               `json:"tensors_in_checkpoint"`
}

type fileSize struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

type tensorLine struct {
	Name   string `json:"name"`
	DType  string `json:"dtype"`
	Shape  []int  `json:"shape"`
	Bytes  int64  `json:"bytes"`
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

func inspectCommand(c *console) *cobra.Command {
	var asJSON bool
	var filter string
	cmd := &cobra.Command{
		Use:   "inspect PATH",
		Short: "list the tensors of a checkpoint or model folder, or say what made a picture",
		Long: "inspect lists what a checkpoint holds, from its headers alone. PATH is a file of weights (.safetensors; .pt, .pth or\n" +
			".bin of PyTorch; .npz, .npy; .onnx; .gguf), an index.json of shards, the folder of a model, or a model of a hub that was\n" +
			"pulled. Of a PNG file that pipe wrote it says what made it: document, seed, settings, files.",
		Example:           "  pipe inspect model\n  pipe inspect model --filter '*.q_proj.*'",
		Args:              arguments("PATH"),
		ValidArgsFunction: completeExtension("safetensors", "gguf", "json", "pt", "pth", "bin", "npz", "npy", "onnx", "png"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := path.Match(filter, ""); err != nil {
				return usagef(cmd, "--filter: %q is not a pattern: a [ is not closed, or a \\ is at the end", filter)
			}
			if isPNG(args[0]) {
				return inspectPicture(c, args[0], asJSON)
			}
			found, err := inspect(c, args[0], filter)
			if err != nil {
				return err
			}
			if len(found.Tensors) == 0 && found.Of > 0 {
				c.log.Warn("no tensor matches", "filter", filter)
			}
			if asJSON {
				return c.writeJSON(found)
			}
			w := bufio.NewWriter(c.out)
			found.print(w)
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&filter, "filter", "", "list only tensors whose `NAME` matches: * is any text, ? a character, [a-c] one of them")
	return cmd
}

// inspect reads the headers of a checkpoint and, in a folder, what stands
// beside it.
func inspect(c *console, name, filter string) (*inspection, error) {
	if strings.EqualFold(filepath.Ext(name), ".gguf") {
		return inspectGGUF(name, filter)
	}
	name, err := hub.Folder(name)
	if err != nil {
		return nil, err
	}
	ck, err := checkpoint.Open(name)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	found := &inspection{Path: name, Metadata: ck.Metadata(), DTypes: map[string]int{}, Tensors: []tensorLine{}, Files: []fileSize{}}
	files := map[string]bool{}
	for _, t := range ck.Tensors() {
		files[t.File] = true
		found.Of++
		if ok, _ := path.Match(filter, t.Name); !ok && filter != "" {
			continue
		}
		found.Tensors = append(found.Tensors, tensorLine{t.Name, t.Raw, append([]int{}, t.Shape...), t.Bytes, t.File, t.Offset})
		found.Parameters += elements(t.Shape)
		found.Bytes += t.Bytes
		found.DTypes[t.Raw]++
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		info, err := os.Stat(file)
		if err != nil {
			return nil, checkpoint.FileError(file, err)
		}
		found.Files = append(found.Files, fileSize{file, info.Size()})
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		found.beside(c, name)
	}
	return found, nil
}

// beside adds what a model folder says of itself. Whatever is wrong there is
// no obstacle to listing tensors.
func (i *inspection) beside(c *console, folder string) {
	config := filepath.Join(folder, "config.json")
	if modelType, err := readModelType(config); err != nil {
		c.log.Warn(checkpoint.FileError(config, err).Error())
	} else {
		i.ModelType = modelType
	}
	file := filepath.Join(folder, "tokenizer.json")
	if kind, err := readTokenizerKind(file); err != nil {
		c.log.Warn(checkpoint.FileError(file, err).Error())
	} else {
		i.Tokenizer = kind
	}
}

// print writes the inspection as text.
func (i *inspection) print(w io.Writer) {
	if i.ModelType != "" {
		fmt.Fprintf(w, "model      %s\n", i.ModelType)
	}
	if i.Tokenizer != nil {
		fmt.Fprintf(w, "tokenizer  %s\n", i.Tokenizer)
	}
	for n, f := range i.Files {
		label := "file"
		if n > 0 {
			label = ""
		}
		fmt.Fprintf(w, "%-10s %s  %s\n", label, f.File, model.Size(f.Bytes))
	}
	for n, key := range slices.Sorted(maps.Keys(i.Metadata)) {
		label := "metadata"
		if n > 0 {
			label = ""
		}
		fmt.Fprintf(w, "%-10s %s = %s\n", label, printable(key), printable(i.Metadata[key]))
	}
	fmt.Fprintln(w)
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "TENSOR\tDTYPE\tSHAPE\tSIZE")
	for _, t := range i.Tensors {
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\n", printable(t.Name), printable(t.DType), shape(t.Shape), model.Size(t.Bytes))
	}
	columns.Flush()
	count := grouped(int64(len(i.Tensors)))
	if len(i.Tensors) != i.Of {
		count += " of " + grouped(int64(i.Of))
	}
	var types []string
	for _, d := range slices.Sorted(maps.Keys(i.DTypes)) {
		types = append(types, fmt.Sprintf("%d %s", i.DTypes[d], printable(d)))
	}
	fmt.Fprintf(w, "\n%s tensors, %s parameters, %s", count, grouped(i.Parameters), model.Size(i.Bytes))
	if len(types) > 0 {
		fmt.Fprintf(w, " (%s)", strings.Join(types, ", "))
	}
	fmt.Fprintln(w)
}

// shape writes [2, 3], and [] for a scalar.
func shape(dims []int) string {
	var s []string
	for _, d := range dims {
		s = append(s, fmt.Sprint(d))
	}
	return "[" + strings.Join(s, ", ") + "]"
}

// elements counts the elements of a tensor.
func elements(dims []int) int64 {
	n := int64(1)
	for _, d := range dims {
		n *= int64(d)
	}
	return n
}

// printable writes text from a file so that it stays on its line and leaves
// the terminal alone.
func printable(s string) string {
	const longest = 200
	cut := ""
	if len(s) > longest {
		s, cut = strings.ToValidUTF8(s[:longest], ""), "..."
	}
	quoted := fmt.Sprintf("%q", s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`) + cut
}
