#!/bin/sh
# midwatch beside its peers, in one run: the ratios count, not the times. Needs Debian's lnav, less, htop, fzf and
# prometheus-alertmanager, and nothing else running meanwhile.
#
#   cargo build --release && benches/peers.sh
#
# HELLO names a bare ratatui program that prints READY-MARK, for the start-up's peer; FOLDER where the logs are made.
set -e
cd "$(dirname "$0")/.."
MIDWATCH=${MIDWATCH:-$PWD/target/release/midwatch}
FOLDER=${FOLDER:-${TMPDIR:-/tmp}/midwatch-bench-logs}
export MIDWATCH
mkdir -p "$FOLDER"
echo "# $("$MIDWATCH" --version), $(nproc) cores, $(date -u +%Y-%m-%dT%H:%MZ), load $(cut -d' ' -f1 /proc/loadavg)"
echo "## open, merge and filter a million lines (G1, G1b)"
python3 benches/peers/merge.py "$FOLDER"
echo "## take alerts in, and list them (G9, G9b)"
python3 benches/peers/alerts.py
echo "## bytes a key (G10, G10c)"
python3 benches/peers/keys.py
echo "## the first frame (G12)"
python3 benches/peers/startup.py
echo "## a million events: first rows, and keys (G12b, G10b, G11, G13)"
python3 benches/peers/rows.py "$FOLDER"
python3 benches/peers/million.py "$FOLDER"
echo "## find anything among a million events (G4)"
python3 benches/peers/find.py "$FOLDER"
echo "## ten times as much (G14)"
python3 benches/peers/growth.py "$FOLDER"
