package mp3

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
)

// rootBits are how many bits the first lookup of a code takes.
const rootBits = 9

// code is what some bits stand for. A leaf has the two values at bits 0 and 4, how many of
// them are not 0, and so have signs, at 8 and 9, and the length of the code at 16. A link has
// further set, where the codes behind it begin at bit 8, and how many bits they take at 0.
type code uint32

const further code = 1 << 31

// codeTable finds codes by the bits that come: those of the root first, then those that
// links lead to.
type codeTable []code

// leaf is a code that was read.
func leaf(values byte, length int) code {
	c := code(values) | code(length)<<16
	if values&15 != 0 {
		c |= 1 << 8
	}
	if values>>4 != 0 {
		c |= 1 << 9
	}
	return c
}

// newCodeTable makes a table of a tree, as pairCodes has them.
func newCodeTable(tree string) (codeTable, error) {
	t := make(codeTable, 1<<rootBits)
	codes, rest, err := readTree(tree, nil, 0, 0)
	if err != nil {
		return nil, err
	}
	if rest != "" {
		return nil, fmt.Errorf("the tree has %q behind it", rest)
	}
	depth := map[uint32]int{} // of codes that begin with some bits of the root, behind these
	for _, c := range codes {
		if c.length > rootBits {
			under := c.bits >> (c.length - rootBits)
			depth[under] = max(depth[under], c.length-rootBits)
		}
	}
	for _, c := range codes { // in order
		at, width := uint32(0), rootBits
		if c.length > rootBits {
			under := c.bits >> (c.length - rootBits)
			if width = depth[under]; t[under] == 0 {
				t[under] = further | code(len(t))<<8 | code(width)
				t = append(t, make(codeTable, 1<<width)...)
			}
			at = uint32(t[under]&^further) >> 8
			c.length -= rootBits
			c.bits &= 1<<c.length - 1
		}
		for i := range uint32(1) << (width - c.length) {
			t[at+c.bits<<(width-c.length)+i] = leaf(c.values, c.length)
		}
	}
	return t, nil
}

// treeCode is a code of a tree.
type treeCode struct {
	bits   uint32
	length int
	values byte
}

// readTree appends the codes of a tree, whose root is at some bits, and returns what of the
// text is left.
func readTree(tree string, codes []treeCode, bits uint32, length int) ([]treeCode, string, error) {
	if tree == "" || length > 20 {
		return nil, "", errors.New("the tree is not complete")
	}
	if tree[0] == '.' {
		codes, rest, err := readTree(tree[1:], codes, bits<<1, length+1)
		if err != nil {
			return nil, "", err
		}
		return readTree(rest, codes, bits<<1|1, length+1)
	}
	values, err := strconv.ParseUint(tree[:min(2, len(tree))], 16, 8)
	if err != nil || len(tree) < 2 {
		return nil, "", fmt.Errorf("the tree has %q for two values", tree[:min(2, len(tree))])
	}
	return append(codes, treeCode{bits, length, byte(values)}), tree[2:], nil
}

// codeTables are the tables, made once.
var codeTables = sync.OnceValue(func() *struct {
	pairs [32]codeTable
	quads [2][1 << quadBits]quad
} {
	var all struct {
		pairs [32]codeTable
		quads [2][1 << quadBits]quad
	}
	made := func(tree string) codeTable {
		t, err := newCodeTable(tree)
		if err != nil {
			panic(err) // the trees are constants, and tested
		}
		return t
	}
	for i := range all.pairs {
		if extraBits[i] == 0 && pairCodes[i] != "" {
			all.pairs[i] = made(pairCodes[i])
		}
	}
	for i := 16; i < 32; i++ {
		all.pairs[i] = made(pairCodes[16+i/24*8])
	}
	few, _, err := readTree(quadCodes, nil, 0, 0)
	if err != nil {
		panic(err)
	}
	for _, c := range few {
		c.fill(&all.quads[0])
		treeCode{uint32(^c.values & 15), 4, c.values}.fill(&all.quads[1])
	}
	return &all
})

// quadBits are how many bits four values take at most, with their signs.
const quadBits = 10

// quad is four values that some bits stand for.
type quad struct {
	values [4]float32
	length int32 // bits
}

// fill enters a code of four values with all the signs that may follow it.
func (c treeCode) fill(t *[1 << quadBits]quad) {
	rest := quadBits - c.length
	for i := range 1 << rest {
		q, signs := quad{length: int32(c.length)}, uint64(i)<<(64-rest)
		for j := range q.values {
			if c.values>>(3-j)&1 != 0 {
				q.values[j] = signed(1, signs)
				signs <<= 1
				q.length++
			}
		}
		t[int(c.bits)<<rest+i] = q
	}
}

// values are x^(4/3), for all whole numbers that can be coded.
var values = sync.OnceValue(func() *[15 + 1<<13]float32 {
	var v [15 + 1<<13]float32
	for x := range v {
		v[x] = float32(math.Pow(float64(x), 4.0/3))
	}
	return &v
})

// readPairs reads the lines from one to another, two at a time.
func readPairs(b *bits, x *[576]float32, from, to, table, end int) error {
	t, extra, value := codeTables().pairs[table], extraBits[table], values()
	switch {
	case table == 0 || from >= to:
		return nil
	case t == nil:
		return fmt.Errorf("says table %d of Huffman codes, which there is not", table)
	}
	root := (*[1 << rootBits]code)(t)
	for lines := x[from:to]; len(lines) >= 2; lines = lines[2:] {
		pair := (*[2]float32)(lines)
		if b.fill(); b.at() > end {
			return errEnd
		}
		c := root[b.cache>>(64-rootBits)]
		if c&further != 0 {
			b.skip(rootBits)
			c = t[uint64(c&^further)>>8+b.cache>>(64-c&63)]
		}
		b.skip(int(c >> 16))
		p, q := int(c>>4&15), int(c&15)
		if p == 15 {
			p += b.get(extra)
		}
		pair[0] = signed(value[p], b.cache)
		b.skip(int(c >> 9 & 1))
		if q == 15 {
			q += b.get(extra)
		}
		pair[1] = signed(value[q], b.cache)
		b.skip(int(c >> 8 & 1))
	}
	return nil
}

// signed is -v if the first bit is set.
func signed(v float32, bits uint64) float32 {
	return math.Float32frombits(math.Float32bits(v) | uint32(bits>>63)<<31)
}

var errEnd = errors.New("its Huffman codes run over its end")

// readQuads reads lines from one on, four at a time, each -1, 0 or 1, up to a bit of the
// data. It returns where they end. Four that run over the bit are none.
func readQuads(b *bits, x *[576]float32, from, table, end int) (top int) {
	root := &codeTables().quads[table]
	for b.at() < end && from < 576 {
		if b.have < quadBits {
			b.fill()
		}
		q := &root[b.cache>>(64-quadBits)]
		if b.skip(int(q.length)); b.at() > end {
			break
		}
		if from+4 > 576 {
			return from + copy(x[from:], q.values[:])
		}
		*(*[4]float32)(x[from:]) = q.values
		from += 4
	}
	return from
}
