//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
)

// ptxKernel is a kernel whose threads begin with the pointer of its parameter in %p, their number of all in
// %n and of the block in %t, and four times these in %n4 and %t4; s is shared memory for 128 words.
const ptxKernel = `.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .align 8 .b8 k_param_0[8])%s
{
	.reg .pred %%q<4>;
	.reg .b32 %%r<16>;
	.reg .b64 %%d<8>;
	.reg .b32 %%t, %%n, %%t4, %%n4, %%own;
	.reg .b64 %%p, %%at;
	.shared .align 16 .b8 s[512];
	.local .align 8 .b8 mine[16];
	ld.param.u64 %%p, [k_param_0];
	mov.u32 %%t, %%tid.x;
	mov.u32 %%r0, %%ntid.x;
	mov.u32 %%r1, %%ctaid.x;
	mad.lo.u32 %%n, %%r0, %%r1, %%t;
	shl.b32 %%t4, %%t, 2;
	shl.b32 %%n4, %%n, 2;
	cvt.u64.u32 %%at, %%n4;
	add.s64 %%at, %%p, %%at;
	mov.u32 %%own, s;
	add.s32 %%own, %%own, %%t4;
%s
	ret;
}
`

// runPTX runs such a kernel with two blocks, and gives what it left of a word for each thread.
func runPTX(t *testing.T, b *Backend, head, body string, threads int) ([]uint32, error) {
	t.Helper()
	m, err := b.device.Load(fmt.Sprintf(ptxKernel, head, strings.ReplaceAll("\t"+body, "; ", ";\n\t")))
	if err != nil {
		return nil, err
	}
	defer m.Close()
	f, err := m.Function("k")
	if err != nil {
		return nil, err
	}
	n := 2 * threads
	zeros := make([]byte, 4*n)
	y := put(t, b, ir.I32, "", zeros, n)
	at, err := b.pointers(y)
	if err != nil {
		t.Fatal(err)
	}
	l, err := driver.NewLaunch(f, driver.Dim{X: 2, Y: 1, Z: 1}, driver.Dim{X: threads, Y: 1, Z: 1}, 0, b.stream, &struct{ p driver.Pointer }{at[0]})
	if err == nil {
		err = b.alone(l.Run)
	}
	raw, out := make([]byte, 4*n), make([]uint32, n)
	if err == nil {
		err = y.Buffer.Read(0, raw)
	}
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return out, err
}

const (
	writeOwn   = "st.shared.u32 [%own], %n; "
	readOther  = "xor.b32 %r2, %t4, 4; mov.u32 %r3, s; add.s32 %r2, %r2, %r3; ld.shared.u32 %r4, [%r2]; st.global.u32 [%at], %r4;"
	readOwn    = "ld.shared.u32 %r4, [%own]; st.global.u32 [%at], %r4;"
	copyOwn    = "cp.async.ca.shared.global [%own], [%at], 4, 4; cp.async.commit_group; "
	readAcross = "xor.b32 %r2, %t4, 128; mov.u32 %r3, s; add.s32 %r2, %r2, %r3; ld.shared.u32 %r4, [%r2]; st.global.u32 [%at], %r4;"
)

// Text runs as it says: threads that part and meet, loops of different lengths, what they show each other.
func TestPTXRuns(t *testing.T) {
	if *device {
		t.Skip("of the emulator")
	}
	b := open(t)
	for name, c := range map[string]struct {
		body string
		want func(n uint32) uint32
	}{
		"loops":      {"mov.u32 %r5, 0; mov.u32 %r6, 0; $next: setp.ge.u32 %q0, %r6, %t; @%q0 bra $end; add.u32 %r5, %r5, %r6; add.u32 %r6, %r6, 1; bra $next; $end: st.global.u32 [%at], %r5;", func(n uint32) uint32 { i := n % 64; return i * (i - 1) / 2 }},
		"parts":      {"and.b32 %r5, %t, 3; setp.eq.u32 %q0, %r5, 0; @%q0 bra $a; setp.eq.u32 %q1, %r5, 1; @!%q1 bra $b; mov.u32 %r6, 10; bra $c; $a: mov.u32 %r6, 20; bra $c; $b: mov.u32 %r6, 30; $c: shfl.sync.bfly.b32 %r7, %r6, 1, 31, -1; st.global.u32 [%at], %r7;", func(n uint32) uint32 { return []uint32{10, 20, 30, 30}[n%4] }},
		"block":      {writeOwn + "bar.sync 0; " + readAcross, func(n uint32) uint32 { return n ^ 32 }},
		"warp":       {writeOwn + "bar.warp.sync 0xffffffff; " + readOther, func(n uint32) uint32 { return n ^ 1 }},
		"copies":     {"st.global.u32 [%at], %n; " + copyOwn + "cp.async.wait_group 0; bar.sync 0; " + strings.Replace(readAcross, "[%at], %r4", "[%at], %r4", 1), func(n uint32) uint32 { return n ^ 32 }},
		"own memory": {"mov.u64 %d0, mine; cvta.local.u64 %d1, %d0; st.u32 [%d1+4], %n; ld.local.u32 %r5, [%d0+4]; st.global.u32 [%at], %r5;", func(n uint32) uint32 { return n }},
		"fields":     {"bfe.u32 %r5, %n, 1, 3; bfe.s32 %r6, %n, 0, 1; shl.b32 %r7, %r5, 4; and.b32 %r6, %r6, 15; or.b32 %r5, %r6, %r7; st.global.u32 [%at], %r5;", func(n uint32) uint32 { return n>>1&7<<4 | 15*(n&1) }},
	} {
		got, err := runPTX(t, b, "", c.body, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, v := range got {
			if v != c.want(uint32(i)) {
				t.Fatalf("%s: thread %d has %d, want %d", name, i, v, c.want(uint32(i)))
			}
		}
	}
}

// What a kernel may not do is found, and it is said why.
func TestPTXRefuses(t *testing.T) {
	if *device {
		t.Skip("a device does as it likes")
	}
	path := emulator.Own(t, ".", "")
	b, err := New(Options{Library: path})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range []struct{ why, body string }{
		{"a race in shared memory", writeOwn + readAcross},
		{"a race in shared memory", writeOwn + readOther},
		{"a race in shared memory", writeOwn + "bar.warp.sync 0xffffffff; " + readAcross},
		{"a race in shared memory", readAcross + " " + writeOwn},
		{"a race in shared memory", "st.shared.u32 [s], %t;"},
		{"a race in shared memory", copyOwn + readOwn},
		{"a race in shared memory", copyOwn + "bar.sync 0; " + readOwn},
		{"a race in shared memory", copyOwn + "cp.async.wait_group 0; " + readAcross},
		{"a race of blocks", "st.global.u32 [%p], %n;"},
		{"a race of blocks", "st.global.u32 [%at], %n; ld.global.u32 %r5, [%p];"},
		{"an address that is not allocated", "st.global.u32 [%at+4096], %n;"},
		{"an address that is no multiple of what is accessed", "ld.global.u32 %r5, [%p+2];"},
		{"an address that is no multiple of what is accessed", "ld.global.v2.u32 {%r5, %r6}, [%p+4];"},
		{"an address beyond the shared memory of a block", "ld.shared.u32 %r5, [%own+512];"},
		{"an address beyond the memory of a thread", "mov.u64 %d0, mine; ld.local.u32 %r5, [%d0+16];"},
		{"an address beyond the parameter of a kernel", "ld.param.u32 %r5, [k_param_0+8];"},
		{"threads of a block wait for ever", "setp.lt.u32 %q0, %t, 32; @%q0 bra $out; bar.sync 0; $out:"},
		{"not all threads of a warp are at the same mma or ldmatrix", "setp.lt.u32 %q0, %t, 5; @%q0 bra $out; shfl.sync.bfly.b32 %r7, %t, 1, 31, -1; $out:"},
	} {
		_, err := runPTX(t, b, "", c.body, 64)
		n, failed := emulator.Count(path, c.why)
		if err == nil || failed != nil || n == 0 {
			t.Errorf("%s: %v, and %d times %q (%v)", c.body, err, n, c.why, failed)
		}
		if err := emulator.Set(path, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ head, body, why string }{
		{"", "mul.f32 %r5, %r6, %r7;", "not known: mul.f32 %r5, %r6, %r7"},
		{"", "frob.u32 %r5, %r6;", "not known: frob.u32 %r5, %r6"},
		{"", "mov.u32 %r5, %nobody;", "not known: %nobody"},
		{".maxntid 32, 1, 1", "", "cuLaunchKernel"},
	} {
		if _, err := runPTX(t, b, c.head, c.body, 64); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.body, err, c.why)
		}
	}
}

// A wait that does not count is noticed, and the device goes on after what is only reported.
func TestPTXDrops(t *testing.T) {
	if *device {
		t.Skip("of the emulator")
	}
	for drop, want := range []bool{true, false, false, true} { // of the two waits the first and the second, and a third that is not there
		path := emulator.Own(t, ".", fmt.Sprintf("drop=%d", drop))
		b, err := New(Options{Library: path})
		if err != nil {
			t.Fatal(err)
		}
		// Two bodies of their own for each setting, since a text is read once.
		body := fmt.Sprintf("mov.u32 %%r9, %d; ", drop) + writeOwn + "bar.sync 0; " + readAcross + " bar.sync 0; st.shared.u32 [%own], 7;"
		if _, err := runPTX(t, b, "", body, 64); (err == nil) != want {
			t.Errorf("with wait %d of no account: %v", drop, err)
		}
		b.Close()
	}
	path := emulator.Own(t, ".", "report=1")
	b, err := New(Options{Library: path})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := runPTX(t, b, "", writeOwn+readAcross, 64); err != nil {
		t.Errorf("a race that is only reported ends the run: %v", err)
	}
}

// Profile counts what a device's memory would have to do: neighbours share sectors, threads 32 bytes apart have one
// each, and places 8 bytes apart meet two by two in banks.
func TestPTXProfile(t *testing.T) {
	if *device {
		t.Skip("of the emulator")
	}
	path := emulator.Own(t, ".", "profile=1")
	b, err := New(Options{Library: path})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range []struct {
		body string
		want emulator.Work
	}{
		{"ld.global.u32 %r5, [%at];", emulator.Work{Sectors: 4, SectorsLeast: 4}},
		{"ld.global.u32 %r5, [%p];", emulator.Work{Sectors: 1, SectorsLeast: 1}},
		{"and.b32 %r5, %t, 7; shl.b32 %r5, %r5, 5; cvt.u64.u32 %d0, %r5; add.s64 %d0, %p, %d0; ld.global.u32 %r6, [%d0];", emulator.Work{Sectors: 8, SectorsLeast: 1}},
		{"ld.shared.u32 %r5, [%own];", emulator.Work{Waves: 1, WavesLeast: 1}},
		{"add.s32 %own, %own, %t4; ld.shared.u32 %r5, [%own];", emulator.Work{Waves: 2, WavesLeast: 1}},
	} {
		if _, err := runPTX(t, b, "", c.body, 32); err != nil {
			t.Fatal(err)
		}
		work, err := emulator.Profile(path)
		if err != nil || len(work) != 1 {
			t.Fatalf("%v, %v", work, err)
		}
		got := work[0]
		if got.Kernel != "k" || got.Blocks != 2 || got.Run != 1 || got.Instructions == 0 || got.Threads != 32*got.Instructions {
			t.Errorf("%s: %+v", c.body, got)
		}
		if got.Sectors != c.want.Sectors || got.SectorsLeast != c.want.SectorsLeast || got.Waves != c.want.Waves || got.WavesLeast != c.want.WavesLeast {
			t.Errorf("%s: %+v, want %+v", c.body, got, c.want)
		}
	}
}
