package mp3

import (
	"math/rand/v2"
	"testing"
)

// TestCodes: every tree is complete, has each of its pairs of values once, and the table
// that is made of it finds each by its code, whatever follows.
func TestCodes(t *testing.T) {
	side := [32]int{1: 2, 2: 3, 3: 3, 5: 4, 6: 4, 7: 6, 8: 6, 9: 6, 10: 8, 11: 8, 12: 8, 13: 16, 15: 16, 16: 16, 24: 16}
	rng := rand.New(rand.NewPCG(1, 2))
	for n, tree := range append(pairCodes[:], quadCodes) {
		most, all := 0, 16 // of four values
		if n < len(side) {
			if most, all = side[n], side[n]*side[n]; (tree == "") != (all == 0) {
				t.Fatalf("table %d has the tree %q", n, tree)
			}
			if tree == "" {
				continue
			}
		}
		table, err := newCodeTable(tree)
		if err != nil {
			t.Fatalf("table %d: %v", n, err)
		}
		codes, _, err := readTree(tree, nil, 0, 0)
		if err != nil || len(codes) != all {
			t.Fatalf("table %d has %d codes: %v", n, len(codes), err)
		}
		seen, share := map[byte]bool{}, 0
		for _, c := range codes {
			if share += 1 << (20 - c.length); seen[c.values] || most > 0 && (int(c.values>>4) >= most || int(c.values&15) >= most) {
				t.Errorf("table %d has %02x", n, c.values)
			}
			seen[c.values] = true
			cache := uint64(c.bits)<<(64-c.length) | rng.Uint64()>>c.length
			got, length := table[cache>>(64-rootBits)], 0
			if got&further != 0 {
				length = rootBits
				got = table[uint64(got&^further)>>8+cache<<rootBits>>(64-got&63)]
			}
			if byte(got) != c.values || int(got>>16)+length != c.length {
				t.Errorf("table %d reads %x for %+v", n, got, c)
			}
		}
		if share != 1<<20 {
			t.Errorf("table %d: codes fill %d of %d", n, share, 1<<20)
		}
	}
	for _, tree := range []string{"", ".", "..0001", ".00zz", ".000102"} {
		if _, err := newCodeTable(tree); err == nil {
			t.Errorf("%q is a tree", tree)
		}
	}
}

// TestBands: those of every rate fill 576 lines.
func TestBands(t *testing.T) {
	for i, kinds := range divisions() {
		for k, d := range kinds {
			for b, e := range d.edges[1:] {
				if e <= d.edges[b] {
					t.Errorf("rate %d, kind %d: band %d ends at %d", i, k, b, e)
				}
			}
			if e := d.edges[len(d.edges)-1]; e != 576 || d.short() != (k > 0) {
				t.Errorf("rate %d, kind %d: %v", i, k, d)
			}
		}
	}
}
