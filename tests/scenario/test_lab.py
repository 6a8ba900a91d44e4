"""The lab on its own (tests/helpers/lab_driver): services by name through the switch, badly behaved services,
faults by command, and sudden deaths after which nothing may be left. Each case runs in every way this machine
and user can: as root by TUN, as root by AF_PACKET, and rootless as nobody.
"""
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "build"
DRIVER = os.path.join(BUILD, "tests/unit/lab/lab_driver")
SERVICE = os.path.join(BUILD, "tests/unit/lab/lab_service")
NOBODY = 65534
LIMIT_S = 20
STATE = ["WAITING", "STARTING", "READY", "BACKOFF", "HELD", "STOPPING", "DOWN"]
KILLS = int(os.environ.get("SQUALL_LAB_KILLS", "12"))


def namespaces_of(pid):
    found = set()
    for kind in ("net", "pid", "mnt", "uts", "ipc"):
        try:
            found.add(os.readlink("/proc/%s/ns/%s" % (pid, kind)))
        except OSError:
            pass
    return found


def everyone():
    return [p for p in os.listdir("/proc") if p.isdigit()]


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def naming(path):
    """Processes that know `path`: the lab's init and switch by their command line, services by their HOME. (Other
    labs may run on this machine, and the kernel uses a dead namespace's number again at once.)"""
    name = path.encode()
    return [p for p in everyone() if name in read("/proc/%s/cmdline" % p) or name in read("/proc/%s/environ" % p)]


def mounts(folder):
    return [line for line in read("/proc/self/mountinfo").decode().splitlines() if folder in line]


def links():
    return [line for line in read("/proc/net/dev").decode().splitlines() if line.startswith("port")]


class Lab:
    """One lab_driver; events and answers as they come."""

    def __init__(self, tier, spec, prefix=(), pass_fds=()):
        self.lines, self.answers, self.cond = [], 0, threading.Condition()
        self.dir = tempfile.mkdtemp(dir=tier.dir)
        os.chown(self.dir, tier.uid, -1)
        spec_path = self.dir + ".spec"
        with open(spec_path, "w") as f:
            f.write(spec)
        env = dict(os.environ)
        if not tier.tun:
            env["SQUALL_LAB_NO_TUN"] = "1"
        self.stderr = open(self.dir + ".err", "w+")
        self.proc = subprocess.Popen([*prefix, *tier.prefix, tier.driver, self.dir, spec_path], env=env,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, pass_fds=pass_fds)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        self.opened = self.wait(r"^open ")

    def read(self):
        for line in self.proc.stdout:
            with self.cond:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.cond.notify_all()

    def find(self, pattern, after=0):
        for i in range(after, len(self.lines)):
            if re.search(pattern, self.lines[i]):
                return i
        return -1

    def wait(self, pattern, after=0, limit=LIMIT_S):
        """The first line from `after` on that matches; remembers where in self.at."""
        deadline = time.monotonic() + limit
        with self.cond:
            while True:
                self.at = self.find(pattern, after)
                if self.at >= 0:
                    return self.lines[self.at]
                if time.monotonic() > deadline:
                    raise AssertionError("no line %r in:\n%s\n%s" % (pattern, "\n".join(self.lines[-60:]),
                                                                     open(self.stderr.name).read()))
                if not self.reader.is_alive():
                    self.cond.wait(0.05)
                    if self.find(pattern, after) < 0 and not self.reader.is_alive():
                        deadline = 0
                else:
                    self.cond.wait(0.2)

    def count(self, pattern):
        with self.cond:
            return sum(1 for line in self.lines if re.search(pattern, line))

    def say(self, text):
        self.proc.stdin.write((text + "\n").encode())
        self.proc.stdin.flush()

    def ask(self, text, limit=LIMIT_S):
        """(result, state, pid, refused)"""
        self.answers += 1
        self.say(text)
        words = self.wait(r"^answer %d " % self.answers, limit=limit).split()
        return int(words[2]), STATE[int(words[3])], int(words[4]), int(words[5])

    def talk(self, name, port, text):
        before = len(self.lines)
        self.say("talk %s %d %s" % (name, port, text))
        return self.wait(r"^talk ", before)[5:]

    def up(self):
        self.say("start")
        self.wait("^event LAB_READY")
        return self

    def down(self):
        before = len(self.lines)
        self.say("stop")
        self.wait("^event LAB_STOPPED", before)

    def init_pid(self):
        return int(self.opened.split()[2])

    def members(self):
        """Host pids of all that lives in the lab."""
        mine = namespaces_of(self.init_pid())
        return [int(p) for p in everyone() if namespaces_of(p) & mine]

    def close(self):
        for end in (lambda: self.say("quit"), self.proc.stdin.close):
            try:
                end()
            except OSError:
                pass
        status = self.proc.wait(LIMIT_S)
        self.reader.join()
        self.proc.stdout.close()
        self.stderr.seek(0)
        said = self.stderr.read()
        self.stderr.close()
        return status, said


class Tier:
    """How the lab runs: mixed into each set of cases."""
    uid, tun, prefix = os.geteuid(), True, ()
    needs = None

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(DRIVER) or not os.path.exists(SERVICE):
            raise unittest.SkipTest("lab_driver is not built")
        if os.geteuid() != 0 and cls.needs == "root":
            raise unittest.SkipTest("needs root, to become nobody or to run without a user namespace")
        if cls.prefix and not shutil.which(cls.prefix[0]):
            raise unittest.SkipTest("needs %s" % cls.prefix[0])
        top = tempfile.gettempdir()
        if os.geteuid() == 0 and not os.stat(top).st_mode & 0o001:
            os.chmod(top, 0o711)  # the runner's folder for this scenario
        cls.dir = tempfile.mkdtemp(prefix="lab-")
        os.chmod(cls.dir, 0o755)
        # nobody may not be allowed to look into the build folder
        cls.driver, cls.service = (shutil.copy(p, cls.dir) for p in (DRIVER, SERVICE))
        lab = Lab(cls, "service a\nrun %s\n" % cls.service)
        opened = lab.opened
        lab.close()
        if not opened.startswith("open 0"):
            shutil.rmtree(cls.dir)
            raise unittest.SkipTest(opened)
        print("%s: %s" % (cls.__name__, opened), flush=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def setUp(self):
        self.labs = []

    def tearDown(self):
        for lab in self.labs:
            if lab.proc.poll() is None:
                lab.proc.kill()
                lab.proc.wait()
            if not lab.proc.stdin.closed:
                lab.close()
        self.assertEqual((mounts(self.dir), links()), ([], []))

    def lab(self, spec, up=True, **more):
        lab = Lab(self, spec.replace("SERVICE", self.service), **more)
        self.labs.append(lab)
        self.assertTrue(lab.opened.startswith("open 0"), lab.opened)
        return lab.up() if up else lab

    def quit(self, lab):
        status, said = lab.close()
        self.assertEqual((status, said), (0, ""))
        self.assert_gone(lab.dir)

    def assert_gone(self, run_dir, limit=5):
        deadline = time.monotonic() + limit
        while naming(run_dir):
            if time.monotonic() > deadline:
                self.fail("left behind: %s" % [(p, read("/proc/%s/status" % p)) for p in naming(run_dir)])
            time.sleep(0.01)
        self.assertEqual(os.listdir(run_dir), [])


    def only_two_left(self, lab):
        """Init and switch; a process whose sockets are closed may take a moment more to end."""
        deadline = time.monotonic() + 1
        while len(lab.members()) != 2:
            self.assertLess(time.monotonic(), deadline, lab.members())
            time.sleep(0.005)


ECHO = "service %s\nrun SERVICE echo 7000\nready tcp 7000\n"


class Cases(Tier):
    def test_names_and_addresses(self):
        lab = self.lab(ECHO % "alpha" + "service beta\nrun SERVICE connect alpha 7000\nneeds alpha\nready log answer\n"
                       "service gamma\nrun SERVICE connect nowhere 7000\n", up=False)
        lab.say("start")
        lab.wait("^event LOG beta .* answer: alpha says hello$")
        lab.wait("^event LOG gamma .* cannot resolve nowhere")
        self.assertEqual(lab.talk("alpha", 7000, "from~outside"), "0 alpha says from outside")
        self.assertLess(lab.find("READY alpha"), lab.find("STARTING beta"))
        before = len(lab.lines)
        lab.say("visit alpha 7000 a~worker")
        self.assertEqual(lab.wait("^talk ", before), "talk 0 alpha says a worker")
        self.assertEqual(lab.talk("alpha", 7000, "main"), "0 alpha says main")
        self.assertIn("No such file", lab.talk("nowhere", 7000, "x"))
        lab.say("traffic beta alpha")
        words = lab.wait("^traffic").split()
        self.assertEqual(words[1], "0")
        if "TUN" in lab.opened:
            self.assertGreaterEqual(int(words[2]), 3)
        else:  # clean links of veths pass by the switch
            self.assertEqual(int(words[2]), 0)
        lab.down()
        self.assertLess(lab.find("STOPPED beta"), lab.find("EXITED alpha"))
        self.quit(lab)

    def test_redis_and_client(self):
        if not shutil.which("redis-server"):
            self.skipTest("redis-server is not installed")
        lab = self.lab("service redis-master\nrun redis-server --bind 0.0.0.0 --port 6379 --save ~ "
                       "--protected-mode no\nready tcp 6379\nrestart always\n"
                       "service client\nrun redis-cli -h redis-master -p 6379 -r 1000 -i 0.1 ping\n"
                       "needs redis-master\nready log PONG\nrestart always\n")
        self.assertEqual(lab.talk("redis-master", 6379, "PING"), "0 +PONG")
        before = len(lab.lines)
        self.assertEqual(lab.ask("kill redis-master 9 0")[0], 0)
        lab.wait("READY redis-master .*10.213.0.10:6379 answers", before)
        self.assertEqual(lab.talk("redis-master", 6379, "PING"), "0 +PONG")
        lab.wait("LOG client .* PONG", lab.at)
        self.quit(lab)

    def test_environment_folder_files_and_limits(self):
        left = "left-by-%d" % os.getpid()
        lab = self.lab("service alpha\nenv GREETING=good morning\nfile conf/a.txt hello file\nnofile 77\n"
                       "run /bin/sh -c env|sort;~cat~conf/a.txt;~echo;~ulimit~-n;~pwd;~hostname;~touch~/dev/shm/%s;~"
                       "~readlink~/proc/self/fd/0;~echo~err~>&2;~exec~sleep~100\n" % left)
        lab.wait("LOG alpha .* 2 err$")
        self.assertFalse(os.path.exists("/dev/shm/" + left))
        for want in ("GREETING=good morning", "HOME=%s/alpha" % lab.dir, "LANG=C.UTF-8", "hello file", "77",
                     "%s/alpha" % lab.dir, "alpha", "/dev/null"):
            lab.wait("^event LOG alpha [0-9]+ 0 [0-9]+ 1 %s$" % re.escape(want))
        self.assertEqual(lab.count("LOG alpha .* (PWD|OLDPWD|SHLVL|_|PATH|TMPDIR|HOME|LANG|GREETING)="),
                         lab.count("LOG alpha .* 1 [A-Z_]+="))
        self.quit(lab)

    def test_hold_and_release(self):
        lab = self.lab(ECHO % "alpha" + "restart always\n" + ECHO % "beta")
        self.assertEqual(lab.ask("hold alpha"), (0, "HELD", 0, 1))
        lab.wait("EXITED alpha .* killed by SIGKILL \\(fault\\)$")
        lab.wait("HELD alpha")
        self.assertIn("Connection refused", lab.talk("alpha", 7000, "x"))
        self.assertEqual(lab.talk("beta", 7000, "x"), "0 beta says x")
        self.assertEqual(lab.ask("hold alpha"), (0, "HELD", 0, 1))
        self.assertEqual(lab.ask("kill alpha 9 0")[0], -3)
        result, state, pid, _ = lab.ask("release alpha")
        self.assertEqual((result, state), (0, "READY"))
        self.assertGreater(pid, 0)
        self.assertEqual(lab.talk("alpha", 7000, "again"), "0 alpha says again")
        self.assertEqual(lab.ask("release alpha")[:2], (0, "READY"))
        self.assertEqual(lab.ask("query beta")[1], "READY")
        self.assertEqual(lab.ask("query nobody")[0], -2)
        self.quit(lab)

    def test_hold_and_release_in_one_breath(self):
        lab = self.lab(ECHO % "alpha" + "restart never\n")
        lab.say("hold alpha")
        lab.say("release alpha")
        lab.wait("^answer 2 0 ")
        self.assertEqual(lab.talk("alpha", 7000, "back"), "0 alpha says back")
        self.quit(lab)

    def test_kill_and_restart_policies(self):
        lab = self.lab(ECHO % "never" + "restart never\n" + ECHO % "failed" + "restart on-failure\nbackoff 50\n" +
                       ECHO % "always" + "restart always\nbackoff 400\nbackoff_max 2000\n")
        self.assertEqual(lab.ask("kill never 9 0"), (0, "DOWN", 0, 1))
        lab.wait("GAVE_UP never")
        self.assertIn("Connection refused", lab.talk("never", 7000, "x"))
        lab.ask("kill failed 9 0")
        lab.wait("READY failed", lab.find("BACKOFF failed"))
        begin = time.monotonic()
        self.assertEqual(lab.ask("kill always 9 0"), (0, "BACKOFF", 0, 1))
        self.assertIn(" 400000000 ", lab.wait("BACKOFF always"))
        lab.wait("READY always", lab.at)
        self.assertGreater(time.monotonic() - begin, 0.39)
        seen = lab.at
        lab.ask("kill always 15 0")
        self.assertIn(" 800000000 ", lab.wait("BACKOFF always", seen))
        lab.wait("EXITED always .* killed by SIGTERM \\(fault\\)")
        self.quit(lab)

    def test_kill_with_grace(self):
        lab = self.lab("service stubborn\nrun SERVICE stubborn\nready log stubborn\n" + ECHO % "soft")
        begin = time.monotonic()
        self.assertEqual(lab.ask("kill stubborn 9 300")[0], 0)
        self.assertGreater(time.monotonic() - begin, 0.29)
        lab.wait("EXITED stubborn .* killed by SIGKILL \\(fault\\)")
        self.assertEqual(lab.ask("kill soft 9 5000")[0], 0)
        lab.wait("EXITED soft .* killed by SIGTERM \\(fault\\)")
        self.assertEqual(lab.ask("kill soft 99 0")[0], -22)
        self.quit(lab)

    def test_never_ready(self):
        lab = self.lab("service alpha\nrun SERVICE stubborn\nready tcp 7000\nwithin 300\n"
                       "service beta\nrun SERVICE stubborn\nready http 8080 /ready\nwithin 300\n"
                       "service gamma\nrun SERVICE stubborn\nready log nothing\nwithin 300\n"
                       "service delta\nrun SERVICE stubborn\nready command exit~7\nwithin 300\nevery 20\n"
                       "service later\nrun SERVICE echo 7000\nneeds alpha\ngrace 100\n", up=False)
        lab.say("start")
        lab.wait("NOT_READY alpha .* connect to 10.213.0.10:7000: Connection refused$")
        lab.wait("NOT_READY beta .* GET :8080/ready: Connection refused$")
        lab.wait("NOT_READY gamma .* no line of output matched yet$")
        lab.wait("NOT_READY delta .* command exited with 7$")
        self.assertEqual(lab.count("STARTING later"), 0)
        self.quit(lab)

    def test_ready_by_http_and_command(self):
        lab = self.lab("service maker\nrun /bin/sh -c sleep~1;~touch~../web/flag~../cmd/flag;~exec~sleep~100\n"
                       "service web\nrun SERVICE http 8080 flag\nready http 8080 /ready\nwithin 5000\nevery 50\n"
                       "service cmd\nrun SERVICE stubborn\nready command test~-e~flag\nevery 50\ntimeout 500\n"
                       "service slow\nrun SERVICE stubborn\nready command sleep~100\nevery 50\ntimeout 100\n"
                       "within 700\n", up=False)
        lab.say("start")
        lab.wait("NOT_READY slow .* command took longer than its timeout")
        self.assertEqual(lab.count(" READY (web|cmd|slow) "), 0)
        lab.wait("READY web .* GET :8080/ready answered 200$")
        lab.wait("READY cmd .* command exited with 0$")
        self.quit(lab)

    def test_dies_at_once(self):
        lab = self.lab("service once\nrun SERVICE die 3\nrestart never\nready tcp 7000\n"
                       "service clean\nrun SERVICE die 0\nrestart on-failure\nready tcp 7000\n"
                       "service crash\nrun /bin/sh -c kill~-SEGV~$$\nrestart never\nready tcp 7000\n"
                       "service again\nrun SERVICE die 4\nrestart always\nbackoff 20\nwithin 500\nready tcp 7000\n",
                       up=False)
        lab.say("start")
        lab.wait("EXITED once .* exited with 3$")
        lab.wait("GAVE_UP once .* exited with 3; restart: never$")
        lab.wait("EXITED clean .* exited with 0$")
        lab.wait("GAVE_UP clean .* exited with 0; restart: on-failure, and it did not fail$")
        lab.wait("EXITED crash .* killed by SIGSEGV$")
        lab.wait("NOT_READY again .* exited with 4$")
        self.assertGreater(lab.count("BACKOFF again"), 2)
        self.quit(lab)

    def test_exec_fails(self):
        lab = self.lab("service foo\nrun no-such-program\nrestart never\n"
                       "service folder\nrun /tmp\nrestart never\n"
                       "service text\nfile x not a program\nrun ./x\nrestart never\n", up=False)
        lab.say("start")
        lab.wait("EXITED foo .* exec failed: No such file or directory: no-such-program: not in PATH of the lab; "
                 "give an absolute path or {{plan.dir}}/NAME$")
        lab.wait("GAVE_UP foo .* exec failed: .* no-such-program: .*; restart: never$")
        lab.wait("EXITED folder .* exec failed: Permission denied: /tmp$")
        lab.wait("EXITED text .* exec failed: Permission denied: ./x$")
        self.assertEqual(lab.count(" READY "), 0)
        self.quit(lab)

    def test_flood(self):
        lab = self.lab("service flood\nrun SERVICE flood\n" + ECHO % "calm")
        lab.wait("LOG_DROPPED flood")
        begin = time.monotonic()
        for i in range(20):
            self.assertEqual(lab.talk("calm", 7000, str(i)), "0 calm says %d" % i)
        self.assertLess(time.monotonic() - begin, 5)
        lab.wait("LOG_DROPPED flood", lab.at + 1)
        lines = lab.count("LOG flood")
        self.assertGreater(lines, 10000)
        self.assertLess(lines, 20000 + 2000 * (time.monotonic() - begin + 5))
        lab.down()
        self.quit(lab)

    def test_slow_main(self):
        lab = self.lab("service flood\nrun SERVICE flood\n"
                       "service tick\nrun SERVICE die 1\nrestart always\nbackoff 20\nbackoff_max 20\n")
        lab.proc.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        lab.proc.send_signal(signal.SIGCONT)
        lab.say("query tick")
        lab.wait("^answer 1")
        while lab.count("EXITED tick") < 40:
            lab.wait("EXITED tick", lab.at + 1)
        with lab.cond:
            starts = [int(l.split()[3]) for l in lab.lines if "EXITED tick" in l]
        gaps = [b - a for a, b in zip(starts, starts[1:])]
        self.assertLess(max(gaps), 500e6)  # restarts went on while main was stopped, and none was lost
        self.quit(lab)

    def test_ignores_sigterm(self):
        lab = self.lab("service stubborn\nrun SERVICE stubborn\ngrace 400\nready log stubborn\n")
        begin = time.monotonic()
        lab.down()
        self.assertGreater(time.monotonic() - begin, 0.39)
        lab.wait("EXITED stubborn .* killed by SIGKILL$")
        lab.wait("STOPPED stubborn")
        self.quit(lab)

    def test_daemons_die_with_their_service(self):
        lab = self.lab("service herd\nrun SERVICE herd 30\nready log herd\nrestart always\nbackoff 50\n"
                       "service fork\nrun SERVICE daemon 7000 300\nready tcp 7000\nrestart always\nbackoff 20\n")
        lab.wait("EXITED fork .* exited with 3, leaving 1 process behind, now killed$")
        lab.wait("READY fork", lab.at)  # its port was free again
        lab.ask("hold fork")
        self.assertGreater(len(lab.members()), 30)
        self.assertEqual(lab.ask("hold herd")[:2], (0, "HELD"))
        self.only_two_left(lab)
        self.assertEqual(lab.ask("release herd")[:2], (0, "READY"))
        lab.down()
        self.only_two_left(lab)
        self.quit(lab)

    def test_child_in_a_network_of_its_own(self):
        if self.uid != 0:
            self.skipTest("a rootless service may not unshare its network")
        lab = self.lab("service hide\nrun SERVICE hide\nready log hidden\n")
        self.assertEqual(lab.ask("hold hide")[:2], (0, "HELD"))
        self.only_two_left(lab)
        self.quit(lab)

    def test_port_in_use(self):
        lab = self.lab("service two\nrun /bin/sh -c %s~echo~7000~&~sleep~0.2;~exec~%s~echo~7000\n"
                       "restart never\n" % (self.service, self.service), up=False)
        lab.say("start")
        lab.wait("LOG two .* 2 lab_service: bind: Address already in use$")
        lab.wait("EXITED two .* exited with 1, leaving 1 process behind, now killed$")
        self.quit(lab)

    def test_hundreds_of_restarts(self):
        lab = self.lab("service tick\nrun SERVICE die 1\nrestart always\nbackoff 1\nbackoff_max 1\n", up=False)
        lab.say("start")
        lab.wait("EXITED tick")
        fds = "/proc/%d/fd" % lab.init_pid()
        before = len(os.listdir(fds))
        deadline = time.monotonic() + 30
        while lab.count("EXITED tick") < 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertGreaterEqual(lab.count("EXITED tick"), 200)
        self.assertEqual(lab.ask("hold tick")[:2], (0, "HELD"))
        self.assertLessEqual(len(os.listdir(fds)), before)
        self.quit(lab)

    def test_binary_output(self):
        lab = self.lab("service bin\nrun SERVICE binary\n")
        line = lab.wait("LOG bin .*\x01\x02")
        self.assertIn(" 1 ?\x01\x02", line)
        self.assertIn("\x7e\x7f", line)
        lab.wait("LOG bin .* zzz.*z\\[cut 5936 bytes\\]$")
        lab.ask("hold bin")
        lab.wait("LOG bin .* no newline at the end$")
        self.quit(lab)

    def test_user(self):
        spec = "service alpha\nuser nobody\nrun /bin/sh -c id~-u;~id~-G;~touch~x;~echo~hi~>/dev/stdout;~exec~sleep~9\n"
        if self.uid == 0:
            lab = self.lab(spec)
            lab.wait("LOG alpha .* 1 hi$")
            lab.wait("LOG alpha .* 1 %d$" % NOBODY)
            self.assertEqual(lab.count("LOG alpha .* 2 "), 0)
            self.quit(lab)
        root = Lab(self, spec.replace("nobody", "root") if self.uid else spec.replace("nobody", "no-such-user"))
        self.labs.append(root)
        self.assertRegex(root.opened, "^open -[0-9]+ service 'alpha' wants user '.*': " +
                         ("only root can change users" if self.uid else "there is no such user"))

    def test_refused_plans(self):
        for spec, want in (("service a\nrun x\nneeds b\nservice b\nrun x\nneeds a\n", "needs itself"),
                           ("service a\nrun x\nneeds z\n", "which is no service"),
                           ("service a\nrun x\nfile ../up text\n", "not below its working folder"),
                           ("service a\nrun x\nready log (\n", "ready.log")):
            lab = Lab(self, spec)
            self.labs.append(lab)
            self.assertRegex(lab.opened, "^open -[0-9]+ .*" + want)
            self.assertEqual(lab.proc.wait(LIMIT_S), 4)

    def test_ctrl_c_reaches_main_only(self):
        lab = self.lab(ECHO % "alpha")
        for pid in lab.members():
            if self.comm(pid).startswith("squall-"):
                self.assertNotEqual(os.getsid(pid), os.getsid(lab.proc.pid))
        os.kill(lab.init_pid(), signal.SIGINT)
        os.kill(lab.init_pid(), signal.SIGTERM)
        self.assertEqual(lab.talk("alpha", 7000, "x"), "0 alpha says x")
        self.quit(lab)

    def test_descriptors_of_main_stay_outside(self):
        inside, outside = os.pipe()
        high = fcntl.fcntl(inside, fcntl.F_DUPFD, 500)
        lab = self.lab(ECHO % "alpha", pass_fds=(inside, outside, high))
        name = os.readlink("/proc/self/fd/%d" % inside)
        self.assertEqual(os.readlink("/proc/%d/fd/%d" % (lab.proc.pid, inside)), name)
        looked = 0
        for pid in lab.members():
            try:
                held = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
            except FileNotFoundError:
                continue  # a helper of the init's that has ended meanwhile
            looked += 1
            self.assertNotIn(name, held, self.comm(pid))
        self.assertGreaterEqual(looked, 3)  # init, switch, alpha
        for fd in (inside, outside, high):
            os.close(fd)
        self.quit(lab)

    def test_switch_dies(self):
        lab = self.lab(ECHO % "alpha")
        for pid in lab.members():
            if self.comm(pid) == "squall-switch":
                os.kill(pid, signal.SIGKILL)
        lab.wait("LAB_LOST - .* the switch ended: killed by SIGKILL$")
        self.assertEqual(lab.proc.wait(LIMIT_S), 0)
        self.assert_gone(lab.dir)

    def test_init_dies(self):
        lab = self.lab(ECHO % "alpha")
        os.kill(lab.init_pid(), signal.SIGKILL)
        lab.wait("LAB_LOST - .* the lab's init ended$")
        self.assertEqual(lab.proc.wait(LIMIT_S), 0)
        self.assert_gone(lab.dir)

    def test_sudden_death_at_random_moments(self):
        spec = (ECHO % "alpha" + "restart always\n" + ECHO % "beta" + "needs alpha\n"
                "service herd\nrun SERVICE herd 5\nservice fork\nrun SERVICE daemon 7000 50\nrestart always\n"
                "backoff 10\n").replace("SERVICE", self.service)
        rng = random.Random(11)
        for i in range(KILLS):
            whom = ("main", "init", "switch")[i % 3]
            lab = Lab(self, spec)
            self.labs.append(lab)
            lab.say("start")
            time.sleep(rng.uniform(0, 0.25))
            self.assertIn(str(lab.init_pid()), naming(lab.dir))
            victims = {"main": [lab.proc.pid], "init": [lab.init_pid()],
                       "switch": [p for p in lab.members() if self.comm(p) == "squall-switch"]}[whom]
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            lab.proc.wait(LIMIT_S)
            self.assert_gone(lab.dir)

    @staticmethod
    def comm(pid):
        return read("/proc/%d/comm" % pid).decode().strip()

    def test_death_while_the_lab_is_made(self):
        rng = random.Random(12)
        for _ in range(KILLS):
            path = tempfile.mkdtemp(dir=self.dir)
            os.chown(path, self.uid, -1)
            with open(path + ".spec", "w") as f:
                f.write("".join("service s%d\nrun %s stubborn\n" % (k, self.service) for k in range(8)))
            proc = subprocess.Popen([*self.prefix, self.driver, path, path + ".spec"], stdin=subprocess.PIPE,
                                    stdout=subprocess.DEVNULL)
            time.sleep(rng.uniform(0, 0.03))
            proc.kill()
            proc.stdin.close()
            proc.wait()
            self.assert_gone(path)

    def test_ten_services_up_and_down(self):
        spec = "".join("service s%d\nrun %s stubborn\ngrace 0\n" % (i, self.service) for i in range(10))
        took = []
        for _ in range(5):
            lab = Lab(self, spec)
            self.labs.append(lab)
            begin = time.monotonic()
            lab.up()
            lab.down()
            middle = time.monotonic() - begin
            status, said = lab.close()
            self.assertEqual((status, said), (0, ""))
            opened, closed = int(lab.opened.split()[3]) / 1e9, int(lab.lines[-1].split()[1]) / 1e9
            took.append((opened + middle + closed, opened, middle, closed))
        took.sort()
        print("%s: ten services: %.0f ms in all (open %.0f, up and down %.0f, close %.0f)" %
              (type(self).__name__, *(1e3 * t for t in took[2])), flush=True)
        if b"__asan_init" not in read(DRIVER):
            self.assertLess(took[2][0], 0.5)

    def test_fifty_services_all_reach_each_other(self):
        n = 50
        spec = "".join("service s%d\nrun %s mesh 7000 %d\nready tcp 7000\nwithin 30000\ngrace 0\n" %
                       (i, self.service, n) for i in range(n))
        lab = Lab(self, spec)
        self.labs.append(lab)
        begin = time.monotonic()
        lab.up()
        up = time.monotonic() - begin
        opened = int(lab.opened.split()[3]) / 1e9
        deadline = time.monotonic() + LIMIT_S
        while lab.count("LOG s[0-9]+ .* reached %d of %d$" % (n, n)) < n:  # the look that found it ready began it
            self.assertLess(time.monotonic(), deadline, [l for l in lab.lines if "reached" in l][:5])
            time.sleep(0.05)
        lab.down()
        self.quit(lab)
        closed = int(lab.lines[-1].split()[1]) / 1e9
        print("%s: fifty services: open %.0f ms, all ready after %.0f more, close %.0f" %
              (type(self).__name__, 1e3 * opened, 1e3 * up, 1e3 * closed), flush=True)
        if b"__asan_init" not in read(DRIVER):
            self.assertLess(opened + up, 1)


class RootTun(Cases, unittest.TestCase):
    needs = "root"

    def test_no_etc_hosts(self):
        """As debootstrap makes a root: neither hosts nor resolv.conf, and a dangling link."""
        script = ("mount --make-rprivate / && mkdir -p $0/etc && cp /etc/passwd /etc/group $0/etc/ && "
                  "ln -s ../run/nowhere/resolv.conf $0/etc/resolv.conf && mkdir $0/etc/sub && touch $0/etc/sub/file && "
                  "mount --bind $0/etc /etc && shift 0 && exec \"$@\"")
        bare = os.path.join(self.dir, "bare")
        os.mkdir(bare)
        lab = self.lab(ECHO % "alpha" + "service beta\nrun SERVICE connect alpha 7000\nneeds alpha\nready log answer\n"
                       "service look\nrun /bin/sh -c ls~/etc~/etc/sub;~cat~/etc/resolv.conf;~exec~sleep~100\n",
                       prefix=["unshare", "-m", "sh", "-c", script, bare])
        lab.wait("LOG beta .* answer: alpha says hello$")
        for want in ("passwd", "file", "hosts", "# no name server.*"):
            lab.wait("LOG look .* 1 %s$" % want)
        self.quit(lab)
        shutil.rmtree(bare)

    def test_no_tun_node(self):
        """Root makes a node of its own when /dev lacks it."""
        lab = self.lab(ECHO % "alpha", prefix=["unshare", "-m", "sh", "-c", "mount --make-rprivate / && "
                                               "mount -t tmpfs none /dev/net && exec \"$@\"", "sh"])
        self.assertIn("TUN", lab.opened)
        self.assertEqual(lab.talk("alpha", 7000, "x"), "0 alpha says x")
        self.quit(lab)


class RootPacket(Cases, unittest.TestCase):
    needs, tun = "root", False


class Rootless(Cases, unittest.TestCase):
    """As nobody when the tests run as root, else as whoever runs them."""
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    prefix = ("setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups") if os.geteuid() == 0 else ()


if __name__ == "__main__":
    unittest.main(verbosity=2)
