package torch

import (
	"errors"
	"fmt"
	"strings"

	"pipe.dev/executor/archive"
	"pipe.dev/executor/pickle"
)

// dtype is an element type: its name in safetensors, and its bytes.
type dtype struct {
	name  string
	width int
}

// dtypes are torch.NAME; storages the classes of typed storages.
var (
	dtypes = map[string]dtype{
		"float64": {"F64", 8}, "float32": {"F32", 4}, "float16": {"F16", 2}, "bfloat16": {"BF16", 2},
		"int64": {"I64", 8}, "int32": {"I32", 4}, "int16": {"I16", 2}, "int8": {"I8", 1},
		"uint64": {"U64", 8}, "uint32": {"U32", 4}, "uint16": {"U16", 2}, "uint8": {"U8", 1}, "bool": {"BOOL", 1},
		"float8_e4m3fn": {"F8_E4M3", 1}, "float8_e5m2": {"F8_E5M2", 1}, "float8_e8m0fnu": {"F8_E8M0", 1},
		"float8_e4m3fnuz": {"F8_E4M3FNUZ", 1}, "float8_e5m2fnuz": {"F8_E5M2FNUZ", 1},
		"complex64": {"C64", 8}, "complex128": {"C128", 16},
	}
	storages = map[string]dtype{
		"DoubleStorage": {"F64", 8}, "FloatStorage": {"F32", 4}, "HalfStorage": {"F16", 2}, "BFloat16Storage": {"BF16", 2},
		"LongStorage": {"I64", 8}, "IntStorage": {"I32", 4}, "ShortStorage": {"I16", 2}, "CharStorage": {"I8", 1},
		"ByteStorage": {"U8", 1}, "BoolStorage": {"BOOL", 1}, "ComplexFloatStorage": {"C64", 8}, "ComplexDoubleStorage": {"C128", 16},
		"UntypedStorage": {"", 1},
	}
)

// inert are values that mean nothing to tensors: they are called and set up
// without any effect.
var inert = []string{
	"torch.device", "torch.Size", "torch.serialization._get_layout", "collections.Counter", "collections.defaultdict", "builtins.complex",
	"builtins.list", "builtins.int", "builtins.dict", "builtins.slice", "argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath",
}

// host gives meaning to the globals and storages of one file.
type host struct {
	storages map[string]*Storage
	locate   func(*Storage) error // of an archive; nil for the older form
	script   bool
	refused  string
}

// Find implements pickle.Host.
func (h *host) Find(g pickle.Global) (any, error) {
	if g.Module == "__builtin__" { // as protocol 2 calls it
		g.Module = "builtins"
	}
	switch module, name := g.Module, g.Name; {
	case module == "torch" && storages[name].width > 0:
		return storageClass(storages[name]), nil
	case module == "torch.storage" && (name == "UntypedStorage" || name == "_UntypedStorage"):
		return storageClass(storages["UntypedStorage"]), nil
	case module == "torch" && dtypes[name].width > 0:
		return dtypes[name], nil
	case h.script && (module == "__torch__" || strings.HasPrefix(module, "__torch__.")):
		return pickle.Func(func(pickle.Tuple) (any, error) { return &object{}, nil }), nil
	}
	if f, ok := functions[g.String()]; ok {
		return f, nil
	}
	for _, name := range inert {
		if g.String() == name {
			return pickle.Func(func(pickle.Tuple) (any, error) { return &object{inert: true}, nil }), nil
		}
	}
	h.refused = g.String()
	return nil, fmt.Errorf("it imports %q, which is not among what weights are made of", archive.Short(g.String()))
}

// explain says in words what an import that was refused means.
func (h *host) explain(err error) error {
	switch {
	case h.refused == "":
		return err
	case strings.HasPrefix(h.refused, "torch._utils.") || strings.HasPrefix(h.refused, "torch._tensor."):
		return fmt.Errorf("holds a tensor of a kind that is not read (%s)", archive.Short(h.refused))
	}
	return fmt.Errorf("holds Python objects (%s), which are never executed: save the weights alone, as torch.save(model.state_dict(), FILE)", archive.Short(h.refused))
}

// object is an instance of a class: a module of torch.jit, or something inert.
type object struct {
	state any
	inert bool
}

// Build implements pickle.Builder.
func (o *object) Build(state any) error {
	o.state = state
	return nil
}

// Call lets inert values be called again, as classes in defaultdict are.
func (o *object) Call(pickle.Tuple) (any, error) { return &object{inert: o.inert}, nil }

type storageClass dtype

// functions are what builds tensors, and the collections of Python.
var functions = map[string]pickle.Func{
	"collections.OrderedDict":                        orderedDict,
	"builtins.set":                                   collection,
	"builtins.frozenset":                             collection,
	"_codecs.encode":                                 encode,
	"torch._utils._rebuild_tensor":                   rebuild,
	"torch._utils._rebuild_tensor_v2":                rebuild,
	"torch._utils._rebuild_tensor_v3":                rebuild,
	"torch._utils._rebuild_parameter":                parameter,
	"torch._utils._rebuild_parameter_with_state":     parameter,
	"torch.nn.parameter.Parameter":                   parameter,
	"torch.nn.parameter.Buffer":                      parameter,
	"torch._tensor._rebuild_from_type_v2":            fromType,
	"torch.jit._pickle.build_intlist":                first,
	"torch.jit._pickle.build_doublelist":             first,
	"torch.jit._pickle.build_boollist":               first,
	"torch.jit._pickle.build_tensorlist":             first,
	"torch.jit._pickle.restore_type_tag":             first,
	"torch._utils._rebuild_meta_tensor_no_storage":   noData,
	"torch._utils._rebuild_device_tensor_from_numpy": noData,
}

func orderedDict(args pickle.Tuple) (any, error) {
	d := &pickle.Dict{}
	if len(args) == 0 {
		return d, nil
	}
	list, ok := args[0].(*pickle.List)
	if !ok {
		return nil, fmt.Errorf("an OrderedDict is made of %s", pickle.Kind(args[0]))
	}
	for _, item := range list.Items {
		switch pair := item.(type) {
		case pickle.Tuple:
			if len(pair) == 2 {
				d.Set(pair[0], pair[1])
				continue
			}
		case *pickle.List:
			if len(pair.Items) == 2 {
				d.Set(pair.Items[0], pair.Items[1])
				continue
			}
		}
		return nil, errors.New("an OrderedDict is made of something other than pairs")
	}
	return d, nil
}

func collection(args pickle.Tuple) (any, error) {
	if len(args) == 0 {
		return &pickle.Set{}, nil
	}
	if list, ok := args[0].(*pickle.List); ok {
		return &pickle.Set{Items: list.Items}, nil
	}
	return nil, fmt.Errorf("a set is made of %s", pickle.Kind(args[0]))
}

// encode gives bytes, as protocol 2 writes them.
func encode(args pickle.Tuple) (any, error) {
	if len(args) > 0 {
		if s, ok := args[0].(string); ok {
			return []byte(s), nil
		}
	}
	return nil, errors.New("_codecs.encode is called without text")
}

func first(args pickle.Tuple) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("a list is built of nothing")
	}
	return args[0], nil
}

func noData(pickle.Tuple) (any, error) {
	return nil, errors.New("a tensor has no data that can be read (it was on the meta device or of a foreign kind)")
}

// parameter is the tensor that a Parameter holds.
func parameter(args pickle.Tuple) (any, error) {
	if len(args) > 0 {
		if t, ok := args[0].(*Tensor); ok {
			return t, nil
		}
	}
	return nil, errors.New("a Parameter holds no tensor")
}

// fromType is a tensor with attributes: function, class, arguments, state.
func fromType(args pickle.Tuple) (any, error) {
	if len(args) == 4 {
		f, ok := args[0].(pickle.Callable)
		inner, also := args[2].(pickle.Tuple)
		if ok && also {
			return f.Call(inner)
		}
	}
	return nil, errors.New("a tensor with attributes is not built as PyTorch does")
}
