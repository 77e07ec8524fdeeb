#!/usr/bin/env python3
"""Alerts pushed to Debian's prometheus-alertmanager and to `midwatch serve`, taking turns (G9, G9b).

    benches/peers/intake.py [--binary target/release/midwatch] [--alerts 100000] [--rounds 3] [--data FOLDER]

Both get the same bodies: POST /api/v2/alerts, batches of 100 over one connection, until all alerts are
held, each of them another. Alertmanager holds them in memory; midwatch answers a POST when its alerts are
on the disk (SQLite, synchronous=FULL). Then the open alerts are listed while 10,000 are held. What counts
is the ratio within one run: processors drift by a factor of two, disks by ten.
"""
import argparse, ctypes, http.client, json, os, shutil, signal, statistics, subprocess, tempfile, time

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1", "sa-east-1"]
NAMES = ["HighLatency", "DiskAlmostFull", "OOMKilled", "CertExpiring", "ReplicationLag", "ErrorBudgetBurn"]
LISTED = 10_000


def alert(i, begins, ends):
    name = NAMES[i % 6]
    return {
        "labels": {"alertname": name, "severity": f"P{1 + i % 4}", "region": REGIONS[i % 4], "cluster": f"c{i % 50}",
                   "node": f"node-{i % 800:04}", "id": f"{i:08x}"},
        "annotations": {"summary": f"{name} value={i * 7919 % 5000} over threshold 500 for 5m on node-{i % 800:04}", "runbook": f"rb/{i % 300}"},
        "startsAt": begins, "endsAt": ends, "generatorURL": f"http://prom.local/{i}",
    }


def bodies(count):
    rfc3339 = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    begins, ends = rfc3339(time.time()), rfc3339(time.time() + 7200)
    return [json.dumps([alert(i, begins, ends) for i in range(first, first + 100)]).encode() for first in range(0, count, 100)]


def alertmanager(folder, port, _binary):
    with open(f"{folder}/c.yml", "w") as config:
        config.write("route:\n  receiver: none\n  group_by: [alertname, cluster]\n  group_wait: 30s\n  group_interval: 5m\n"
                     "  repeat_interval: 4h\nreceivers:\n- name: none\n")
    return ["prometheus-alertmanager", f"--config.file={folder}/c.yml", f"--storage.path={folder}/d",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"]


def midwatch(folder, port, binary):
    return [binary, "serve", "--listen", f"127.0.0.1:{port}", "--data", f"{folder}/d"]


def measure(command, folder, count, payload, port):
    log = open(f"{folder}/log", "wb")
    home = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder, "XDG_STATE_HOME": folder}
    # Ends with us, whatever happens to us.
    process = subprocess.Popen(command, stdout=log, stderr=log, env=home, preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        until = time.monotonic() + 20
        while True:
            try:
                connection.request("GET", "/-/ready")
                connection.getresponse().read()
                break
            except OSError:
                connection.close()
                assert process.poll() is None and time.monotonic() < until, open(f"{folder}/log").read()
                time.sleep(0.01)
        headers = {"Content-Type": "application/json"}
        if os.path.exists(f"{folder}/d/intake.token"):
            headers["Authorization"] = "Bearer " + open(f"{folder}/d/intake.token").read().strip()

        def status(field):
            return next(int(line.split()[1]) for line in open(f"/proc/{process.pid}/status") if line.startswith(field)) / 1024

        def cpu():
            fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        def post(batch):
            latencies = []
            for body in batch:
                began = time.monotonic()
                connection.request("POST", "/api/v2/alerts", body, headers)
                response = connection.getresponse()
                words = response.read()
                assert response.status == 200, words
                latencies.append(time.monotonic() - began)
            return latencies

        def get(times):
            took = []
            for _ in range(times):
                began = time.monotonic()
                connection.request("GET", "/api/v2/alerts", headers=headers)
                held = connection.getresponse().read()
                took.append((time.monotonic() - began) * 1e3)
            return statistics.median(took), json.loads(held)

        first = LISTED // 100
        out = {"rss_empty_mib": status("VmRSS")}
        spent = cpu()
        latencies = post(payload[:first])
        time.sleep(0.5)
        spent = cpu() - spent
        out["rss_10k_mib"] = status("VmRSS")
        out["get_10k_ms"], held = get(5)
        own = [one for one in held if "id" in one["labels"]]
        assert len(own) == LISTED, len(own)
        again = cpu()
        rest = post(payload[first:])
        latencies += rest
        time.sleep(1)
        spent += cpu() - again
        ordered = sorted(latencies)
        out["per_s"] = count / sum(latencies)
        out["last_10k_per_s"] = 10_000 / sum(latencies[-100:])
        out["batch_p50_ms"] = ordered[len(ordered) // 2] * 1e3
        out["batch_p99_ms"] = ordered[int(len(ordered) * 0.99)] * 1e3
        out["cpu_us_per_alert"] = spent * 1e6 / count
        out["rss_all_mib"] = status("VmRSS")
        out["rss_peak_mib"] = status("VmHWM")
        began = cpu()
        time.sleep(5)
        out["idle_cpu_percent"] = (cpu() - began) / 5 * 100
        out["rss_settled_mib"] = status("VmRSS")
        return out
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", default="target/release/midwatch")
    arguments.add_argument("--alerts", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--port", type=int, default=28600)
    arguments.add_argument("--data", default=None, help="a folder on the disk to measure")
    arguments.add_argument("--only", choices=["alertmanager", "midwatch"])
    chosen = arguments.parse_args()
    programs = {"alertmanager": alertmanager, "midwatch": midwatch}
    if chosen.only:
        programs = {chosen.only: programs[chosen.only]}
    results = {name: [] for name in programs}
    for turn in range(chosen.rounds):
        payload = bodies(chosen.alerts)
        # In turn, who goes first.
        for name in list(programs) if turn % 2 == 0 else reversed(list(programs)):
            folder = tempfile.mkdtemp(prefix="midwatch-intake-", dir=chosen.data)
            try:
                command = programs[name](folder, chosen.port, chosen.binary)
                results[name].append(measure(command, folder, chosen.alerts, payload, chosen.port))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            print(f"# round {turn + 1} {name}: " + ", ".join(f"{k} {v:.1f}" for k, v in results[name][-1].items()), flush=True)
    report(results)


def report(results):
    fields = list(next(iter(results.values()))[0])
    names = list(results)
    print(f"{'':18}" + "".join(f"{name:>14}" for name in names) + ("   ratio" if len(names) == 2 else ""))
    for field in fields:
        medians = [statistics.median(one[field] for one in results[name]) for name in names]
        ratio = f"{medians[1] / medians[0]:8.2f}" if len(names) == 2 and medians[0] else ""
        print(f"{field:18}" + "".join(f"{value:14.1f}" for value in medians) + ratio)


if __name__ == "__main__":
    main()
