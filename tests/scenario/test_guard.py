#!/usr/bin/env python3
"""Kills random members of the guard's family at random moments and looks for what is left.

usage: test_guard.py BUILD_DIR|HELPER [--rounds N] [--seed S] [--planted] [--scheme NAME]

Guards issue 2, "undo": main, agent, undertaker, pairs of them, or all three (then `recover`) are
killed with SIGKILL, or one of them is stopped with SIGSTOP, while faults are applied and undone.
After each round nothing may be left: no process, no stopped victim, no lowered limit, no group, no
folder, no journal. With --planted the undertaker is disabled, and the run passes only when the
harness finds left-overs: it proves that it can. With a BUILD_DIR and nothing else both are done.
"""
import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CLEAN_WITHIN_S = 8
SCHEMES = ["main", "agent", "undertaker", "main+agent", "main+undertaker", "agent+undertaker",
           "all", "agent, main", "undertaker, main", "close"]
# these take the seconds that a missed heartbeat takes
SLOW = {7: "stop", 17: "hang agent", 27: "stop", 37: "hang undertaker"}


def stat_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def alive(pid):
    fields = stat_of(pid)
    return fields is not None and fields[0] not in "ZX"


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").split("\0")
    except OSError:
        return []


class Round:
    def __init__(self, args, number, rng, base):
        self.helper, self.rng = args.helper, rng
        self.token = f"guard-{os.getpid()}-{number}"
        self.state = os.path.join(base, f"state-{number}")
        self.folder = os.path.join(base, f"squall-{self.token}")
        os.mkdir(self.state, 0o700)
        if args.planted:
            open(os.path.join(self.state, "planted"), "w", encoding="ascii").close()
        self.group_root = args.group_root
        self.victims = [subprocess.Popen([self.helper, "victim", "outside"]) for _ in range(3)]
        self.limits = resource.prlimit(self.victims[1].pid, resource.RLIMIT_NOFILE)
        self.group = self.groups(self.victims[2].pid)
        self.main = None
        self.log = open(os.path.join(base, f"log-{number}"), "w+", encoding="utf-8",
                        errors="replace")

    @staticmethod
    def groups(pid):
        try:
            with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
                return f.read()
        except OSError:
            return ""

    def start(self):
        pids = [v.pid for v in self.victims]
        if not self.group_root:
            pids[2] = 0
        self.main = subprocess.Popen(
            [self.helper, "run", self.state, self.token, str(self.rng.getrandbits(32))] +
            [str(p) for p in pids] + [self.folder], stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)

    def members(self):
        """Agents and undertakers of this round: they hold its journal as descriptor 3."""
        found = {"guard-agent": [], "guard-undertaker": []}
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            argv = cmdline(name)
            if len(argv) < 2 or argv[1] not in found or not alive(name):
                continue
            try:
                link = os.readlink(f"/proc/{name}/fd/3")
            except OSError:
                continue
            if link.startswith(self.state + "/"):
                found[argv[1]].append(int(name))
        return found

    def kill(self, who, signo=signal.SIGKILL):
        if who == "main":
            pids = [self.main.pid]
        else:
            pids = self.members()["guard-" + who]
        for pid in pids:
            self.kill_pid(pid, signo)

    @staticmethod
    def kill_pid(pid, signo=signal.SIGKILL):
        try:
            os.kill(pid, signo)
        except ProcessLookupError:
            pass

    def leftovers(self):
        left = []
        for kind, pids in self.members().items():
            left += [f"{kind} {p}" for p in pids]
        for name in os.listdir("/proc"):
            argv = cmdline(name) if name.isdigit() else []
            if self.token in argv and alive(name) and int(name) != self.main.pid:
                left.append(f"process {name} {argv[1]}")
        state = stat_of(self.victims[0].pid)
        if not state or state[0] == "T":
            left.append("victim is stopped")
        if resource.prlimit(self.victims[1].pid, resource.RLIMIT_NOFILE) != self.limits:
            left.append("limit is lowered")
        if self.groups(self.victims[2].pid) != self.group:
            left.append("victim is in a group")
        if self.group_root and os.path.exists(f"{self.group_root}/squall-{self.token}"):
            left.append("group is there")
        if os.path.exists(self.folder):
            left.append("folder is there")
        left += [f"journal {n}" for n in os.listdir(self.state) if n != "planted"]
        return left

    def await_clean(self):
        begin = time.monotonic()
        while time.monotonic() - begin < CLEAN_WITHIN_S:
            left = self.leftovers()
            if not left:
                return [], time.monotonic() - begin
            time.sleep(0.01)
        return left, time.monotonic() - begin

    def recover(self):
        r = subprocess.run([self.helper, "recover", self.state], stdout=self.log, stderr=self.log,
                           timeout=60, check=False)
        return r.returncode

    def pause(self, limit=0.25):
        time.sleep(self.rng.uniform(0, limit))

    def play(self, scheme):
        """Returns (left-overs, seconds until clean)."""
        self.start()
        self.pause()
        if scheme == "stop":
            time.sleep(0.3)
            self.kill("main", signal.SIGSTOP)
            left = self.await_clean()
            self.kill("main", signal.SIGCONT)
            self.wait_main()
            if "event 6 " not in self.text():  # GUARD_LOST
                return ["main did not learn that its family is gone"], left[1]
            return left if left[0] else (self.leftovers(), left[1])
        if scheme.startswith("hang "):
            time.sleep(0.3)
            self.kill(scheme.split()[1], signal.SIGSTOP)
            time.sleep(0.5)
            self.kill("main")
            self.wait_main()
            return self.await_clean()
        if scheme == "close":
            self.main.stdin.close()
            self.wait_main()
        elif scheme == "all":
            self.kill("main", signal.SIGSTOP)  # or it would replace the undertaker in between
            self.kill("undertaker", signal.SIGSTOP)
            for who in ("agent", "undertaker", "main"):
                self.kill(who)
            self.wait_main()
            if self.recover() != 0:
                return ["recover failed"], 0
        else:
            for step in scheme.split(", "):
                members = step.split("+")
                self.rng.shuffle(members)
                for who in members:
                    self.kill(who)
                self.pause(0.1)
            if "main" not in scheme:
                self.pause()
                self.kill("main")
            self.wait_main()
        left, seconds = self.await_clean()
        # killed before it had made its family: nobody was there, `squall undo` is the answer
        if left and not any("guard-" in x for x in left) and "started" not in self.text():
            self.recover()
            left, seconds = self.await_clean()
        return left, seconds

    def text(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_main(self):
        try:
            self.main.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.main.kill()
            self.main.wait()

    def end(self):
        """Ends whatever is left of the round, by pid and by the round's own token."""
        if self.main:
            self.main.kill()
            self.main.wait()
        for pids in self.members().values():
            for pid in pids:
                self.kill_pid(pid)
        time.sleep(0.02)
        self.recover()
        for name in os.listdir("/proc"):
            if name.isdigit() and self.token in cmdline(name) and alive(name):
                self.kill_pid(int(name))
        for v in self.victims:
            v.kill()
            v.wait()
        self.log.close()


def storm(args, rng, base):
    """All rounds; returns how many left something."""
    dirty, times = 0, {}
    for number in range(args.rounds):
        scheme = args.scheme or SLOW.get(number % 40) or rng.choice(SCHEMES)
        if args.planted:
            scheme = "main+agent"
        r = Round(args, number, rng, base)
        try:
            left, seconds = r.play(scheme)
            times.setdefault(scheme, []).append(seconds)
            if left:
                dirty += 1
                print(f"round {number} ({scheme}): left: {', '.join(left)}")
                if not args.planted:
                    print(r.text())
        finally:
            r.end()
        if dirty and args.planted:
            break
    for scheme, t in sorted(times.items()):
        t.sort()
        print(f"{scheme}: {len(t)} rounds, clean after {t[len(t) // 2] * 1e3:.0f} ms (median), "
              f"{t[-1] * 1e3:.0f} ms (longest)")
    return dirty


def run(args, rng):
    base = tempfile.mkdtemp(prefix="guard-harness-")
    try:
        dirty = storm(args, rng, base)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    if args.planted:
        print("the planted defect was found" if dirty else "the planted defect was NOT found")
        return 0 if dirty else 1
    print(f"{dirty} of {args.rounds} rounds left something")
    return 1 if dirty else 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("helper", metavar="BUILD_DIR|HELPER")
    p.add_argument("--rounds", type=int, default=40)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--planted", action="store_true")
    p.add_argument("--scheme")
    args = p.parse_args()
    if os.geteuid() != 0:
        print("skipped: makes PID namespaces and groups, needs root")
        return 77
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    rng = random.Random(seed)
    both = os.path.isdir(args.helper) and not args.planted
    if os.path.isdir(args.helper):
        args.helper = os.path.join(args.helper, "tests", "unit", "fault", "guard_family")
    args.helper = os.path.abspath(args.helper)
    args.group_root = subprocess.run([args.helper, "cgroup-root"], capture_output=True, text=True,
                                     check=True).stdout.strip()
    print(f"seed {seed}, {args.rounds} rounds, groups in {args.group_root or 'no place'}",
          flush=True)
    status = run(args, rng)
    if status == 0 and both:
        args.planted, args.rounds = True, 10
        status = run(args, rng)
    return status


if __name__ == "__main__":
    sys.exit(main())
