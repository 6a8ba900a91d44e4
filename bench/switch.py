#!/usr/bin/env python3
"""squall's switch beside a kernel veth pair, in one run.

    bench/switch.py [BUILD_DIR] [--only NAME,...] [--rounds N] [--seconds S] [--no-record]

Each figure comes from helpers/switch_rig: two network namespaces made as a lab makes them, joined by the switch
(TUN, or AF_PACKET as where /dev/net/tun is refused) or by a veth pair and nothing else, with one program in each.
The kinds take turns within a round, in an order that changes from round to round; nothing is pinned, as in a lab.

  tcp       one iperf3 stream, no fault: what the receiver got; wanted is the switch's share of what a veth pair does
  http      nginx (one worker) and wrk -t1 with 64 kept connections, no fault: requests per second, likewise
  loss      one iperf3 stream over a link that loses 0.1 % of the packets
  delay     a UDP packet every 1 ms over a link with 5 ms and with 500 ms of latency, both ends on one clock: how far
            its delay is from what was asked, receiver's wake-up and all, p50 / p99 / longest (beside it what the
            switch itself says); 0 ms and the veth pair are the floors
  gigabit   50 ms of latency: 8 iperf3 streams of 125 Mbit/s each ("paced"), and 8 that send what they can over a
            link of 1 Gbit/s ("shaped"); both are to move 1 Gbit/s, and the switch is to drop nothing on its own

Prints each round, then medians [lowest-highest], and appends to bench/results.md. Foreign CPU (what other programs
and other guests of the host burned meanwhile, in cores) is printed beside each figure: when at least three rounds
were quiet (QUIET_CORES at most), only those count.

Exit status 0: every figure is as wanted; 1: one is not; 5: one is not, or is a ratio, and had no three quiet rounds.
"""
import argparse
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from load import CONF, HERE, QUIET_CORES, machine_kind, spread

BACK, FRONT = "10.213.0.10", "10.213.0.11"
PORT = 5201
SLACK_S = 20  # beyond the asked seconds a run may take so long to start and to end
REFUSED = 4   # exit status of the rig
STREAMS = 8
DELAY_SKIP = 200
LOSS = 0.001


class Rig:
    """Runs one measurement; knows the programs and the folder in which they run."""

    def __init__(self, build, folder, seconds):
        self.program = os.path.join(build, "bench/helpers/switch_rig")
        self.udp_delay = os.path.join(build, "bench/helpers/udp_delay")
        self.folder, self.seconds = folder, seconds

    def run(self, kind, back, front, *options):
        """(what FRONT wrote, the rig's own result)"""
        before, start = foreign_ticks(), time.monotonic()
        got = subprocess.run([self.program, *options, kind, back, front], cwd=self.folder, stdout=subprocess.PIPE,
                             timeout=self.seconds + SLACK_S, check=False)
        wall = time.monotonic() - start
        if got.returncode == REFUSED:
            raise PermissionError(kind)
        if got.returncode != 0:
            log = os.path.join(self.folder, "back.log")
            print(open(log).read() if os.path.exists(log) else "", file=sys.stderr)
            sys.exit("bench/switch: exit status %d of: %s" % (got.returncode, shlex.join(got.args)))
        out, _, rig = got.stdout.decode().rpartition("\nrig ")
        rig = json.loads(rig)
        rig["foreign"] = (foreign_ticks() - before) / os.sysconf("SC_CLK_TCK") / wall
        return out, rig

    def iperf(self, kind, options, *arguments):
        back = "exec iperf3 -s -1 -B %s -p %d >back.log 2>&1" % (BACK, PORT)
        front = "exec iperf3 -J -c %s -p %d -t %d %s" % (BACK, PORT, self.seconds, " ".join(arguments))
        out, rig = self.run(kind, back, front, "--listens", str(PORT), *options)
        end = json.loads(out)["end"]
        return {"value": end["sum_received"]["bits_per_second"] / 1e9, "retransmits": end["sum_sent"]["retransmits"],
                **rig}

    def http(self, kind):
        back = "exec nginx -e error.log -p . -c nginx.conf >back.log 2>&1"
        out, rig = self.run(kind, back, "exec wrk -t1 -c64 -d%ds http://%s:%d/" % (self.seconds, BACK, PORT),
                            "--listens", str(PORT))
        if "Socket errors" in out or "Non-2xx" in out:
            sys.exit("bench/switch: wrk met errors:\n" + out)
        return {"value": float(re.search(r"Requests/sec: +([\d.]+)", out)[1]), **rig}

    def delay(self, kind, asked_us):
        back = "exec %s send %s %d 1000" % (shlex.quote(self.udp_delay), FRONT, PORT)
        front = "exec %s receive %d %d %d %d" % (shlex.quote(self.udp_delay), PORT, DELAY_SKIP, self.seconds * 1000,
                                                 asked_us)
        options = ["--in", "latency_us=%d" % asked_us] if asked_us else []
        out, rig = self.run(kind, back, front, *options)
        return {**json.loads(out), **rig}


def foreign_ticks():
    """CPU ticks of every program but this one and what it runs, and those the host gave to other guests.

    A process that ended is in the count of its parent, so a difference misses few."""
    ticks = int(open("/proc/stat").readline().split()[8])
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            fields = open("/proc/%s/stat" % name).read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name != "2" and fields[1] != "2":  # the kernel's threads work for us too
            ticks += sum(int(f) for f in fields[11:15])
    return ticks


def congestion_control():
    return open("/proc/sys/net/ipv4/tcp_congestion_control").read().strip()


def quiet_rounds(rounds):
    """(those that count, whether they were quiet)"""
    quiet = [r for r in rounds if max(figure["foreign"] for figure in r.values()) <= QUIET_CORES]
    return (quiet, True) if len(quiet) >= 3 else (rounds, False)


class Bench:
    def __init__(self, rig, rounds, kinds):
        self.rig, self.rounds, self.kinds = rig, rounds, kinds
        self.rows, self.missed, self.missed_quietly = [], False, False

    def take(self, name, cases, form):
        """Runs every case (label -> function) in every round."""
        rounds = []
        for i in range(self.rounds):
            got = {}
            labels = list(cases)
            for label in labels[i % len(labels):] + labels[:i % len(labels)]:
                got[label] = cases[label]()
            rounds.append(got)
            print("%s round %d: %s" % (name, i + 1, "; ".join("%s %s, foreign %.2f" % (
                label, form(got[label]), got[label]["foreign"]) for label in labels)), flush=True)
        return quiet_rounds(rounds)

    def judge(self, holds, quiet, beside=False):
        """A figure that holds in spite of other programs holds; a ratio they may have pushed either way."""
        if holds and (quiet or not beside):
            return "yes"
        self.missed = True
        self.missed_quietly |= quiet
        return "NO" if quiet else "unknown, busy machine" if beside else "no, busy machine"

    def row(self, what, rounds, quiet, switch, veth, ratio, wanted, holds):
        cells = [time.strftime("%Y-%m-%d"), what,
                 "%d x %d s%s" % (len(rounds), self.rig.seconds, " quiet" if quiet else ", busy machine"),
                 switch, veth, ratio, wanted, holds, "%s, TCP %s" % (machine_kind(), congestion_control())]
        self.rows.append("| %s |" % " | ".join(cells))
        print("%s: switch %s, veth %s, ratio %s, wanted %s: %s" % (what, switch, veth, ratio, wanted, holds),
              flush=True)

    def beside_veth(self, name, unit, form, measure, wanted):
        """Every kind of switch beside a veth pair; the first kind, which a lab here takes, is judged."""
        rounds, quiet = self.take(name, {kind: (lambda kind=kind: measure(kind)) for kind in self.kinds + ["veth"]},
                                  lambda figure: form % figure["value"])
        veth = spread([r["veth"]["value"] for r in rounds], form)
        for kind in self.kinds:
            own = spread([r[kind]["value"] for r in rounds], form)
            ratios = [r[kind]["value"] / r["veth"]["value"] for r in rounds]
            default = kind == self.kinds[0]
            self.row("%s %s, %s" % (name, kind, unit), rounds, quiet, own, veth, spread(ratios, "%.2f"),
                     ">= %.2f" % wanted if default else "-",
                     self.judge(statistics.median(ratios) >= wanted, quiet, beside=True) if default else "-")

    def tcp(self):
        self.beside_veth("tcp", "Gbit/s", "%.1f", lambda kind: self.rig.iperf(kind, []), 0.85)

    def http(self):
        self.beside_veth("http", "requests/s", "%.0f", self.rig.http, 0.75)

    def loss(self):
        cases = {"0.1 %": lambda: self.rig.iperf(self.kinds[0], ["--out", "loss=%g" % LOSS])}
        rounds, quiet = self.take("loss", cases, lambda f: "%.2f Gbit/s, %d lost of %d" % (
            f["value"], f["out"]["fault"]["lost"], f["out"]["fault"]["packets"]))
        values = [r["0.1 %"]["value"] for r in rounds]
        faults = [r["0.1 %"]["out"]["fault"] for r in rounds]
        share = sum(f["lost"] for f in faults) / sum(f["packets"] for f in faults)
        self.row("tcp %s, 0.1 %% loss, Gbit/s" % self.kinds[0], rounds, quiet, spread(values, "%.2f"), "-", "-", ">= 2",
                 self.judge(statistics.median(values) >= 2 and abs(share / LOSS - 1) <= 0.2, quiet))

    def delay(self):
        kind = self.kinds[0]
        cases = {"veth": lambda: self.rig.delay("veth", 0), "0 ms": lambda: self.rig.delay(kind, 0),
                 "5 ms": lambda: self.rig.delay(kind, 5000), "500 ms": lambda: self.rig.delay(kind, 500000)}

        def form(figure):
            text = "%.0f / %.0f / %.0f us" % (figure["p50_us"], figure["p99_us"], figure["max_us"])
            own = figure.get("in", {}).get("fault")
            if own:
                text += " (switch %.0f / %.0f)" % (own["late_p50_ns"] / 1e3, own["late_p99_ns"] / 1e3)
            return text

        rounds, quiet = self.take("delay", cases, form)
        for label in ("0 ms", "5 ms", "500 ms"):
            p50, p99 = ([r[label][p] for r in rounds] for p in ("p50_us", "p99_us"))
            floor = label == "0 ms"
            lost = sum(r[label]["missing"] + r[label]["late"] for r in rounds)
            holds = statistics.median(p50) <= 50 and statistics.median(p99) <= 250 and lost == 0
            veth = " / ".join(spread([r["veth"][p] for r in rounds], "%.0f") for p in ("p50_us", "p99_us"))
            self.row("delay error %s, %s, us p50 / p99" % (kind, label), rounds, quiet,
                     "%s / %s" % (spread(p50, "%.0f"), spread(p99, "%.0f")), veth if floor else "-", "-",
                     "-" if floor else "<= 50 / 250", "-" if floor else self.judge(holds, quiet))

    def gigabit(self):
        kind, streams = self.kinds[0], ["-P", str(STREAMS), "-O", "1"]
        cases = {"paced": lambda: self.rig.iperf(kind, ["--out", "latency_us=50000"], *streams,
                                                 "-b", "%dM" % (1000 / STREAMS)),
                 "shaped": lambda: self.rig.iperf(kind, ["--out", "latency_us=50000,rate_mbit=1000"], *streams)}

        def dropped(figure):
            return figure["out"]["fault"]["overflow"] + figure["out"]["drops_full"] + figure["in"]["drops_full"]

        rounds, quiet = self.take("gigabit", cases, lambda f: "%.3f Gbit/s, %d dropped, %d sent again" % (
            f["value"], dropped(f), f["retransmits"]))
        for label in cases:
            values, drops = [r[label]["value"] for r in rounds], sum(dropped(r[label]) for r in rounds)
            self.row("50 ms %s %s, Gbit/s (dropped)" % (kind, label), rounds, quiet,
                     "%s (%d)" % (spread(values, "%.3f"), drops), "-", "-", "1 +- 5 % (0)",
                     self.judge(abs(statistics.median(values) - 1) <= 0.05 and drops == 0, quiet))


NAMES = ["tcp", "http", "loss", "delay", "gigabit"]
HEAD = ("## switch: beside a veth pair (bench/switch.py)\n\n"
        "| date | what | rounds | switch | veth pair | ratio | wanted | holds | machine |\n"
        "|---|---|---|---|---|---|---|---|---|\n")


def record(rows):
    path = os.path.join(HERE, "results.md")
    text = open(path).read() if os.path.exists(path) else "# Measured\n"
    if HEAD not in text:
        text = text.rstrip("\n") + "\n\n" + HEAD
    end = re.compile(r"(?:\|.*\n)*").match(text, text.index(HEAD) + len(HEAD)).end()
    with open(path, "w") as f:
        f.write(text[:end] + "".join(row + "\n" for row in rows) + text[end:])


def kinds_here(rig):
    """The kinds of port that this machine allows, the one that a lab takes first."""
    kinds = []
    for kind in ("tun", "packet"):
        try:
            rig.run(kind, "true", "true")
            kinds.append(kind)
        except PermissionError:
            print("%s: refused by this machine, left out" % kind)
    if not kinds:
        sys.exit("bench/switch: no lab on this machine (see squall doctor)")
    return kinds


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--only", default=",".join(NAMES))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--no-record", action="store_true")
    a = p.parse_args()
    folder = tempfile.mkdtemp(prefix="squall-bench-")
    rig = Rig(os.path.abspath(a.build), folder, a.seconds)
    for need in (rig.program, rig.udp_delay, "iperf3", "nginx", "wrk"):
        if not shutil.which(need):
            sys.exit("bench/switch: %s not found" % need)
    try:
        with open(folder + "/nginx.conf", "w") as f:
            f.write(CONF.replace("127.0.0.1", BACK).format(dir=folder, port=PORT))
        bench = Bench(rig, a.rounds, kinds_here(rig))
        for name in a.only.split(","):
            if name not in NAMES:
                sys.exit("bench/switch: no measure '%s': %s" % (name, ", ".join(NAMES)))
            getattr(bench, name)()
    finally:
        shutil.rmtree(folder)
    if not a.no_record:
        record(bench.rows)
    return 0 if not bench.missed else 1 if bench.missed_quietly else 5


if __name__ == "__main__":
    sys.exit(main())
