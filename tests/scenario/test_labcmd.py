# timeout: 400
"""Issue 3: squall lab up, enter, status, down and squall chaos apply, list, delete, as a person at a terminal uses
them; whatever is killed or sent, nothing may be left. Each case runs as root and as nobody, where that is possible.
"""
import glob
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from common import SQUALL, Squall, main

NOBODY = 65534
PLAN = """
squall: 1
name: Demo lab
lab:
  services:
    redis:
      labels: {app: redis}
      run: redis-server --port 6379 --save "" --bind 0.0.0.0 --protected-mode no
      ready: {tcp: 6379}
      restart: {policy: always, backoff: 50ms}
    client:
      # a grandchild in a session of its own: nothing but the namespace can catch it
      run: sh -c "setsid sleep 1000 & sleep 1000"
      env: {COLOUR: blue}
      needs: [redis]
"""
FAULT = """
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: redis-down}
spec: {action: pod-failure, mode: all, selector: {labelSelectors: {app: redis}}}
"""
STUBBORN = """
squall: 1
name: stubborn
lab:
  services:
    a: {run: sh -c "trap '' TERM INT; echo set; while :; do sleep 1; done", ready: {log: set}, stop: {grace: 60s}}
"""
NEVER = """
squall: 1
name: never
lab: {services: {a: {run: sh -c "echo my last words; sleep 100", ready: {tcp: 99, within: %s}}}}
"""


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, words, folder, env):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, env)

    def say(self, text, answer=""):
        os.write(self.fd, text.encode() + b"\n" * (not text.endswith("\x1a")))
        end = time.monotonic() + 10
        while answer.encode() not in self.seen:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("no %r in %r" % (answer, self.seen))
            self.seen += os.read(self.fd, 4096)
        self.seen = self.seen.split(answer.encode(), 1)[1] if answer else self.seen

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)  # who still lives gets SIGHUP


class Cases:
    prefix = ()

    def setUp(self):
        if os.geteuid() == 0:
            os.chmod(tempfile.gettempdir(), os.stat(tempfile.gettempdir()).st_mode | 0o011)
        super().setUp()
        self.program = SQUALL
        if self.prefix:  # nobody may not be allowed to look into the build folder
            self.program = shutil.copy(SQUALL, self.dir)
            for path in (self.dir, self.state, self.tmp):
                os.chown(path, NOBODY, NOBODY)
        self.env["SHELL"] = "/bin/sh"
        self.plan = self.write("demo.yaml", PLAN)
        self.fault = self.write("f.yaml", FAULT)

    def start(self, *args, **more):
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.STDOUT)
        return subprocess.Popen([*self.prefix, self.program, *args], cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL,
                                text=True, **more)

    def squall(self, *args, **more):
        """As in common, but a lab that holds the output of `up -d` must not hang the test."""
        p = self.start(*args, **more)
        try:
            out, _ = p.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            p.stdout.close()
            self.fail("squall %s did not end, or its output is still held" % " ".join(args))
        return p.returncode, out or ""

    def left_over(self):
        return super().left_over() + ["place " + p for p in glob.glob(self.state + "/squall/*")]

    def tearDown(self):
        for place in self.places():  # of a test that failed
            try:
                os.kill(int(place.rsplit(".", 1)[1]), signal.SIGTERM)
            except (ProcessLookupError, ValueError):
                pass
        super().tearDown()

    def places(self):
        return glob.glob(self.state + "/squall/squall-lab-*")

    def up(self, *more):
        return self.expect(0, "lab", "up", self.plan, "-d", *more)

    def status(self, *more):
        return json.loads(self.expect(0, "lab", "status", "--json", *more))

    def keeper(self):
        return self.status()[0]["lab"]["pid"]

    def faults(self):
        return {f["name"]: f for f in json.loads(self.expect(0, "chaos", "list", "--json"))}

    def until(self, what, limit_s=10):
        end = time.monotonic() + limit_s
        while not what():
            self.assertLess(time.monotonic(), end, "did not come")
            time.sleep(0.02)

    # --- the ordinary way

    def test_up_status_enter_down(self):
        out = self.up()
        for word in ("redis: ready after", "Demo-lab is up", "squall lab enter redis", "squall chaos apply FILE", "squall lab down"):
            self.assertIn(word, out)
        self.assertNotIn("\x1b", out)
        text = self.expect(0, "lab", "status")
        for word in ("Demo-lab: up", "10.213.0.10", "ready", "no faults", "/log"):
            self.assertIn(word, text)
        told = self.status()[0]
        self.assertEqual([(s["name"], s["state"], s["restarts"], s["address"]) for s in told["services"]],
                         [("redis", "ready", 0, "10.213.0.10"), ("client", "ready", 0, "10.213.0.11")])
        self.assertEqual(os.stat(self.places()[0]).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(self.places()[0] + "/control").st_mode & 0o777, 0o600)
        self.assertIn("nothing is left", self.expect(0, "lab", "down"))
        self.assert_nothing_left()
        self.expect(4, "lab", "status")

    def test_enter(self):
        self.up()
        run = lambda *words, status=0, service="client": self.expect(status, "lab", "enter", service, "--", *words)
        self.assertEqual(run("hostname"), "client\n")
        self.assertEqual(run("hostname", service="redis"), "redis\n")
        self.assertIn("10.213.0.10\tredis", run("cat", "/etc/hosts"))
        self.assertEqual(run("redis-cli", "-h", "redis", "ping"), "PONG\n")
        self.assertEqual(run("sh", "-c", "echo $COLOUR $HOME"), "blue %s\n" % run("pwd").strip())
        self.assertIn("/client\n", run("pwd"))
        self.assertEqual(run("cat", "/proc/1/comm"), "squall-init\n")
        self.assertNotIn("XDG_RUNTIME_DIR", run("env"))
        self.assertEqual(run("id", "-u"), "%d\n" % (NOBODY if self.prefix else os.geteuid()))
        run("sh", "-c", "exit 7", status=7)
        run("sh", "-c", "kill -TERM $$", status=143)
        self.assertIn("No such file", run("no-such-program", status=127))
        self.assertIn("Permission denied", run("/etc/hosts", status=126))
        self.assertIn("did you mean \"client\"", run("true", status=2, service="clinet"))
        self.assertEqual(self.expect(0, "lab", "enter", "client", "echo", "x"), "x\n")
        self.expect(0, "lab", "down")

    def test_shell_on_a_terminal(self):
        self.up()
        with Terminal([*self.prefix, self.program, "lab", "enter", "client"], self.dir, self.env) as t:
            t.say("echo host=$(hostname) tty=$(tty | cut -c1-8)", "host=client tty=/dev/pts")
            t.say("sleep 100; echo over=$((1 + 1))")
            time.sleep(0.4)
            t.say("\x03echo still=$((40 + 2))", "still=42")  # Ctrl-C is the command's, not ours
            t.say("exit 5")
            self.assertEqual(t.status(), 5)
        self.expect(0, "lab", "down")

    def test_job_control(self):
        self.up()
        with Terminal([*self.prefix, "bash", "--norc", "-i"], self.dir, dict(self.env, PS1="")) as t:
            t.say("%s lab enter client -- sh -c 'echo begun=$((20 + 3)); sleep 100'" % self.program, "begun=23")
            time.sleep(0.4)  # a shell between vfork and exec does not stop: the kernel makes it wait for its child
            t.say("\x1a", "Stopped")
            t.say("echo status=$(( $? + 1000 ))", "status=11")
            t.say("fg", "sleep 100")
            time.sleep(0.3)
            t.say("\x03echo status=$(( $? + 1000 ))", "status=1130")
            t.say("%s lab enter client -- cat" % self.program)
            time.sleep(0.3)
            self.expect(0, "lab", "down")  # while it has the terminal
            t.say("", "the lab has ended")
            t.say("echo alive=$((40 + 2))", "alive=42")
            t.say("exit 0")
            self.assertEqual(t.status(), 0)

    def test_foreground(self):
        for signo, status in ((signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            with self.subTest(signo):
                p = self.start("lab", "up", self.plan)
                self.until(lambda: self.squall("lab", "status")[1].count("ready") == 2)
                p.send_signal(signo)
                out, _ = p.communicate(timeout=20)
                self.assertEqual(p.returncode, status, out)
                self.assertIn("all services are stopped", out)
                self.assertIn("confirmed: nothing is left", out)
                self.assert_nothing_left()

    def test_foreground_ended_by_down(self):
        p = self.start("lab", "up", self.plan)
        self.until(lambda: self.squall("lab", "status")[0] == 0)
        self.expect(0, "lab", "down")
        out, _ = p.communicate(timeout=20)
        self.assertEqual(p.returncode, 0, out)

    def test_interrupted_twice(self):
        p = self.start("lab", "up", self.write("s.yaml", STUBBORN))
        self.until(lambda: "stubborn: up" in self.squall("lab", "status")[1])
        p.send_signal(signal.SIGINT)
        time.sleep(0.4)
        self.assertIsNone(p.poll())
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=10)
        self.assertEqual(p.returncode, 130, out)

    # --- faults by hand

    def test_chaos(self):
        self.up()
        self.assertEqual(self.expect(0, "chaos", "list"), "no faults\n")
        out = self.expect(0, "chaos", "apply", self.fault)
        self.assertIn("pod-failure on redis: in force until it is deleted", out)
        self.assertRegex(out, "asked +stopped and refusing connections")
        self.assertRegex(out, "measured +redis: process gone after .*, its port refuses connections")
        self.assertIn("squall chaos delete redis-down", self.expect(4, "chaos", "apply", self.fault))
        self.assertIn("in force", self.expect(0, "chaos", "list"))
        self.assertIn("held down", self.expect(0, "lab", "status"))
        self.expect(1, "lab", "enter", "client", "--", "redis-cli", "-h", "redis", "ping")
        self.assertEqual(self.expect(0, "lab", "enter", "redis", "--", "hostname"), "redis\n")  # nothing runs in it
        self.assertRegex(self.expect(0, "chaos", "delete", "redis-down"), "undone: redis: ready again after")
        self.expect(0, "lab", "enter", "client", "--", "redis-cli", "-h", "redis", "ping")
        self.assertEqual(self.faults()["redis-down"]["state"], "ended")
        self.expect(0, "chaos", "delete", "--all")  # only its row is left
        self.assertEqual(self.faults(), {})
        self.assertIn("there is no fault", self.expect(4, "chaos", "delete", "redis-down"))
        self.expect(0, "lab", "down")

    def test_a_duration_ends_a_fault(self):
        self.up()
        out = self.expect(0, "chaos", "apply", self.fault, "--for", "700ms")
        self.assertIn("in force for", out)
        self.assertTrue(0 < self.faults()["redis-down"]["left_ns"] <= 700e6)
        self.until(lambda: not self.faults()["redis-down"]["in_force"])
        self.assertIn("time limit", self.faults()["redis-down"]["text"])
        self.assertEqual(self.status()[0]["services"][0]["state"], "ready")
        self.write("f.yaml", FAULT.replace("mode: all", "mode: all, duration: 300ms"))
        self.assertIn("in force for", self.expect(0, "chaos", "apply", self.fault))
        self.until(lambda: not self.faults()["redis-down"]["in_force"])
        self.expect(0, "lab", "down")

    def test_down_undoes_what_is_in_force(self):
        self.up()
        self.expect(0, "chaos", "apply", self.fault)
        self.expect(0, "lab", "down")

    def test_one_shot_many_times(self):
        """A kill is over at once; neither the list nor the guard runs full of them."""
        self.write("k.yaml", FAULT.replace("pod-failure", "pod-kill").replace("redis-down", "kill"))
        self.up()
        for i in range(3):
            self.assertIn(": done", self.expect(0, "chaos", "apply", "k.yaml"))
            self.until(lambda: self.status()[0]["services"][0]["ready"])
        self.assertEqual(self.faults()["kill"]["state"], "done")
        self.assertEqual(self.status()[0]["services"][0]["restarts"], 3)
        self.expect(0, "lab", "down")

    def test_mistakes_in_manifests(self):
        self.up()
        bad = self.write("bad.yaml", FAULT.replace("mode: all", "mood: all"))
        self.assertIn("bad.yaml:5:", self.expect(3, "chaos", "apply", self.fault, bad))
        self.assertEqual(self.faults(), {})  # not the good one either
        self.expect(3, "chaos", "apply", "nope.yaml")
        self.expect(3, "chaos", "apply", self.write("nul.yaml", b"a\0b"))
        self.expect(3, "chaos", "apply", self.write("big.yaml", "# " + "x" * 70000))
        nobody = self.write("n.yaml", FAULT.replace("app: redis", "app: nobody"))
        self.assertIn("could not be applied", self.expect(4, "chaos", "apply", nobody))
        self.expect(0, "lab", "down")

    def test_same_seed_same_draws(self):
        one = self.write("one.yaml", FAULT.replace("mode: all, selector: {labelSelectors: {app: redis}}", "mode: one"))
        drawn = []
        for _ in range(2):
            self.up("--seed", "7")
            for i in range(3):
                self.expect(0, "chaos", "apply", one, "--for", "1m")
                drawn.append(self.faults()["redis-down"]["targets"])
                self.expect(0, "chaos", "delete", "redis-down")
            self.expect(0, "lab", "down")
        self.assertEqual(drawn[:3], drawn[3:])

    def test_without_namespaces(self):
        self.env["SQUALL_LAB_TIER"] = "loopback"
        out = self.up()
        self.assertIn("a lesser lab", out)
        self.assertRegex(self.status()[0]["services"][0]["address"], r"^127\.213\.")
        self.assertIn("squall doctor", self.expect(4, "lab", "enter", "client", "--", "true"))
        self.expect(0, "chaos", "apply", self.fault)
        self.expect(0, "lab", "down")

    # --- several labs, none, stale ones

    def test_no_lab(self):
        for words in (["lab", "status"], ["lab", "down"], ["lab", "enter", "x"], ["chaos", "apply", self.fault], ["chaos", "list"],
                      ["chaos", "delete", "x"]):
            self.assertIn("squall lab up", self.expect(4, *words))
        self.assertEqual(json.loads(self.squall("lab", "status", "--json", stderr=subprocess.DEVNULL)[1]), [])

    def test_several_labs(self):
        self.up()
        self.assertIn("runs already", self.expect(4, "lab", "up", self.plan, "-d"))
        self.assertIn("--lab other", self.up("--name", "other"))
        self.assertEqual(len(self.status()), 2)
        self.assertEqual([s["lab"]["name"] for s in self.status("--lab", "other")], ["other"])
        self.assertIn("--lab NAME", self.expect(2, "lab", "down"))
        self.assertIn("other", self.expect(4, "lab", "down", "--lab", "third"))
        self.expect(0, "lab", "enter", "client", "--lab", "other", "--", "redis-cli", "-h", "redis", "set", "x", "1")
        self.assertEqual(self.expect(0, "lab", "enter", "client", "--lab", "Demo-lab", "--", "redis-cli", "-h", "redis", "get", "x"), "\n")
        self.expect(0, "lab", "down", "--lab", "other")
        self.expect(0, "lab", "down")

    def test_same_name_at_the_same_time(self):
        racers = [self.start("lab", "up", self.plan, "-d") for _ in range(4)]
        outs = [p.communicate(timeout=60)[0] for p in racers]
        self.assertEqual(sorted(p.returncode for p in racers), [0, 4, 4, 4], outs)
        self.expect(0, "lab", "down")

    def test_stale_socket(self):
        folder = self.state + "/squall/squall-lab-old.1"
        os.makedirs(folder, 0o700)
        os.chmod(self.state + "/squall", 0o700)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.bind(folder + "/control")
        if self.prefix:
            for path in (os.path.dirname(folder), folder, folder + "/control"):
                os.chown(path, NOBODY, NOBODY)
        self.assertIn("\"old\" was killed", self.expect(4, "lab", "status"))
        self.up("--name", "old")
        self.assertEqual(len(json.loads(self.squall("lab", "status", "--json", stderr=subprocess.DEVNULL)[1])), 1)
        self.expect(0, "lab", "down")
        shutil.rmtree(os.path.dirname(folder))

    # --- it does not come up

    def test_not_ready(self):
        for more in ((), ("-d",)):
            out = self.expect(4, "lab", "up", self.write("n.yaml", NEVER % "500ms"), *more)
            self.assertIn("\"a\" did not become ready", out)
            self.assertIn("my last words", out)
            self.assert_nothing_left()

    def test_wrong_plans_and_words(self):
        self.assertIn("bad.yaml:", self.expect(3, "lab", "up", self.write("bad.yaml", PLAN.replace("run:", "rnu:")), "-d"))
        self.assertIn("no lab", self.expect(3, "lab", "up", self.write("e.yaml", "squall: 1\nname: x\n")))
        self.expect(3, "lab", "up", "nope.yaml")
        for words in (["lab"], ["lab", "upp"], ["lab", "up"], ["lab", "up", "a", "b"], ["lab", "up", self.plan, "--name", "a/b"],
                      ["lab", "up", self.plan, "--seed", "x"], ["lab", "enter"], ["lab", "down", "x"], ["lab", "status", "--jsno"],
                      ["chaos"], ["chaos", "apply"], ["chaos", "apply", self.fault, "--for", "5"], ["chaos", "delete"],
                      ["chaos", "delete", "x", "--all"], ["chaos", "lits"]):
            with self.subTest(words):
                self.assertIn("squall", self.expect(2, *words))
        self.assertIn("did you mean \"status\"", self.expect(2, "lab", "sttaus"))
        for group in ("lab", "chaos"):
            self.assertIn("usage: squall " + group, self.expect(0, group, "--help"))

    def test_interrupted_while_it_starts(self):
        plan = self.write("n.yaml", NEVER % "60s")
        for more in ((), ("-d",)):
            for signo, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                with self.subTest(more=more, signo=signo):
                    p = self.start("lab", "up", plan, *more)
                    self.until(lambda: self.squall("lab", "status")[0] == 0)
                    p.send_signal(signo)
                    out, _ = p.communicate(timeout=20)
                    self.assertEqual(p.returncode, status, out)
                    self.assert_nothing_left()

    def test_killed_while_it_starts_in_the_background(self):
        p = self.start("lab", "up", self.write("n.yaml", NEVER % "60s"), "-d", stdout=subprocess.DEVNULL)
        self.until(lambda: self.squall("lab", "status")[0] == 0)
        p.kill()
        p.wait()
        self.assert_nothing_left(10)

    # --- sudden deaths

    def test_keeper_is_killed(self):
        for signo in (signal.SIGKILL, signal.SIGSEGV):
            self.up()
            self.expect(0, "chaos", "apply", self.fault)
            guest = self.start("lab", "enter", "client", "--", "sleep", "1000")
            time.sleep(0.3)
            os.kill(self.keeper(), signo)
            out, _ = guest.communicate(timeout=10)
            self.assertEqual(guest.returncode, 137, out)
            self.assertIn("the lab has ended", out)
            self.assert_nothing_left(10)
            self.expect(4, "lab", "status")

    def test_whole_family_is_killed(self):
        self.up()
        pids = [int(f.split()[1]) for f in super().left_over() if f.startswith("process") and "squall" in f]
        for signo in (signal.SIGSTOP, signal.SIGKILL):  # so that nobody replaces anybody in between
            for pid in pids:
                try:
                    os.kill(pid, signo)
                except ProcessLookupError:
                    pass
        self.until(lambda: not any(f.startswith("process") for f in super(Cases, self).left_over()))
        self.assertIn("was killed and left", self.expect(4, "lab", "status"))
        self.expect(0, "undo")
        self.assert_nothing_left()

    def test_guest_ends_with_the_lab_even_when_stopped(self):
        """A zombie that nobody reaps would hold up the end of the PID namespace."""
        self.up()
        guest = self.start("lab", "enter", "client", "--", "sh", "-c", "sleep 1000; true")
        time.sleep(0.3)
        guest.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        self.expect(0, "lab", "down")
        self.assertLess(time.monotonic() - begin, 8)
        guest.send_signal(signal.SIGCONT)
        guest.communicate(timeout=10)
        self.assertEqual(guest.returncode, 137)

    def test_guest_leaves_nothing_when_killed(self):
        self.up()
        guest = self.start("lab", "enter", "client", "--", "sleep", "1234")
        asleep = lambda: any("sleep 1234" in f and "enter" not in f for f in super(Cases, self).left_over())
        self.until(asleep)
        guest.kill()
        guest.wait()
        guest.stdout.close()
        self.until(lambda: not asleep())
        self.expect(0, "lab", "down")

    def test_guest_outlives_a_restart_of_its_service(self):
        self.write("k.yaml", FAULT.replace("pod-failure", "pod-kill"))
        self.up()
        guest = self.start("lab", "enter", "redis", "--", "sh", "-c", "sleep 1.5; echo still here")
        time.sleep(0.3)
        self.expect(0, "chaos", "apply", "k.yaml")
        self.until(lambda: self.status()[0]["services"][0]["restarts"] == 1)
        self.assertEqual(guest.communicate(timeout=10)[0], "still here\n")
        self.expect(0, "lab", "down")

    def test_service_that_dies_is_told(self):
        self.up()
        self.expect(0, "lab", "enter", "client", "--", "redis-cli", "-h", "redis", "shutdown", "nosave")
        self.until(lambda: self.status()[0]["services"][0]["restarts"] == 1)
        with open(self.places()[0] + "/log") as f:
            self.assertIn("redis: exited with 0", f.read())
        self.expect(0, "lab", "down")

    # --- the socket

    def talk(self, *messages, wait=True):
        """What the keeper answers to raw messages on one connection: [] when it just closes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            at = os.open(self.places()[0], os.O_PATH)
            s.connect("/proc/self/fd/%d/control" % at)
            s.settimeout(10)
            os.close(at)
            answers = []
            try:
                for message in messages:
                    s.send(message)
                while wait:
                    answer = s.recv(1 << 20)
                    if not answer:
                        break
                    answers.append(json.loads(answer))
            except (BrokenPipeError, ConnectionResetError):
                pass
            return answers

    def test_malformed_messages(self):
        self.up()
        cases = [b"", b"x", b"{", b"[]", b"null", b"{}", b'{"squall":2,"ask":"status"}', b'{"squall":1}', b'{"squall":1,"ask":7}',
                 b'{"squall":1,"ask":"nonsense"}', b'{"squall":1,"ask":"status","more":1}', b'{"squall":1,"ask":"status","ask":"down"}',
                 b'{"squall":1,"ask":"enter"}', b'{"squall":1,"ask":"enter","name":""}', b'{"squall":1,"ask":"enter","name":"' + b"x" * 300 + b'"}',
                 b'{"squall":1,"ask":"chaos-apply","name":"f"}', b'{"squall":1,"ask":"chaos-apply","name":"f","text":"' + b"x" * 70000 + b'"}',
                 b'{"squall":1,"ask":"chaos-apply","name":"f","text":"a","for_ns":-1}', b"[" * 100000, b"\xff" * 1000,
                 b'{"squall":1,"ask":"chaos-apply","name":"f","text":"a\\u0000b"}', b" " * 190000]
        for message in cases:
            with self.subTest(message[:60]):
                answers = self.talk(message)
                if message:
                    self.assertEqual([a["status"] for a in answers], [2])
        self.assertEqual([a["status"] for a in self.talk(b'{"squall":1,"ask":"chaos-apply","name":"f.yaml","text":"a: ["}')], [3])
        self.assertLessEqual(len(self.talk(b'{"squall":1,"ask":"status"}', b'{"squall":1,"ask":"down"}')), 1)  # the second is not taken
        for _ in range(50):  # gone before the answer
            self.talk(b'{"squall":1,"ask":"status"}', wait=False)
        gone = json.dumps({"squall": 1, "ask": "chaos-apply", "name": "f.yaml", "text": FAULT}).encode()
        self.talk(gone, wait=False)
        self.until(lambda: self.faults().get("redis-down", {}).get("state") == "in force")
        self.assertEqual(self.status()[0]["lab"]["state"], "up")
        self.expect(0, "lab", "down")

    def test_silent_askers_do_not_lock_others_out(self):
        self.up()
        silent, at = [], os.open(self.places()[0], os.O_PATH)
        for _ in range(18):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.connect("/proc/self/fd/%d/control" % at)
            silent.append(s)
        os.close(at)
        self.until(lambda: self.squall("lab", "status")[0] == 0, 15)
        for s in silent:
            s.close()
        self.expect(0, "lab", "down")


class AsCalled(Cases, Squall):
    pass


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "only root can become nobody")
class Rootless(Cases, Squall):
    prefix = ("setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups")


main()
