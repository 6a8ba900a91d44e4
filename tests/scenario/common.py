"""What the scenario tests share: starting squall, reading run files, and finding what was left behind.

A test file is run as `python3 test_x.py BUILD_DIR`; tests are plain unittest cases.
"""
import glob
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else os.path.join(
    ROOT, "build")
SQUALL = os.path.join(BUILD, "squall")
LIMIT_S = 150


class Squall(unittest.TestCase):
    """Each test gets a folder of its own and must leave no process, namespace, mount, journal or file behind."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="squalltest-")
        self.dir = self.folder.name
        os.chmod(self.dir, 0o755)
        self.state = os.path.join(self.dir, "state")
        self.tmp = os.path.join(self.dir, "tmp")
        os.mkdir(self.tmp)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.state, TMPDIR=self.tmp,
                        PATH=BUILD + "/breakwater:" + BUILD + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        os.mkdir(self.state, 0o700)
        self.mounts = mounts()

    def tearDown(self):
        try:
            self.assert_nothing_left()
        finally:
            self.folder.cleanup()

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w" if isinstance(text, str) else "wb") as f:
            f.write(text)
        return path

    def start(self, *args, **more):
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.STDOUT)
        return subprocess.Popen([SQUALL, *args], cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL, text=True, **more)

    def squall(self, *args, **more):
        """(exit status, output)"""
        p = self.start(*args, **more)
        try:
            out, _ = p.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            p.kill()
            out, _ = p.communicate()
            self.fail("squall %s did not end within %d s:\n%s" % (" ".join(args), LIMIT_S, out))
        return p.returncode, out or ""

    def expect(self, status, *args, **more):
        got, out = self.squall(*args, **more)
        self.assertEqual(got, status, "squall %s\n%s" % (" ".join(args), out))
        return out

    def run_file(self, name="t.run"):
        return os.path.join(self.dir, name)

    def query(self, sql, *params, name="t.run"):
        db = sqlite3.connect("file:%s?mode=rw" % self.run_file(name), uri=True)
        try:
            return db.execute(sql, params).fetchall()
        finally:
            db.close()

    def left_over(self):
        found = []
        found += ["mount " + m for m in mounts() - self.mounts if self.dir in m]
        found += ["process " + p for p in processes(self.dir)]
        found += ["file " + f for f in glob.glob(self.tmp + "/*")]
        found += ["journal " + f for f in glob.glob(self.state + "/**/journal*", recursive=True)]
        return found

    def assert_nothing_left(self, within_s=5.0):
        until = time.monotonic() + within_s
        while self.left_over() and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.left_over(), [], "left behind")


def mounts():
    with open("/proc/self/mountinfo") as f:
        return {line.split()[4] for line in f}


def in_own_lab(pid, mark):
    """Services have an environment of their own; the init of their PID namespace has the test's."""
    try:
        if os.readlink("/proc/%s/ns/pid" % pid) == os.readlink("/proc/self/ns/pid"):
            return False
        with open("/proc/%s/root/proc/1/environ" % pid, "rb") as f:
            return mark in f.read()
    except OSError:
        return False


def processes(folder):
    """Processes started by a test: their environment names its folder, or that of their lab's init does."""
    found = []
    mark = folder.encode()
    for path in glob.glob("/proc/[0-9]*/environ"):
        pid = path.split("/")[2]
        try:
            with open(path, "rb") as f:
                if mark not in f.read() and not in_own_lab(pid, mark):
                    continue
            with open("/proc/%s/stat" % pid) as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                found.append("%s %s %s" % (pid, state, f.read().replace(b"\0", b" ").decode(errors="replace")))
        except OSError:
            pass
    return found


def main():
    unittest.main(verbosity=2)
