#!/bin/bash
# What a GPU computes, beside the CPU: one table, within five minutes. It needs the driver and this tree, and no Go:
#
#   make check-cuda                     builds the tests and runs this
#   make check-cuda-bundle              builds them only, as dist/check-cuda.tar.gz; there: tar xzf, and this script with dist/check
#
# Usage: check.sh FOLDER [small]. FOLDER holds cuda.test and pipe.test; logs come to FOLDER/log. "small" takes few ops, for the emulator:
# LD_LIBRARY_PATH names its folder then. The exit code is 1 if anything failed or was left out.
cd "$(dirname "$0")/../.." || exit 2
bin=$(realpath "${1:?usage: check.sh FOLDER [small]}") small=${2:-} log=$bin/log
mkdir -p "$log"
[ -x "$bin/cuda.test" ] && [ -x "$bin/pipe.test" ] || { echo "$bin: no cuda.test and pipe.test; make check-cuda builds them" >&2; exit 2; }
ln -sf pipe.test "$bin/pipe"
all=${LIMIT:-290} bad=0 wide=46
say() { printf "%-8s %-${wide}s %5s  %s\n" "$@"; }

# row NAME SECONDS COMMAND...: runs a command for so long at most, and prints a row: what it says last is in the log of its name.
row() {
	local name=$1 most=$2 begin=$SECONDS file code state=ok detail
	shift 2
	file="$log/$(tr -c 'a-z0-9\n' - <<<"${name,,}").log"
	if [ $((all - SECONDS)) -lt 5 ]; then
		bad=1
		say "left out" "$name" - "no time"
		return
	fi
	[ $((all - SECONDS)) -lt "$most" ] && most=$((all - SECONDS))
	timeout -k 5 "$most" "$@" >"$file" 2>&1
	code=$?
	case $code in 0) ;; 124 | 137) state="too long" bad=1 ;; *) state=FAILED bad=1 ;; esac
	detail=$(summary "$file")
	[[ $detail == *", 0 failed, "* && $detail == "0 passed"* ]] && state=FAILED bad=1
	[ $code = 0 ] || detail="$detail (exit code $code, $file)"
	say "$state" "$name" "$((SECONDS - begin))" "$detail"
}

# summary counts the tests of a log, or is the last line of another.
summary() {
	if grep -q '^=== RUN' "$1"; then
		local passed failed skipped
		passed=$(grep -c '^ *--- PASS' "$1") failed=$(grep -c '^ *--- FAIL' "$1") skipped=$(grep -c '^ *--- SKIP' "$1")
		echo "$passed passed, $failed failed, $skipped skipped" $([ "$failed" = 0 ] || grep -m 3 '^ *--- FAIL' "$1")
	else
		grep -v '^$' "$1" | tail -1 | sed 's/^ *//' | cut -c 1-150
	fi
}

tests() { (cd kernels/cuda && "$bin/cuda.test" -device -test.v -test.run "$1"); }
scripts() { (cd cmd/pipe && "$bin/pipe.test" -device -test.v -test.run "$1"); }
taken() { (cd kernels/cuda && "$bin/cuda.test" -device -test.v -test.run TestWGMMATaken >"$log/taken" 2>&1) && grep -o 'products of.*' "$log/taken"; }
sanitize() { (cd kernels/cuda && compute-sanitizer --tool "$1" --error-exitcode 9 "$bin/cuda.test" -device -test.run "$2" && echo "$1: no errors"); }
times() { "$bin/pipe" bench kernels --device cuda --filter "$@" --time 50ms; }
export -f tests scripts sanitize times taken
export bin log

ops='TestKernels' some='TestKernels/(matmul|linear|attention|attention_grad|softmax|layer_norm|group_norm|conv2d|scatter_add|sort)$'
speed='^(matmul/large (4096|8192)/(f32|bf16)|matmul/large 4096 tf32/f32|(attention|attention_grad)/large 4096 causal/bf16|(softmax|layer_norm|gelu|add)/large.*/(f32|bf16)|linear/(large row|quantised row)/.*)$'
same='Test(TilesAlike|LargeProduct|TensorFormsAlike|WGMMA|MMA|TF32|LoadMatrices|Copies|Attention|Conv|Block|Planes|ChainBits|Long|Norm|GroupSlices|Loss|Reduce|Index)'
products='^matmul/large (4096|8192)/(f32|bf16)$'
learn='TestScript/(cuda_train|cuda_signals|cuda_blocks|cuda_diffusion)$'
if [ "$small" ]; then
	ops='TestKernels/(softmax|matmul|sort)$' some=$ops same='Test(TilesAlike|ChainBits|Index)' learn='TestScript/(cuda_train|cuda_diffusion)$' speed='^softmax/large/f32$' products='^matmul/large/bf16$'
fi

say state what s detail
row "device" 20 bash -c '"$bin/pipe" doctor | grep "device 0:"'
row "which products are taken" 20 bash -c taken
row "ops beside the reference" 110 bash -c 'tests "$1"' - "$ops"
row "the same bits alone, in company and by any form" 60 bash -c 'tests "$1"' - "$same"
row "learning and inference beside the CPU" 70 bash -c 'scripts "$1"' - "$learn"
if command -v compute-sanitizer >/dev/null; then
	row "compute-sanitizer memcheck" 60 bash -c 'sanitize memcheck "$1"' - "$some"
	row "compute-sanitizer racecheck" 40 bash -c 'sanitize racecheck "$1"' - 'TestKernels/(matmul|attention|softmax)$'
else
	bad=1
	say "left out" "compute-sanitizer" - "not found in PATH"
fi
row "times" 40 bash -c 'times "$1"' - "$speed"
row "times with cuBLASLt" 20 bash -c 'times "$1" --cublas' - "$products"
grep -h -E '^(cuda,|op/|[a-z_0-9]+/)' "$log"/times*.log
echo "$SECONDS s in all"
exit $bad
