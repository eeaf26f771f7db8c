package op

// The attribute structs of ops that more than one family uses.

// AxisAttr names one axis; negative counts from the end.
type AxisAttr struct {
	Axis int `cue:"axis: int | *-1" doc:"the axis; negative counts from the end"`
}

// ReduceAttr names the axes a reduction removes.
type ReduceAttr struct {
	Axes Ints `cue:"axes: [...int] | *[-1]" doc:"axes to reduce; an empty list means all"`
	Keep bool `cue:"keep: bool | *false" doc:"keep the reduced axes with size 1"`
}

// CastAttr names an element type.
type CastAttr struct {
	DType string `cue:"dtype!: \"f64\" | \"f32\" | \"bf16\" | \"f16\" | \"i64\" | \"i32\" | \"i8\" | \"u8\" | \"bool\"" doc:"element type of the result"`
}

// ConstantAttr is a tensor known to the compiler.
type ConstantAttr struct {
	DType string
	Shape Dims
	Data  string // little-endian bytes, C order
}

// FillAttr is a tensor of one value.
type FillAttr struct {
	DType string  `cue:"dtype: \"f32\" | \"i32\" | *\"f32\"" doc:"element type"`
	Shape Dims    `cue:"shape!: [...(int | string)]" doc:"sizes, numbers or names"`
	Value float64 `cue:"value: number | *0" doc:"the value of every element"`
}

// IotaAttr counts along one axis.
type IotaAttr struct {
	DType string `cue:"dtype: \"f32\" | \"i32\" | *\"i32\"" doc:"element type"`
	Shape Dims   `cue:"shape!: [...(int | string)]" doc:"sizes, numbers or names"`
	Axis  int    `cue:"axis: int | *-1" doc:"the axis along which the values are 0, 1, 2, ..."`
}

// MatMulAttr says which operands are transposed in their last two axes.
type MatMulAttr struct {
	TransA bool `cue:"trans_a: bool | *false" doc:"use a transposed in its last two axes"`
	TransB bool `cue:"trans_b: bool | *false" doc:"use b transposed in its last two axes"`
	Wide   bool // the result is f32, whatever the operands are; set by training
	TF32   bool // see AllowTF32
}

// LinearAttr describes y = act(x Wᵀ + b).
type LinearAttr struct {
	OutFeatures int    `cue:"out_features!: int & >0" doc:"size of the last axis of the result"`
	Bias        bool   `cue:"bias: bool | *false" doc:"add a bias"`
	Transpose   bool   `cue:"transpose: bool | *false" doc:"the checkpoint stores the weight as [in, out]"`
	Act         string // activation applied to the result, set by fusion; "" is none
	TF32        bool   // see AllowTF32
}

// GatedLinearAttr describes y = act(x Gᵀ) * (x Uᵀ), made by fusion.
type GatedLinearAttr struct {
	OutFeatures int
	Act         string
	TF32        bool // see AllowTF32
}

// EmbeddingAttr describes a table of vectors.
type EmbeddingAttr struct {
	Vocab int `cue:"vocab!: int & >0" doc:"number of rows of the table"`
	Dim   int `cue:"dim!: int & >0" doc:"size of one row"`
}

// TransposeAttr is a permutation of axes.
type TransposeAttr struct {
	Perm Ints `cue:"perm!: [int, ...int]" doc:"axis i of the result is axis perm[i] of x"`
}

// ReshapeAttr is a new shape of the same elements.
type ReshapeAttr struct {
	Shape Dims `cue:"shape!: [...(int | string)]" doc:"new sizes; one may be -1"`
}

// BroadcastAttr is the shape to repeat to.
type BroadcastAttr struct {
	Shape Dims `cue:"shape!: [...(int | string)]" doc:"sizes to repeat to, by the rules of NumPy"`
}

// SliceAttr is a range of one axis.
type SliceAttr struct {
	Axis  int `cue:"axis: int | *-1" doc:"the axis; negative counts from the end"`
	Start int `cue:"start: int & >=0 | *0" doc:"first index"`
	Stop  int `cue:"stop!: int & >=0" doc:"index after the last"`
	Step  int `cue:"step: int & >=1 | *1" doc:"distance between indices"`
}

// SplitAttr cuts one axis into parts.
type SplitAttr struct {
	Axis  int  `cue:"axis: int | *-1" doc:"the axis; negative counts from the end"`
	Sizes Ints `cue:"sizes!: [int & >0, ...int & >0]" doc:"sizes of the parts"`
}

// PadAttr adds elements around.
type PadAttr struct {
	Before Ints    `cue:"before!: [...int & >=0]" doc:"elements added before, for each axis"`
	After  Ints    `cue:"after!: [...int & >=0]" doc:"elements added after, for each axis"`
	Value  float64 `cue:"value: number | *0" doc:"value of the added elements"`
}

// OneHotAttr is the number of classes.
type OneHotAttr struct {
	Classes int `cue:"classes!: int & >0" doc:"size of the new last axis"`
}

// ScatterAttr is the size of the axis that is scattered to.
type ScatterAttr struct {
	Axis int
	Size int
}

// TopKAttr is how many of the largest to keep along the last axis.
type TopKAttr struct {
	K int `cue:"k!: int & >0" doc:"how many, from the largest down"`
}

// SortAttr is the order along the last axis.
type SortAttr struct {
	Descending bool `cue:"descending: bool | *false" doc:"largest first"`
}

// ActAttr names an activation function.
type ActAttr struct {
	Fn    string  `cue:"fn!: \"silu\" | \"gelu\" | \"gelu_tanh\" | \"quick_gelu\" | \"relu\" | \"leaky_relu\" | \"sigmoid\" | \"tanh\" | \"softplus\" | \"mish\" | \"elu\" | \"relu2\"" doc:"the function"`
	Slope float64 `cue:"slope: number | *0.01" doc:"slope below zero, of leaky_relu"`
	Alpha float64 `cue:"alpha: number | *1" doc:"scale below zero, of elu"`
}

// ElementwiseAttr is a chain of elementwise ops in reverse Polish notation
// over the inputs x0, x1, ...: "x0 sigmoid x0 mul x1 mul". All is computed in
// f32; the words bf16 and f16 round a value to such a type. "=t0" takes the last
// value away and calls it t0, which later words read; several results are called
// y0, y1, ... in this way: "x0 x1 mul =y0 y0 x2 add =y1". Made by fusion.
type ElementwiseAttr struct {
	Expr  string
	DType string // element type of the result; "" is that of x0
}

// RMSNormAttr describes y = x / sqrt(mean(x²) + eps) * w.
type RMSNormAttr struct {
	Eps     float64 `cue:"eps: number & >=0 | *1e-6" doc:"added to the mean square"`
	PlusOne bool    `cue:"plus_one: bool | *false" doc:"multiply by 1 + w"`
}

// LayerNormAttr describes y = (x - mean) / sqrt(var + eps) * w + b.
type LayerNormAttr struct {
	Eps    float64 `cue:"eps: number & >=0 | *1e-5" doc:"added to the variance"`
	Affine bool    `cue:"affine: bool | *true" doc:"multiply by a weight and add a bias"`
}

// HeadsAttr splits the last axis into heads.
type HeadsAttr struct {
	N int `cue:"n!: int & >0" doc:"number of heads"`
}

// RopeAttr describes rotary positions and how they are scaled beyond the
// length a model was trained on.
type RopeAttr struct {
	Dim         int     `cue:"dim!: int & >0" doc:"how many of the elements of a head are turned, from the first"`
	Theta       float64 `cue:"theta: number & >0 | *10000" doc:"base of the frequencies"`
	Interleaved bool    `cue:"interleaved: bool | *false" doc:"pairs are neighbours instead of halves"`

	Scaling         string  `cue:"scaling: \"default\" | \"linear\" | \"dynamic\" | \"llama3\" | \"yarn\" | \"longrope\" | *\"default\"" doc:"how frequencies are scaled; dynamic and longrope go by how long sequences may get: the context of a run token by token, else the length of the input"`
	Factor          float64 `cue:"factor: number & >=1 | *1" doc:"how many times the trained length"`
	LowFreqFactor   float64 `cue:"low_freq_factor: number & >0 | *1" doc:"llama3: below this many turns in the trained length a frequency is divided by factor"`
	HighFreqFactor  float64 `cue:"high_freq_factor: number & >0 | *4" doc:"llama3: above this many turns it is kept"`
	TrainedLength   int     `cue:"trained_length: int & >0 | *2048" doc:"all but linear: positions the model was trained on"`
	BetaFast        float64 `cue:"beta_fast: number & >0 | *32" doc:"yarn: above this many turns a frequency is kept"`
	BetaSlow        float64 `cue:"beta_slow: number & >0 | *1" doc:"yarn: below this many turns it is divided by factor"`
	NoTruncate      bool    `cue:"no_truncate: bool | *false" doc:"yarn: do not round the pairs where blending starts and ends"`
	AttentionFactor float64 `cue:"attention_factor: number & >=0 | *0" doc:"yarn, longrope: scale of cosine and sine; 0 means 0.1 ln(factor) + 1, or sqrt(1 + ln(factor) / ln(trained_length))"`
	ShortFactors    Floats  `cue:"short_factors: [...number & >0] | *[]" doc:"longrope: what divides the frequency of each pair within the trained length"`
	LongFactors     Floats  `cue:"long_factors: [...number & >0] | *[]" doc:"longrope: what divides it where sequences may get longer"`
	Length          Dims    // how long sequences may get; set where scaling goes by it
	Apart           bool    // see RotateAttr
}

// RotateAttr says how elements pair up.
type RotateAttr struct {
	Dim         int // how many elements of a head are turned, from the first
	Interleaved bool
	Apart       bool // pairs that are neighbours in x are halves in y
}

// AttentionAttr describes softmax(scale q kᵀ + mask) v for grouped heads.
type AttentionAttr struct {
	Causal  bool    `cue:"causal: bool | *false" doc:"a query sees no later key"`
	Window  int     `cue:"window: int & >=0 | *0" doc:"a query sees only this many last keys, itself included; 0 means all"`
	Scale   float64 `cue:"scale: number & >=0 | *0" doc:"factor of the scores; 0 means 1/sqrt(head size)"`
	Softcap float64 `cue:"softcap: number & >=0 | *0" doc:"scores become softcap*tanh(score/softcap); 0 means off"`
	ALiBi   float64 `cue:"alibi: number & >=0 | *0" doc:"scores become less by slope*|row - key|, with a slope for each head: 2^(-alibi/heads), 2^(-2 alibi/heads) ...; usual is 8; 0 means off"`
	// Distances makes mask a table by distance.
	Distances int  `cue:"distances: int & >=0 | *0" doc:"mask holds 2*distances+1 numbers in place of [seq, t], by how far a key is from a row: from distances before it to distances after it; what is farther takes the outermost; 0 means off"`
	Cache     bool `cue:"cache: bool | *false" doc:"keep keys and values between calls, in a run that goes token by token"`
	Stats     bool // a second result, f32 [batch, seq, heads]: ln of the sum of exponentials of each row, which the gradient reads
}

// CrossEntropyAttr describes the negative log-probability of classes, of
// logits or of their product with a weight.
type CrossEntropyAttr struct {
	IgnoreIndex int     // targets of this value count nothing
	Smoothing   float64 // share of the target that is spread over all classes
	ZLoss       float64 // factor of ln(sum(exp(logits)))²
	Transpose   bool    // the weight is [dim, classes]
	Frozen      bool    // of a gradient: that of the weight is not computed
	TF32        bool    // of products, see AllowTF32
}
