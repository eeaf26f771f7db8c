#!/usr/bin/env python3
"""What kernels take on processors that are not at hand, as llvm-mca reckons it.

Of each function the longest loop without another inside is run a hundred times on the models of LLVM, with everything
in the first-level cache, and its cycles are held against the bytes of weights that one turn reads.

    go test -c -o asm.test ./kernels/cpu/asm
    python3 benchmarks/cycles.py asm.test RowTimesRowsQ4_0Z=288 RowTimesRowsQ4KZ=2304
"""
import argparse
import re
import subprocess

PACKAGE = "pipe.dev/kernels/cpu/asm"


def loop(binary, function):
    """The instructions of the loop, in AT&T's syntax, without the jumps."""
    symbol = f"{PACKAGE}.{function}.abi0"
    text = subprocess.run([f"llvm-objdump{args.suffix}", "-d", "--no-show-raw-insn", f"--disassemble-symbols={symbol}", binary],
                          capture_output=True, text=True, check=True).stdout
    lines = [(int(m[1], 16), m[2].split("<")[0].split("#")[0].strip())
             for m in re.finditer(r"^\s*([0-9a-f]+):\s+(.*)$", text, re.M)]
    if not lines:
        raise SystemExit(f"{binary}: no function {function}")
    place = {address: i for i, (address, _) in enumerate(lines)}
    back = []
    for i, (address, what) in enumerate(lines):
        jump = re.match(r"j\w+\s+0x([0-9a-f]+)", what)
        if jump and int(jump[1], 16) < address:
            back.append((place[int(jump[1], 16)], i))
    inner = [a for a in back if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in back)]
    first, last = max(inner, key=lambda a: a[1] - a[0])
    return "\n".join(what for _, what in lines[first:last] if not what.startswith("j"))


def cycles(text, cpu):
    out = subprocess.run([f"llvm-mca{args.suffix}", f"-mcpu={cpu}", "-iterations=100"], input=text, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", out)[1]) / 100


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("binary")
parser.add_argument("functions", nargs="+", metavar="FUNCTION=BYTES")
parser.add_argument("--cpus", default="icelake-server,sapphirerapids,znver4")
parser.add_argument("--suffix", default="-19", help="of LLVM's commands; icelake-server and znver4 need 16, sapphirerapids 18")
args = parser.parse_args()
cpus = args.cpus.split(",")
print("| function, cycles a turn (a byte) | " + " | ".join(cpus) + " |")
print("|---" * (len(cpus) + 1) + "|")
for item in args.functions:
    function, size = item.split("=")
    text = loop(args.binary, function)
    print(f"| {function} | " + " | ".join(f"{c:.0f} ({c / float(size):.3f})" for c in (cycles(text, cpu) for cpu in cpus)) + " |")
