#!/usr/bin/env python3
"""Runs the test suites and says in one closing line what came of it.

    run_scenarios.py BUILD_DIR [--unit [--match REGEX] | --scenario] [NAME...]

Unit tests are Meson's suite 'unit', with --match those whose name the pattern finds. A scenario is a program
tests/scenario/test_NAME.py, called with BUILD_DIR, or, where it takes other arguments, a test of Meson's suite
'scenario'. It is a unittest program, or any other that exits 0 (passed), 77 (skipped: its last line says why) or
anything else (failed). A line `# timeout: SECONDS` near its top changes the limit of 900 s. NAMEs select scenarios.

Scenarios measure time, so they run one after the other, each with a TMPDIR and XDG_RUNTIME_DIR of its own. What
one leaves behind when it ends - a process in whatever namespace, a mount, a pinned namespace, a network
interface, a control group, a file - is a failure, and is removed.

Exit status 0 when something ran and nothing failed.
"""
import argparse
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 900
SETTLE_S = 5.0  # a process that was told to end may take so long
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS, MS_PRIVATE_REC = 0x20000, 0x44000


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, verdict, n=1):
        setattr(self, verdict, getattr(self, verdict) + n)

    def say(self, verdict, name, seconds, note=""):
        word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[verdict]
        print("%s %8.2f s  %s%s" % (word, seconds, name, ": " + note if note else ""), flush=True)

    def line(self):
        text = "%d passed, %d failed" % (self.passed, self.failed)
        return text + (", %d skipped" % self.skipped if self.skipped else "")


# --- unit tests -----------------------------------------------------------------------------------------------

def unit_cases(test):
    """(passed, skipped) cases of one unit test program, by its last line; a program without one is one case."""
    match = re.search(r"^(\d+) run, (\d+) skipped$", test.get("stdout", ""), re.M)
    if match:
        return int(match[1]) - int(match[2]), int(match[2])
    return (0, 1) if test["result"] == "SKIP" else (1, 0)


def meson_tests(build, suite):
    if not os.path.exists(os.path.join(build, "build.ninja")):
        return []
    listed = subprocess.run(["meson", "introspect", "--tests", build], stdout=subprocess.PIPE, check=True).stdout
    return [test for test in json.loads(listed) if any(s.split(":")[-1] == suite for s in test["suite"])]


def unit_names(build, pattern):
    return [test["name"] for test in meson_tests(build, "unit") if re.search(pattern, test["name"])]


def run_unit(build, pattern, tally):
    names = unit_names(build, pattern) if pattern else []
    if pattern and not names:
        tally.say("failed", "unit tests", 0, "no name has \"%s\" in it" % pattern)
        tally.add("failed")
        return
    log = os.path.join(build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    run = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--timeout-multiplier", "3", "--suite", "unit", *names],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    tests = []
    if os.path.exists(log):
        with open(log) as f:
            tests = [json.loads(line) for line in f]
    if not tests:
        print(run.stdout)
        tally.say("failed", "meson test", 0, "no unit test ran")
        tally.add("failed")
    for test in sorted(tests, key=lambda t: t["name"]):
        say_unit(test, tally)


def say_unit(test, tally):
    name = "unit " + re.sub(r"^.* / ", "", test["name"])
    if test["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
        passed, skipped = unit_cases(test)
        tally.add("passed", passed)
        tally.add("skipped", skipped)
        note = "%d case%s" % (passed + skipped, "" if passed + skipped == 1 else "s")
        tally.say("passed" if passed else "skipped", name, test["duration"], note)
        for reason in re.findall(r"^(\w+)\n  skipped: (.*)$", test.get("stdout", ""), re.M):
            print("     skip             %s: %s" % reason)
        return
    tally.add("failed")
    tally.say("failed", name, test["duration"], test["result"].lower())
    print("\n".join((test.get("stdout", "") + test.get("stderr", "")).splitlines()[-40:]))


# --- what is left behind --------------------------------------------------------------------------------------

def descendants():
    """pid -> command of every process below this one, in whatever namespaces. Orphans count: we are their reaper."""
    parents, commands = {}, {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                left, right = f.read().rsplit(")", 1)
            with open(path[:-4] + "cmdline", "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        pid, name = left.split(" (", 1)
        state, parent = right.split()[:2]
        if state not in "ZX":
            parents[int(pid)] = int(parent)
            commands[int(pid)] = command or name
    found, todo = {}, [os.getpid()]
    while todo:
        parent = todo.pop()
        below = [pid for pid, p in parents.items() if p == parent and pid not in found]
        found.update((pid, commands[pid]) for pid in below)
        todo += below
    return found


def own_namespaces(pid):
    """The kinds of namespace in which a process differs from us."""
    kinds = []
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
        try:
            if os.readlink("/proc/%d/ns/%s" % (pid, kind)) != os.readlink("/proc/self/ns/" + kind):
                kinds.append(kind)
        except OSError:
            pass
    return kinds


def machine_state(folder):
    """Things that outlive a process, as far as they can be ours."""
    found = set()
    with open("/proc/self/mountinfo") as f:
        for line in f:
            mine, _, source = line.partition(" - ")
            if "squall" in line or folder in line or source.startswith("nsfs"):
                found.add("mount " + mine.split()[4])
    found.update("network interface " + name for name in os.listdir("/sys/class/net"))
    found.update("control group " + path for path in glob.glob("/sys/fs/cgroup/**/*squall*", recursive=True)
                 if not others_group(path))
    return found


def others_group(path):
    """A control group of another user, or with processes of somebody else in it, is another run's."""
    try:
        with open(path + "/cgroup.procs") as f:
            members = {int(line) for line in f}
        return os.stat(path).st_uid != os.geteuid() or bool(members - set(descendants()))
    except OSError:
        return True


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def left_behind(folder, before):
    until = time.monotonic() + SETTLE_S
    while True:
        reap()
        alive = descendants()
        state = machine_state(folder) - before
        files = [os.path.relpath(os.path.join(root, name), folder)
                 for root, dirs, names in os.walk(folder) for name in dirs + names if name not in ("tmp", "run")]
        if not (alive or state) or time.monotonic() > until:
            break
        time.sleep(0.05)
    notes = ["process %d (%s) %s" % (pid, ",".join(own_namespaces(pid)) or "our namespaces", command)
             for pid, command in alive.items()]
    notes += sorted(state) + ["file " + name for name in files[:20]]
    for pid in alive:
        kill(pid)
    return notes


# --- scenarios ------------------------------------------------------------------------------------------------

def limit_of(path):
    with open(path) as f:
        match = re.search(r"^# timeout: (\d+)$", "".join(f.readlines()[:20]), re.M)
    return int(match[1]) if match else LIMIT_S


class Scenario:
    """One test program; the result lines of its unittest cases are shown as they come."""

    CASE = re.compile(r"^(\w+) \(.*\)(?: \.\.\. .*)?$")
    RESULT = re.compile(r"^(?:.*\.\.\. )?(ok|FAIL|ERROR|skipped .*|expected failure|unexpected success)$")

    def __init__(self, name, command, limit_s, tally):
        self.name, self.command, self.limit_s, self.tally = name, command, limit_s, tally
        self.lines, self.case, self.case_start, self.timed_out = [], "", 0, False

    def run(self):
        start = self.case_start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sq-") as folder:
            os.chmod(folder, 0o755)
            before = machine_state(folder)
            status = self.run_in(folder)
            notes = left_behind(folder, before)
        self.count(status, time.monotonic() - start)
        if notes:
            self.say("failed", "left something behind", 0)
            print("\n".join("     left: " + note for note in notes))

    def run_in(self, folder):
        env = dict(os.environ, TMPDIR=folder + "/tmp", XDG_RUNTIME_DIR=folder + "/run")
        for name in ("/tmp", "/run"):
            os.mkdir(folder + name, 0o700)
        program = subprocess.Popen(self.command, env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        timer = threading.Timer(self.limit_s, self.end, [program])
        timer.start()
        for line in program.stdout:
            self.take(line.decode(errors="replace").rstrip("\n"))
        status = program.wait()
        timer.cancel()
        timer.join()
        return status

    def end(self, program):
        self.timed_out = True
        os.killpg(program.pid, signal.SIGTERM)
        try:
            program.wait(SETTLE_S)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
        for pid in descendants():  # whoever still holds the pipe
            kill(pid)

    def take(self, line):
        self.lines.append(line)
        case, result = self.CASE.match(line), self.RESULT.match(line)
        if case:
            self.case = case[1]
        if result and self.case:
            word, now = result[1], time.monotonic()
            verdict = ("passed" if word in ("ok", "expected failure") else
                       "skipped" if word.startswith("skipped") else "failed")
            self.tally.say(verdict, self.name + " " + self.case, now - self.case_start,
                           word[8:].strip("'\"") if verdict == "skipped" else "")
            self.case, self.case_start = "", now

    def say(self, verdict, note, seconds):
        self.tally.add(verdict)
        self.tally.say(verdict, self.name, seconds, note)

    def count(self, status, seconds):
        """The numbers are those of unittest's last lines; a program without them is one case."""
        text = "\n".join(self.lines)
        ran = re.search(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$", text, re.M)
        if self.timed_out:
            self.say("failed", "not done within %d s %s" % (self.limit_s, self.case), seconds)
        elif ran:
            counts = dict(part.split("=") for part in (ran[2] or "").split(", ") if part)
            failed = sum(int(counts.get(word, 0)) for word in ("failures", "errors", "unexpected successes"))
            skipped = int(counts.get("skipped", 0))
            passed = max(0, int(ran[1]) - failed - skipped)
            for verdict, n in (("passed", passed), ("failed", failed), ("skipped", skipped)):
                self.tally.add(verdict, n)
            if (status != 0) != (failed != 0) or passed + failed + skipped == 0:
                self.say("failed", "%s cases ran, exit status %d" % (ran[1], status), seconds)
        elif status == 77:
            self.say("skipped", self.lines[-1] if self.lines else "no reason given", seconds)
        else:
            self.say("failed" if status else "passed", "exit status %d" % status if status else "", seconds)
        if status not in (0, 77):
            print("\n".join("     | " + line for line in self.lines[-80:]))


def scenarios(build, tally):
    by_meson = meson_tests(build, "scenario")
    elsewhere = {os.path.realpath(word) for test in by_meson for word in test["cmd"]}
    found = [Scenario(test["name"], test["cmd"], test["timeout"] * 3, tally) for test in by_meson]
    for path in glob.glob(os.path.join(HERE, "scenario", "test_*.py")):
        if os.path.realpath(path) not in elsewhere:
            name = os.path.basename(path)[5:-3]
            found.append(Scenario(name, [sys.executable, path, build], limit_of(path), tally))
    return sorted(found, key=lambda scenario: scenario.name)


def run_scenarios(build, names, tally):
    for scenario in scenarios(build, tally):
        if not names or scenario.name in names:
            scenario.run()


def stand_apart():
    """Orphans of the tests become ours; as root, mounts of the tests are seen by us alone and go with us."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.geteuid() == 0 and libc.unshare(CLONE_NEWNS) == 0:
        libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_PRIVATE_REC), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--unit", action="store_true", help="unit tests only")
    parser.add_argument("--match", metavar="REGEX", help="these unit tests only")
    parser.add_argument("--scenario", action="store_true", help="scenarios only")
    options = parser.parse_intermixed_args()
    build, tally = os.path.abspath(options.build), Tally()
    stand_apart()
    if not options.scenario and not options.names:
        run_unit(build, options.match, tally)
    if not options.unit:
        run_scenarios(build, options.names, tally)
    print(tally.line())
    return 0 if tally.failed == 0 and tally.passed else 1


if __name__ == "__main__":
    sys.exit(main())
