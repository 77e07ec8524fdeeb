#!/usr/bin/env python3
"""Memory per idle connection: nats-server and midwatch, one after the other, twice (G7).

    benches/peers/idle.py WIRE [--connections 5000]

WIRE is the program of `cargo bench --bench wire --no-run`. A NATS client is connected and subscribed to a
subject of its own, without TLS and with it (which takes openssl); a midwatch console has said hello, subscribed and got its snapshot: by a token
without TLS, and by keys with TLS.
"""
import argparse, ctypes, os, re, resource, signal, socket, ssl, subprocess, tempfile, time


def rss_kib(process):
    return next(int(line.split()[1]) for line in open(f"/proc/{process}/status") if line.startswith("VmRSS"))


def nats(count, tls=None, port=28601):
    """`tls`: the files of its certificate and key."""
    options = ["--tls", "--tlscert", tls[0], "--tlskey", tls[1]] if tls else []
    around = ssl.create_default_context(cafile=tls[0]) if tls else None
    server = subprocess.Popen(["nats-server", "-a", "127.0.0.1", "-p", str(port), *options], stderr=subprocess.DEVNULL,
                              preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
    held = []
    try:
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < until, "nats-server does not start"
                time.sleep(0.02)
        time.sleep(0.5)
        before = rss_kib(server.pid)
        for i in range(count):
            client = socket.create_connection(("127.0.0.1", port))
            if around:
                # It speaks first, and in plain words.
                while client.recv(1) != b"\n":
                    pass
                client = around.wrap_socket(client, server_hostname="localhost")
                stream = client.makefile("rb")
            else:
                stream = client.makefile("rb")
                stream.readline()
            client.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"py","version":"1"}\r\nSUB events.%d 1\r\nPING\r\n' % i)
            assert stream.readline() == b"PONG\r\n"
            held.append((client, stream))
        time.sleep(2)
        return (rss_kib(server.pid) - before) / count
    finally:
        server.kill()
        server.wait()
        for client, stream in held:
            stream.close()
            client.close()


def midwatch(wire, count, line):
    out = subprocess.run([wire, "idle", str(count), line], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"kib_per_connection=([0-9.]+)", out).group(1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("wire")
    arguments.add_argument("--connections", type=int, default=5_000)
    chosen = arguments.parse_args()
    wanted = 2 * chosen.connections + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted) if os.geteuid() == 0 else hard))
    with tempfile.TemporaryDirectory() as folder:
        tls = (f"{folder}/certificate.pem", f"{folder}/key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", tls[0], "-keyout", tls[1]], check=True, capture_output=True)
        for turn in range(2):
            plain, over_tls = nats(chosen.connections), nats(chosen.connections, tls)
            for line in ["plain", "tls"]:
                ours = midwatch(chosen.wire, chosen.connections, line)
                print(f"# round {turn + 1}, {chosen.connections} connections, KiB each: nats-server {plain:.1f}, over TLS {over_tls:.1f}, "
                      f"midwatch ({line}) {ours:.1f}, ratios {ours / plain:.2f}, {ours / over_tls:.2f}", flush=True)


if __name__ == "__main__":
    main()
