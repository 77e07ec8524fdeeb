"""G4: finding anything among a million events, beside `fzf --filter` on the same lines: the CPU that each takes, and how well
the first ten hits answer. Give the folder that holds `src0.log` to `src3.log` (`merge.py` makes them). Needs Debian's fzf,
and Python's pyte."""
import os, re, statistics, subprocess, sys, time

import pyte

from server import MIDWATCH
from term import COLUMNS, ROWS, Term

FOLDER = sys.argv[1]
TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 3
FILES = [f"{FOLDER}/src{i}.log" for i in range(4)]
# Short words, a whole word, the beginning of one, two words, letters in order alone, nothing.
WORDS = ["c7", "p1", "oom", "OOMKilled", "cert", "host-123 P1", "hst99", "nothing-has-this"]
FIRST = 10


def quality(text, words):
    """From 4, every word stands whole in it, to 0, one stands nowhere."""
    worst = 4
    for word in words.lower().split():
        low, quoted = text.lower(), re.escape(word)
        worst = min(worst, 4 if re.search(rf"(?<![^\W_]){quoted}(?![^\W_])", low) else 3 if re.search(rf"(?<![^\W_]){quoted}", low) else 2 if word in low else 1)
    return worst


def fzf(words):
    began = os.times()
    lines = subprocess.run(["sh", "-c", f'cat {" ".join(FILES)} | fzf --filter "$0" | head -n {FIRST}', words], capture_output=True, text=True, env=dict(os.environ, FZF_DEFAULT_OPTS="")).stdout
    ended = os.times()
    used = ended.children_user + ended.children_system - began.children_user - began.children_system
    return used, lines.splitlines()


def spent(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(term, feed):
    """Reads until the program has used no more than a hundredth of a second within half a second."""
    while True:
        before = spent(term.pid)
        data, _ = term.read(0.5, 0.5)
        feed(data)
        if spent(term.pid) - before <= 0.01:
            return


term = Term([MIDWATCH, "open", *FILES], {"HOME": FOLDER})
screen = pyte.Screen(COLUMNS, ROWS)
stream = pyte.ByteStream(screen)
rests(term, stream.feed)
print(f"{'words':<18} {'fzf CPU':>9} {'midwatch':>9}  ratio   hits: fzf  midwatch (4: whole words … 1: letters in order)")
ratios = []
for words in WORDS:
    theirs = [fzf(words) for _ in range(TIMES)]
    ours = []
    for _ in range(TIMES):
        term.send(b"f")
        rests(term, stream.feed)
        before = spent(term.pid)
        term.send(words.encode())
        rests(term, stream.feed)
        ours.append(spent(term.pid) - before)
        rows = [row.strip("│┃| ") for row in screen.display if "event," in row][:FIRST]
        term.send(b"\x1b")
        rests(term, stream.feed)
    cpu = statistics.median(used for used, _ in theirs), statistics.median(ours)
    good = [statistics.mean(map(lambda line: quality(line, words), lines)) if lines else 0 for lines in (theirs[0][1], rows)]
    ratios.append(cpu[1] / cpu[0])
    print(f"{words:<18} {cpu[0]:8.2f}s {cpu[1]:8.2f}s {ratios[-1]:6.2f}        {good[0]:8.1f}  {good[1]:8.1f}")
term.close()
print(f"median ratio {statistics.median(ratios):.2f}; the figure to reach is 0.35 (G4)")
