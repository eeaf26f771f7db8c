package cuda

import (
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// form is one of the kernels of a product on tensor cores, source/product.h and
// product_few.h. All give the same bits.
type form struct {
	name          string
	columns, rows int // of the result, that a block has; a gate has half of the columns
	threads       int
	tiles         bool // by tiles, and not by pieces of the sums
}

var forms = struct{ few, fewLong, some, tile, largeTile form }{
	few:       form{"few", 16, 8, 256, false},
	fewLong:   form{"few_long", 32, 8, 128, false},
	some:      form{"some", 32, 32, 128, false},
	tile:      form{"64", 64, 64, 128, true},
	largeTile: form{"128", 128, 128, 256, true},
}

// manyColumns is from where on blocks of 32 columns are enough to keep the memory
// busy: they read a half as often.
const manyColumns = 8192

// formOf chooses by the sizes.
func formOf(p *matmulParams) form {
	depth := min(int(p.batch.n), 65535)
	switch {
	case p.m <= 8 && p.up == 0 && p.n < manyColumns:
		return forms.few
	case p.m <= 8:
		return forms.fewLong
	case p.m <= 32:
		return forms.some
	case p.fills(depth):
		return forms.largeTile
	}
	return forms.tile
}

// family names the kernels of element types: "" where there are none. Which it is
// does not depend on the number of rows, since the bits do on it. Products of f32 with
// f32 have one where they may be rounded to tf32.
func (p *matmulParams) family(x, w ir.DType, tf32 bool) string {
	along := p.bRow == 1
	switch {
	case p.up != 0 && !along:
		return ""
	case x == w && (x == ir.BF16 || x == ir.F16):
		return x.String()
	case x == ir.F32 && (w == ir.BF16 || w == ir.F16) && p.aColumn == 1:
		return "wide_" + w.String()
	case x == ir.F32 && w == ir.F32 && tf32:
		return "tf32"
	}
	return ""
}

// onTensorCores returns the step of a product by a form of a family.
func (b *Backend) onTensorCores(p *matmulParams, family string, f form) (kernels.Step, error) {
	name := "product_" + family + "_"
	if f.tiles {
		name += map[bool]string{true: "k", false: "m"}[p.aColumn == 1]
	}
	name += map[bool]string{true: "k", false: "n"}[p.bRow == 1] + "_" + f.name
	columns := f.columns
	if p.up != 0 {
		columns /= 2
	}
	blocks := driver.Dim{X: parts(int(p.n), columns), Y: 1, Z: min(int(p.batch.n), 65535)}
	if f.tiles {
		blocks.X *= parts(int(p.m), f.rows)
	}
	return launchRoom(b, "product_"+family, name, grid{blocks, f.threads}, f.room(family), p)
}

// room is the shared memory of a block, in bytes, as the kernels lay it out.
func (f form) room(family string) int {
	if f.tiles {
		const deep = 32
		stages, bytes := 4, 2*f.columns+2*f.rows
		switch {
		case family == "tf32":
			stages, bytes = 3, 4*f.columns+4*f.rows
		case strings.HasPrefix(family, "wide"):
			bytes += 2 * f.rows
		}
		return max(stages*deep*bytes, 4*f.rows*(f.columns+4))
	}
	const stages, deep = 3, 64
	return f.threads / 32 * (stages*deep*2*f.columns + 4*f.rows*(f.columns+4))
}

// few returns the step of a product of up to 8 rows in f32, source/matmul_few.cu:
// with the bits of tiles.
func (b *Backend) few(p *matmulParams) (kernels.Step, error) {
	const columns, deep, stages = 16, 128, 4
	name, wide := "matmul_few_k", columns
	if p.bRow != 1 {
		name = "matmul_few_n"
	}
	if p.up != 0 {
		wide /= 2
	}
	g := grid{driver.Dim{X: parts(int(p.n), wide), Y: 1, Z: min(int(p.batch.n), 65535)}, 128}
	return launchRoom(b, "matmul_few", name, g, 4*stages*columns*(deep+4), p)
}
