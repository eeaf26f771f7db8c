package asm

// Storage is how the elements of a weight, a key or a value are stored.
type Storage int

// The storages that the kernels can read.
const (
	F32 Storage = iota
	BF16
	F16
)

// Panel is the number of output columns that are stored together: a panel
// holds, for every k, the Panel weights of its columns.
const Panel = 32

// Strided is a tile of rows times a panel, for a fixed number of rows m, of
// matrices that lie as they are: row l of b begins at element l*ldb, and
// element (i, l) of a lies at i*lda+l (by row) or at i+l*lda (by column):
//
//	for i < m, j < Panel:
//		acc := load != 0 ? c[i*ldc+j] : 0
//		for l < k: acc = fma(a(i, l), b[l*ldb+j], acc)
//		c[i*ldc+j] = bias != nil ? acc + bias[j] : acc
//
// So every element is one chain over k, whatever the tile, and a chain may be
// continued by another call with load set.
type Strided func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc int, bias *float32, load int)

// Scores is a tile of rows by row, for a fixed number of rows, times panels that
// lie apart floats from one to the next, of k rows of Panel columns each. The chains are those of
// Strided, from zero; column j of panel i is element 32 i + j of a row of c.
type Scores func(k int, a *float32, lda int, b *float32, apart, panels int, c *float32, ldc int)

// Values is a tile of rows by row, for a fixed number of rows, times the first width of the
// columns of panels that lie as those of Scores. The chains are those of Strided, from shrink[i] c[i*ldc+j]
// on. width > 0; of the last panel a half or all is computed and written.
type Values func(k int, a *float32, lda int, b *float32, apart, width int, c *float32, ldc int, shrink *float32)

// Gemv is one row times several neighbouring panels, which lie stride bytes
// apart. y has Panel elements for each; so has bias, which may be nil. Its
// chains are those of Strided.
type Gemv func(k int, x *float32, b *byte, stride int, y *float32, bias *float32)

// Mix is acc[l] = fma(p[j], value j[l], acc[l]) for j = 0 ... n-1, n > 0, in
// this order, and l < d. Values lie stride bytes apart.
type Mix func(n, d int, p *float32, values *byte, stride int, acc *float32)

// Dots is, for rows i < m and keys j < n, the chain
//
//	for l < k: p[i*ldp+j] = fma(q[i*ldq+l], key j[l], p[i*ldp+j])
//
// Keys lie stride bytes apart; k and n are multiples of 16, at least 16, and
// m > 0.
type Dots func(m, n, k int, q *float32, ldq int, keys *byte, stride int, p *float32, ldp int)

// Interleave is dst[l*m+i] = row i[l] for i < m, l < k: rows to columns. Rows
// lie stride bytes apart; m > 0, and k is a multiple of 16, at least 16. What
// dst has beyond m*k, up to 15 floats, may be overwritten.
type Interleave func(m, k int, x *byte, stride int, dst *float32)

// Kernels holds what one instruction set offers, by Storage.
type Kernels struct {
	Rows       int          // largest height of a Strided
	Panels     int          // panels that a Gemv takes
	ByRow      [3][]Strided // by height, from 1 to Rows
	ByCol      []Strided    // of F32 alone
	Scores     []Scores     // by height, as are
	Values     []Values
	Gemv       [3]Gemv
	Mix        [3]Mix
	Dots       [3]Dots
	Interleave [3]Interleave
	BF16       Pairs // of bf16 with bf16
	Tiled
	Blocked
	Vector
	Windows
}

// Blocked is what concerns quantised weights. What multiplies one row is nil where nothing is quicker than
// unpacking and tiles together.
type Blocked struct {
	Quantise  [Kinds]Quantise
	Blocks    [Kinds][]Blocks // by height, from 1
	UnpackNF4 UnpackNF4
	Prefetch  func(p *byte, lines int) // brings lines of 64 bytes, at least one, near the processor; p may be any address

	// Of the codings in panels.
	Unpack [Codings]Unpack
	Row    [Codings]Row

	// Of those in rows.
	UnpackRows   [Codings]UnpackRows
	RowTimesRows [Codings]RowTimesRows
	RowsApart    bool // whether RowTimesRows is quicker for long rows that lie far apart
}

// Tiled is what multiplies quantised weights by an instruction set that has tiles: it is empty elsewhere, and for
// kinds that are quicker without.
type Tiled struct {
	Tiles      [Kinds][]Tiles    // by height, from LeastTiles
	MakeSigned [Kinds]MakeSigned // nil for kinds with a value of their own for code 0
}
