#!/usr/bin/env python3
"""Requests per CPU-second of squall's closed model beside wrk's, on one nginx, in one run.

    bench/load.py [BUILD_DIR] [--connections N] [--rounds N] [--seconds S] [--no-record]

nginx (one worker, core 0) answers with 13 bytes and keeps connections for ever; squall's engine (the test
driver: ledger rows are written, drained and put into histograms, as in a run) and `wrk -t1` take turns on core
1. The truth is nginx's own count; CPU is the rusage of the whole generator process. Prints the ratio of each
round and its median, and appends to bench/results.md. Foreign CPU (what others burned meanwhile, in cores) is
printed beside each round: when at least three rounds were quiet (QUIET_CORES at most), only those count.

Exit status 0: the median ratio is at least WANTED; 1: it is not; 5: it is not, but no three rounds were quiet.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

QUIET_CORES = 0.1
WANTED = 1.15
HERE = os.path.dirname(os.path.abspath(__file__))
CONF = """
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 20000; }}
worker_rlimit_nofile 20000;
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 2000000000;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        location / {{ return 200 "hello world!\\n"; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def requests_seen(port):
    text = urllib.request.urlopen("http://127.0.0.1:%d/status" % port, timeout=10).read().decode()
    return int(re.search(r"^ *\d+ +\d+ +(\d+)", text, re.M)[1])


def busy_ticks():
    fields = [int(x) for x in open("/proc/stat").readline().split()[1:]]
    return sum(fields) - fields[3] - fields[4]


def process_ticks(pid):
    fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def worker_of(pid):
    for _ in range(100):
        kids = open("/proc/%d/task/%d/children" % (pid, pid)).read().split()
        if kids:
            return int(kids[0])
        time.sleep(0.05)
    sys.exit("nginx has no worker")


def measure(argv, port, server_pid):
    """One generator run: requests by the server's count, CPU seconds, wall seconds, foreign cores."""
    before, busy, server = requests_seen(port), busy_ticks(), process_ticks(server_pid)
    start = time.monotonic()
    child = subprocess.Popen(["taskset", "-c", "1"] + argv, stdout=subprocess.PIPE)
    out = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if child.returncode != 0:
        sys.exit("%s: exit status %d" % (argv[0], child.returncode))
    requests = requests_seen(port) - before - 1  # the second question counts itself
    cpu = usage.ru_utime + usage.ru_stime
    tick = os.sysconf("SC_CLK_TCK")
    foreign = (busy_ticks() - busy - (process_ticks(server_pid) - server)) / tick - cpu
    return {"requests": requests, "cpu": cpu, "user": usage.ru_utime, "wall": wall, "foreign": max(0, foreign / wall),
            "per_cpu": requests / cpu, "rss": usage.ru_maxrss, "out": out}


def machine_kind():
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    return "%s, %d CPUs, Linux %s" % (model[1] if model else "unknown CPU", os.cpu_count(), os.uname().release)


def spread(values, form):
    return "%s [%s-%s]" % tuple(form % v for v in (statistics.median(values), min(values), max(values)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--seconds", type=int, default=4)
    p.add_argument("--no-record", action="store_true")
    p.add_argument("--driver", help="another build of the driver")
    a = p.parse_args()
    driver = a.driver or os.path.join(a.build, "tests/unit/load/load_driver")
    for need in (driver, "nginx", "wrk", "taskset"):
        if not shutil.which(need):
            sys.exit("bench/load: %s not found" % need)
    folder = tempfile.mkdtemp(prefix="squall-bench-")
    port = free_port()
    with open(folder + "/nginx.conf", "w") as f:
        f.write(CONF.format(dir=folder, port=port))
    nginx = subprocess.Popen(["taskset", "-c", "0", "nginx", "-e", folder + "/error.log", "-p", folder, "-c",
                              folder + "/nginx.conf"])
    try:
        server = worker_of(nginx.pid)
        wrk = ["wrk", "-t1", "-c%d" % a.connections, "-d%ds" % a.seconds, "http://127.0.0.1:%d/" % port]
        own = [driver, "--port", str(port), "--path", "/", "--closed", "--connections", str(a.connections),
               "--duration", str(a.seconds)]
        rounds = []
        for i in range(a.rounds):
            pair = {}
            for name, argv in (("squall", own), ("wrk", wrk))[::1 if i % 2 == 0 else -1]:
                pair[name] = measure(argv, port, server)
            said = json.loads(pair["squall"]["out"])
            gap = pair["squall"]["requests"] - said["sent"]
            rounds.append((pair["squall"], pair["wrk"], gap))
            s, w = pair["squall"], pair["wrk"]
            print("round %d: squall %7.0f req/CPU-s (%.2f us, %.2f user), %7.0f/s; wrk %7.0f (%.2f us, %.2f user), "
                  "%7.0f/s; ratio %.3f; server's count - sent %d; foreign %.2f %.2f" %
                  (i + 1, s["per_cpu"], 1e6 / s["per_cpu"], 1e6 * s["user"] / s["requests"], s["requests"] / s["wall"],
                   w["per_cpu"], 1e6 / w["per_cpu"], 1e6 * w["user"] / w["requests"], w["requests"] / w["wall"],
                   s["per_cpu"] / w["per_cpu"], gap, s["foreign"], w["foreign"]), flush=True)
    finally:
        nginx.send_signal(signal.SIGQUIT)
        try:
            nginx.wait(10)
        except subprocess.TimeoutExpired:
            nginx.terminate()
            nginx.wait(10)
        shutil.rmtree(folder)
    quiet = [r for r in rounds if max(r[0]["foreign"], r[1]["foreign"]) <= QUIET_CORES]
    gaps = sum(abs(gap) for _, _, gap in rounds)
    enough = len(quiet) >= 3
    rounds = quiet if enough else rounds
    ratios = [s["per_cpu"] / w["per_cpu"] for s, w, _ in rounds]
    row = "| %s | %d | %d x %d s%s | %s | %s | %s | %d | %.1f | %s |" % (
        time.strftime("%Y-%m-%d"), a.connections, len(rounds), a.seconds, " quiet" if enough else ", busy machine",
        spread([s["per_cpu"] for s, _, _ in rounds], "%.0f"),
        spread([w["per_cpu"] for _, w, _ in rounds], "%.0f"), spread(ratios, "%.2f"),
        gaps, max(s["rss"] for s, _, _ in rounds) / 1024, machine_kind())
    print("ratio squall / wrk, requests per CPU-second: %s, %d %s rounds" %
          (spread(ratios, "%.3f"), len(rounds), "quiet" if enough else "busy"))
    if not a.no_record:
        path = os.path.join(HERE, "results.md")
        head = ("## load: closed model beside wrk (bench/load.py)\n\n| date | connections | rounds | squall req/CPU-s | "
                "wrk req/CPU-s | ratio | server's count - sent | squall MiB | machine |\n|---|---|---|---|---|---|---|---|---|\n")
        text = open(path).read() if os.path.exists(path) else "# Measured\n\n"
        if head not in text:
            text = text.rstrip("\n") + "\n\n" + head
        at = text.index(head) + len(head)
        end = re.compile(r"(?:\|.*\n)*").match(text, at).end()
        with open(path, "w") as f:
            f.write(text[:end] + row + "\n" + text[end:])
    if gaps:
        return 1
    return 0 if statistics.median(ratios) >= WANTED else 1 if enough else 5


if __name__ == "__main__":
    sys.exit(main())
