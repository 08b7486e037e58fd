"""Compares two transcripts of play.py block by block: compare.py EXPECTED ACTUAL

Prints one line for each command, `ok` or `FAIL` with both outputs, then `N passed, N failed`.
"""

import re
import sys

# Fewer blocks than this means that the transcripts are broken in the same way, not that they agree.
BLOCKS_AT_LEAST = 300


def blocks(path):
    out = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if re.match(r"## \d+ ", line):
                out.append((line.rstrip("\n"), []))
            else:
                out[-1][1].append(line.rstrip("\n"))
    return out


def main():
    expected, actual = blocks(sys.argv[1]), blocks(sys.argv[2])
    passed = failed = 0
    for number, (title, lines) in enumerate(expected):
        got_title, got = actual[number] if number < len(actual) else ("", ["<the transcript ends before>"])
        if (title, lines) == (got_title, got):
            passed += 1
            print("ok   " + title)
        else:
            failed += 1
            print("FAIL " + title)
            print("".join("     expected | %s\n" % line for line in lines), end="")
            print("".join("     got      | %s\n" % line for line in got), end="")
    if len(expected) < BLOCKS_AT_LEAST or len(actual) > len(expected):
        failed += 1
        print("FAIL number of commands: %d and %d" % (len(expected), len(actual)))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(0 if failed == 0 else 1)


main()
