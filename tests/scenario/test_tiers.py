# timeout: 600
"""Issue 3: the tiers of the lab. Each facility is taken away - user namespaces, kinds of namespaces, capabilities,
mounts, /dev/net/tun, packet sockets, system calls of a container - and then `squall doctor` names cause, remedy and
the tier that is left, and `squall run` works in that tier, or says in one line why not and exits with 4. The
loopback tier besides: the same cases as for the other tiers as far as they apply, names and ports, strangers at a
port, and sudden deaths after which nothing may be left. SQUALL_TIER_KILLS sets the rounds (default 30).
"""
import ctypes
import errno
import os
import platform
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

ARGV = list(sys.argv)
import common
from common import BUILD, SQUALL, Squall

sys.argv = list(ARGV)
import test_lab  # takes the build folder from the same place

sys.argv = ARGV[:1] + ARGV[2:]
SERVICE = os.path.join(BUILD, "tests/unit/lab/lab_service")
ROUNDS = int(os.environ.get("SQUALL_TIER_KILLS", "30"))
SEED = int(os.environ.get("SQUALL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
NOBODY = 65534
ROOT = os.geteuid() == 0

# --- what is taken away, in the child before it executes ---------------------------------------------------------

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEW_ANY = 0x20000, 0x10000000, 0x7e020000
NR = {"x86_64": {"clone": 56, "clone3": 435, "unshare": 272, "setns": 308, "mount": 165, "socket": 41, "pidfd_open": 434},
      "aarch64": {"clone": 220, "clone3": 435, "unshare": 97, "setns": 268, "mount": 40, "socket": 198, "pidfd_open": 434}}
ALLOW, ERRNO = 0x7fff0000, 0x00050000
LD_W_ABS, JEQ, JSET, RET = 0x20, 0x15, 0x45, 0x06
AF_PACKET = 17


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def seccomp(*rules):
    """rules: (system call, errno[, "flags" mask or "is" value of the first argument])"""
    numbers = NR.get(platform.machine())
    if not numbers:
        raise unittest.SkipTest("no numbers of system calls for " + platform.machine())

    def take():
        code = []
        for name, error, *more in rules:
            test = [(LD_W_ABS, 0, 0, 16), (JSET if more[0] == "flags" else JEQ, 0, 1, more[1])] if more else []
            code += [(LD_W_ABS, 0, 0, 0), (JEQ, 0, len(test) + 1, numbers[name]), *test, (RET, 0, 0, ERRNO | error)]
        code.append((RET, 0, 0, ALLOW))
        text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
        program = ctypes.create_string_buffer(struct.pack("HP", len(code), ctypes.addressof(text)))
        check(LIBC.prctl(38, 1, 0, 0, 0), "no_new_privs")
        check(LIBC.prctl(22, 2, program, 0, 0), "seccomp")
    return take


def put(path, text):
    with open(path, "w") as f:
        f.write(text)


def user_ns_with(limit, value, inside):
    """A user namespace in which a kind of namespace is limited; this user is `inside` there."""
    def take():
        uid, gid = os.geteuid(), os.getegid()
        check(LIBC.unshare(CLONE_NEWUSER), "unshare")
        put("/proc/self/setgroups", "deny")
        put("/proc/self/uid_map", "%d %d 1" % (inside, uid))
        put("/proc/self/gid_map", "%d %d 1" % (inside, gid))
        put("/proc/sys/user/" + limit, str(value))
    return take


def no_capabilities():
    for cap in range(64):
        LIBC.prctl(24, cap, 0, 0, 0)  # PR_CAPBSET_DROP


def cover_tun():
    check(LIBC.unshare(CLONE_NEWNS), "unshare")
    check(LIBC.mount(b"none", b"/", None, 0x44000, None), "private")
    check(LIBC.mount(b"/dev/null", b"/dev/net/tun", None, 0x1000, None), "cover /dev/net/tun")


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def low_realtime_limit():
    resource.setrlimit(resource.RLIMIT_RTTIME, (1000000, 1000000))


def chain(*steps):
    def take():
        for step in steps:
            step()
    return take


CONTAINER = (("unshare", errno.EPERM), ("setns", errno.EPERM), ("mount", errno.EPERM), ("clone3", errno.ENOSYS),
             ("clone", errno.EPERM, "flags", CLONE_NEW_ANY))


def possible(take):
    """Can this be taken away here? Tried in a child of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            take()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


# --- plans ---------------------------------------------------------------------------------------------------------

PLAN = """
squall: 1
name: small
lab:
  services:
    redis-main:
      labels: {app: redis}
      run: redis-server --port 6379 --save "" --bind 0.0.0.0 --protected-mode no --repl-diskless-sync-delay 0
      ready: {tcp: 6379}
      restart: {policy: always, backoff: 50ms}
    redis-copy:
      run: redis-server copy.conf
      needs: [redis-main]
      ready: {command: redis-cli -h redis-copy -p 6379 info replication | grep -q master_link_status:up, every: 50ms}
      files:
        copy.conf: |
          bind 0.0.0.0
          port 6379
          protected-mode no
          save ""
          replicaof redis-main 6379
    web:
      labels: {app: web}
      run: SERVICE http 0.0.0.0:8080 .
      ready: {http: ":8080/"}
      restart: {policy: always, backoff: 50ms}
load:
  pages:
    get: http://web:8080/
    arrive: {rate: 50/s}
    timeout: 500ms
storm:
  - baseline: 300ms
  - fault: kill.yaml
    for: 500ms
  - cooldown: 100ms
checks:
  - errors: {load: pages, share: "<= 0%"}
    during: baseline
  - errors: {load: pages, share: "> 50%"}
    during: fault
"""
KILL = """
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: no-web}
spec: {action: pod-failure, mode: all, duration: 500ms, selector: {labelSelectors: {app: web}}}
"""
NET = """
apiVersion: chaos-mesh.org/v1alpha1
kind: %s
metadata: {name: no-net}
spec: {action: %s, mode: all, duration: 300ms, selector: {labelSelectors: {app: web}}}
"""


def marks():
    """pid -> mark of the lab of every process that wears one."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/limits" % pid) as f:
                row = re.search(r"^Max realtime timeout +(\d+)", f.read(), re.M)
            with open("/proc/%s/stat" % pid) as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if row and int(row[1]) >> 62 == 1 and state not in "ZX":
            found[int(pid)] = int(row[1]) & ~0xffff
    return found


class Tiers(Squall):
    """What is left of a lab without namespaces: also what has lost its environment."""

    def setUp(self):
        super().setUp()
        self.before = set(marks().values())
        self.mine = set()
        self.service = os.path.join(self.dir, "lab_service")
        shutil.copy(SERVICE, self.service)
        self.program = os.path.join(self.dir, "squall")
        shutil.copy(SQUALL, self.program)

    def note_marks(self):
        """Labs of this test: their init has the test's environment."""
        for pid, mark in marks().items():
            if mark in self.before or mark in self.mine:
                continue
            try:
                with open("/proc/%d/environ" % pid, "rb") as f:
                    if self.dir.encode() in f.read():
                        self.mine.add(mark)
            except OSError:
                pass

    def left_over(self):
        self.note_marks()
        return super().left_over() + ["marked process %d" % pid for pid, mark in marks().items() if mark in self.mine]

    def plan(self, text=PLAN, name="plan.yaml"):
        self.write("kill.yaml", KILL)
        return self.write(name, text.replace("SERVICE", self.service))

    def give_to(self, uid):
        for root, dirs, names in os.walk(self.dir):
            for path in [root] + [os.path.join(root, n) for n in names]:
                os.chown(path, uid, uid)

    def run_with(self, take, *args):
        p = subprocess.run([self.program, *args], cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=take, timeout=60)
        return p.returncode, p.stdout


# --- each facility taken away ---------------------------------------------------------------------------------------

class TakenAway(Tiers):
    def case(self, take, tier, *words, doctor=True, nobody=False):
        """tier: as doctor and run name it, None = no lab. words: in what doctor says, or run in the loopback tier."""
        if nobody:
            if not ROOT:
                self.skipTest("needs root, to become nobody")
            self.give_to(NOBODY)
            take = chain(become_nobody, take)
        if not possible(take):
            self.skipTest("it cannot be taken away here")
        if doctor:
            status, said = self.run_with(take, "doctor")
            self.assertEqual(status, 0 if tier else 4, said)
            self.assertIn("a lab can run here: %s\n" % tier if tier else "no lab can run here\n", said)
            self.assertIn("remedy: ", said)
            for word in words:
                self.assertIn(word, said)
            self.assertEqual("inconclusive there" in said, tier == "loopback")
        status, said = self.run_with(take, "run", self.plan(), "--out", self.run_file())
        self.assertEqual(status, 0 if tier else 4, said)
        if not tier:
            self.assertFalse(os.path.exists(self.run_file()))
            return said
        self.assertEqual(self.query("select value from meta where key = 'tier'"), [(tier,)])
        if tier == "loopback":
            events = "\n".join(row[0] for row in self.query("select text from events where kind = 'tier'"))
            self.assertIn("a lesser lab: ", events)
            self.assertIn("remedy: ", events)
            self.assertRegex(events, r"redis-copy, file copy.conf line 5: redis-main -> 127\.213\.\d+\.10")
            for word in words:
                if "seccomp" in word or "sysctl" in word or "CAP" in word:
                    self.assertIn(word, events)
        return said

    def test_nothing(self):
        """Whatever this machine has."""
        said = self.expect(0, "doctor")
        self.case(lambda: None, re.search(r"^a lab can run here: (.*)$", said, re.M)[1], doctor=False)

    def test_container(self):
        self.case(seccomp(*CONTAINER), "loopback", "a seccomp filter (of a container?) forbids it",
                  "not namespaces: needs ")

    def test_container_as_nobody(self):
        self.case(seccomp(*CONTAINER), "loopback", "a seccomp filter (of a container?) forbids it", nobody=True)

    def test_old_kernel_without_clone3(self):
        if not ROOT:
            self.skipTest("needs root, for TUN")
        status, said = self.run_with(seccomp(("clone3", errno.ENOSYS)), "run", self.plan(), "--out", self.run_file())
        self.assertEqual(status, 0, said)
        self.assertEqual(self.query("select value from meta where key = 'tier'"), [("namespaces, TUN",)])

    def test_namespaces_unknown_to_the_kernel(self):
        self.case(seccomp(("clone3", errno.ENOSYS), ("clone", errno.EINVAL, "flags", CLONE_NEW_ANY),
                          ("unshare", errno.EINVAL)), "loopback", "Invalid argument")

    def test_clone_forbidden(self):
        """What is refused only when the init is made."""
        self.case(seccomp(("clone3", errno.ENOSYS), ("clone", errno.EPERM, "flags", CLONE_NEW_ANY)), "loopback",
                  doctor=False)

    def test_unshare_forbidden(self):
        self.case(seccomp(("unshare", errno.EPERM)), "loopback", "seccomp")

    def test_setns_forbidden(self):
        self.case(seccomp(("setns", errno.EPERM)), "loopback", "links by TUN: Operation not permitted")

    def test_mount_forbidden(self):
        self.case(seccomp(("mount", errno.EPERM)), "loopback", "a /proc of its own: Operation not permitted")

    def test_root_without_capabilities(self):
        if not ROOT:
            self.skipTest("needs root")
        self.case(no_capabilities, "loopback", "this root lacks CAP_SYS_ADMIN")

    def test_no_user_namespaces(self):
        self.case(user_ns_with("max_user_namespaces", 0, 1000), "loopback",
                  "sudo sysctl user.max_user_namespaces=15000")

    def test_no_network_namespaces(self):
        self.case(user_ns_with("max_net_namespaces", 0, 0), "loopback", "a limit of namespaces is reached")

    def test_too_few_network_namespaces(self):
        self.case(user_ns_with("max_net_namespaces", 3, 0), "loopback", doctor=False)

    def test_no_pid_namespaces(self):
        self.case(user_ns_with("max_pid_namespaces", 0, 0), "loopback", "a limit of namespaces is reached")

    def test_no_tun(self):
        if not ROOT:
            self.skipTest("needs root")
        self.case(cover_tun, "namespaces, AF_PACKET", "no  links by TUN: ", "not namespaces, TUN: needs links by TUN",
                  "/dev/net/tun")

    def test_no_links(self):
        if not ROOT:
            self.skipTest("needs root")
        self.case(chain(cover_tun, seccomp(("socket", errno.EAFNOSUPPORT, "is", AF_PACKET))), "loopback",
                  "not namespaces, TUN: needs links by TUN", "not namespaces, AF_PACKET: needs links by veth and AF_PACKET")

    def test_rootless_without_tun(self):
        """/dev/net/tun is root's alone on many machines."""
        self.case(chain(lambda: None if os.stat("/dev/net/tun").st_mode & 6 == 0 else os._exit(1)),
                  "namespaces, AF_PACKET", "sudo chmod 0666 /dev/net/tun", nobody=True)

    def test_no_pidfd(self):
        said = self.case(seccomp(("pidfd_open", errno.ENOSYS)), None,
                         "pidfd_open and pidfd_send_signal: Function not implemented")
        self.assertIn("pidfd", said)

    def test_nothing_at_all(self):
        said = self.case(chain(low_realtime_limit, no_capabilities, seccomp(*CONTAINER)), None,
                         "not loopback: needs loopback addresses, marked processes")
        self.assertIn("ulimit -R", said)

    def test_namespaces_or_nothing(self):
        self.env["SQUALL_LAB_TIER"] = "namespaces"
        said = self.case(seccomp(*CONTAINER), None, "not loopback: SQUALL_LAB_TIER=namespaces")
        self.assertIn("no lab on this machine: ", said)
        self.assertIn("seccomp", said)


# --- the loopback tier ------------------------------------------------------------------------------------------------

class Loopback(Tiers):
    def setUp(self):
        super().setUp()
        self.env["SQUALL_LAB_TIER"] = "loopback"

    def test_packet_faults_are_inconclusive_with_the_remedy(self):
        for kind, action in (("NetworkChaos", "partition"), ("NetworkChaos", "reset"), ("DNSChaos", "error")):
            self.write("net.yaml", NET % (kind, action))
            plan = self.plan(PLAN.replace("kill.yaml", "net.yaml"))
            out = self.expect(5, "run", plan, "--out", self.run_file())
            want = "faults of packets and names need network namespaces: SQUALL_LAB_TIER=loopback asks for"
            self.assertIn(want, re.sub(r"\s+", " ", out))
            self.assertIn("could not be applied", out)
            os.unlink(self.run_file())

    def test_two_runs_at_once(self):
        plan = self.plan()
        both = [self.start("run", plan, "--out", self.run_file("%d.run" % i), "--quiet") for i in range(2)]
        for p in both:
            out, _ = p.communicate(timeout=60)
            self.assertEqual(p.returncode, 0, out)
        addrs = [self.query("select text from events where text like 'web, run: %'", name="%d.run" % i) for i in range(2)]
        self.assertNotEqual(*addrs)

    def test_a_stranger_at_the_port(self):
        """A program of this machine that listens on all addresses is not taken for the service."""
        with socket.socket() as stranger:
            stranger.bind(("0.0.0.0", 0))
            stranger.listen()
            plan = self.plan("""
squall: 1
name: stranger
lab: {services: {a: {run: sleep 100, ready: {tcp: %d, within: 500ms}}}}
storm: [{baseline: 10ms}]
""" % stranger.getsockname()[1])
            out = self.expect(4, "run", plan, "--out", self.run_file())
        self.assertIn("is answered by a program outside of this service", out)

    def test_a_service_that_listens_everywhere(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        out = self.expect(5, "run", self.plan("""
squall: 1
name: everywhere
lab: {services: {a: {run: SERVICE echo %d, ready: {tcp: %d}}}}
storm: [{baseline: 10ms}]
""" % (port, port)), "--out", self.run_file())
        self.assertIn("a: listens on all addresses of this machine", out)

    def test_what_the_plan_asks_for_and_does_not_get(self):
        out = self.expect(5, "run", self.plan("""
squall: 1
name: lost
lab: {ipv6: true, dns: true, services: {a: {run: sleep a, env: {X: a}}}}
storm: [{baseline: 10ms}]
""".replace("sleep a", "sh -c 'sleep 100' a")), "--out", self.run_file())
        self.assertIn("there is no IPv6 between services", out)
        self.assertIn("there is no name server", out)
        self.assertIn('a, run: "a" is left as it is; if it means the service, write a:PORT', out)

    def test_a_tier_that_does_not_exist(self):
        self.env["SQUALL_LAB_TIER"] = "lopback"
        out = self.expect(4, "run", self.plan(), "--out", self.run_file())
        self.assertIn('SQUALL_LAB_TIER is "lopback"; it may be namespaces or loopback', out)

    def test_user_of_a_service(self):
        if not ROOT:
            self.skipTest("needs root")
        os.chmod(self.tmp, 0o755)
        self.expect(5, "run", self.plan("""
squall: 1
name: user
lab:
  services:
    a: {user: nobody, run: sh -c "cat x && echo made > y && id -u; exec sleep 100", files: {x: "held\\n"}, ready: {log: "65534"}}
storm: [{baseline: 10ms}]
"""), "--out", self.run_file())

    def test_demo(self):
        demo = os.path.join(common.ROOT, "packs/demo/storm.yaml")
        if not os.path.exists(os.path.join(BUILD, "breakwater/breakwater")):
            self.skipTest("breakwater is not built")
        out = self.expect(0, "run", demo, "--out", self.run_file(), "--quiet")
        self.assertIn("PASS", out.upper())


DAEMONS = """
squall: 1
name: daemons
lab:
  services:
    redis:
      labels: {app: web}
      run: redis-server --port 6379 --save "" --bind 0.0.0.0 --protected-mode no
      ready: {tcp: 6379}
    daemon:
      # in a session of its own, without an environment, and an orphan
      run: sh -c "env -i setsid sleep 1000 & sleep 1000"
    herd:
      run: SERVICE herd 3
    restless:
      run: SERVICE daemon 0.0.0.0:7000 60
      restart: {policy: always, backoff: 10ms}
load:
  pings:
    get: http://redis:6379/
    arrive: {rate: 50/s}
    timeout: 500ms
storm:
  - baseline: 300ms
  - fault: kill.yaml
    for: 600ms
  - cooldown: 200ms
checks:
  - errors: {load: pings, share: "<= 100%"}
"""
NEXT = "squall: 1\nname: next\nlab: {services: {a: {run: sleep 100}}}\nstorm: [{baseline: 10ms}]\n"


class Kills(Tiers):
    """Promise 3 without namespaces. When all are killed at once, or the init too, daemons stay until `squall undo`."""

    def setUp(self):
        super().setUp()
        self.env["SQUALL_LAB_TIER"] = "loopback"

    def family(self):
        """pid -> role. The lab's init wears the lab's own mark, so it is told by its name."""
        found = {}
        for line in common.processes(self.dir):
            pid = int(line.split()[0])
            try:
                with open("/proc/%d/comm" % pid) as f:
                    comm = f.read().strip()
            except OSError:
                continue
            if comm == "squall-init":
                found[pid] = "init"
            elif "guard-" in line:
                found[pid] = "agent" if "guard-agent" in line else "undertaker"
            elif " run " in line and "squall" in line:
                found[pid] = "main"
        return found

    def one_round(self, rng, plan):
        with open(os.path.join(self.dir, "out"), "w") as out:
            p = self.start("run", plan, "--out", self.run_file(), "--quiet", stdout=out, stderr=out)
        until = time.monotonic() + rng.uniform(0, 0.12 if rng.random() < 0.4 else 1.3)
        while time.monotonic() < until:
            time.sleep(0.005)
            self.note_marks()
        how = rng.choice(["main", "one", "one", "pair", "all", "term", "main and init"])
        roles = self.family()
        self.note_marks()
        victims = {"main": [p.pid], "all": list(roles),
                   "main and init": [p.pid] + [pid for pid, role in roles.items() if role == "init"]}.get(how)
        if victims is None:
            victims = rng.sample(list(roles), min(len(roles), 2 if how == "pair" else 1))
        self.what = "%s: %s" % (how, ", ".join(roles.get(pid, "?") for pid in victims))
        if how == "term":
            p.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        else:
            for pid in victims:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        p.wait(timeout=30)
        if how in ("all", "pair"):
            if rng.random() < 0.5:
                self.expect(0, "undo")
            else:
                self.squall("run", self.write("next.yaml", NEXT), "--out", self.run_file("next.run"), "--quiet")
                os.unlink(self.run_file("next.run"))
        self.assert_nothing_left(10.0)
        return how

    def test_random_kills(self):
        rng, plan, seen = random.Random(SEED), self.plan(DAEMONS), {}
        print("seed %d, %d rounds" % (SEED, ROUNDS))
        for i in range(ROUNDS):
            try:
                how = self.one_round(rng, plan)
            except AssertionError as e:
                raise AssertionError("round %d of seed %d, %s: %s" % (i, SEED, self.what, e))
            seen[how] = seen.get(how, 0) + 1
        print(seen)

    def test_stopped_main(self):
        p = self.start("run", self.plan(DAEMONS), "--out", self.run_file(), "--quiet", stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        self.note_marks()
        self.assertTrue(self.mine)
        p.send_signal(signal.SIGSTOP)
        until = time.monotonic() + 6
        while any(mark in self.mine for mark in marks().values()) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual([pid for pid, mark in marks().items() if mark in self.mine], [])
        p.kill()
        p.wait()
        self.assert_nothing_left()

    def test_all_killed_leave_what_undo_finds(self):
        """The harness can fail: between the deaths and the undo the daemon is there."""
        p = self.start("run", self.plan(DAEMONS), "--out", self.run_file(), "--quiet", stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while time.monotonic() < until and len([1 for mark in marks().values() if mark in self.mine]) < 9:
            time.sleep(0.02)
            self.note_marks()
        time.sleep(0.2)
        # at one instant, as far as a person could tell: whoever is left for a moment would undo it
        members = {p.pid, *self.family()}
        for signo in (signal.SIGSTOP, signal.SIGKILL):
            for pid in members:
                os.kill(pid, signo)
        p.wait()
        time.sleep(0.3)
        left = [pid for pid, mark in marks().items() if mark in self.mine]
        self.assertTrue(left)
        out = self.expect(0, "undo")
        self.assertIn("lab-mark: no process of the lab is left", out)
        self.assert_nothing_left()


APPLICABLE = ["hold_and_release", "hold_and_release_in_one_breath", "kill_and_restart_policies", "kill_with_grace",
              "ready_by_http_and_command", "dies_at_once", "exec_fails", "flood", "slow_main", "ignores_sigterm",
              "daemons_die_with_their_service", "hundreds_of_restarts", "binary_output", "refused_plans",
              "ten_services_up_and_down"]


class Cases(test_lab.Tier, unittest.TestCase):
    """The cases of the other tiers, where they apply."""
    prefix = ("env", "SQUALL_LAB_TIER=loopback")
    for name in APPLICABLE:
        locals()["test_" + name] = getattr(test_lab.Cases, "test_" + name)

    def lab(self, spec, **more):
        # here a service has to say where it listens, and a host's name is the machine's
        lab = super().lab(re.sub(r"(SERVICE (?:echo|http|daemon)) (\d)", r"\1 0.0.0.0:\2", spec), **more)
        lab.members = lambda: self.members_of(lab)
        talk = lab.talk
        lab.talk = lambda name, *words: talk(name, *words).replace(" %s says " % socket.gethostname(), " %s says " % name)
        return lab

    def members_of(self, lab):
        return [pid for pid, mark in marks().items() if mark == self.mark_of(lab)]

    def assert_gone(self, run_dir, limit=5):
        deadline = time.monotonic() + limit
        labs = [lab for lab in self.labs if lab.dir == run_dir]
        while test_lab.naming(run_dir) or any(self.members_of(lab) for lab in labs):
            self.assertLess(time.monotonic(), deadline, "left behind in " + run_dir)
            time.sleep(0.01)

    @staticmethod
    def mark_of(lab):
        at = lab.find("^mark ")
        return int(lab.lines[at].split()[1]) if at >= 0 else None

    def only_two_left(self, lab):
        """Here it is the init alone."""
        deadline = time.monotonic() + 1
        while len(self.members_of(lab)) != 1:
            self.assertLess(time.monotonic(), deadline, self.members_of(lab))
            time.sleep(0.005)

    def test_redis_and_client(self):
        lab = self.lab("service redis-master\nrun redis-server --bind 0.0.0.0 --port 6379 --save ~ "
                       "--protected-mode no\nready tcp 6379\nrestart always\n"
                       "service client\nrun redis-cli -h redis-master -p 6379 -r 1000 -i 0.1 ping\n"
                       "needs redis-master\nready log PONG\nrestart always\n")
        before = len(lab.lines)
        self.assertEqual(lab.ask("kill redis-master 9 0")[0], 0)
        lab.wait(r"READY redis-master .*127\.213\.\d+\.10:6379 answers", before)
        self.assertEqual(lab.talk("redis-master", 6379, "PING"), "0 +PONG")
        lab.wait("LOG client .* PONG", lab.at)
        self.quit(lab)

    def test_faults_of_packets_are_refused(self):
        lab = self.lab("service alpha\nrun SERVICE echo 7000\nready tcp 7000\n")
        lab.say("link 1 - alpha loss=0.5")
        lab.wait("^answer 1 -19 ")
        lab.say("unlink 1")
        lab.wait("^answer 2 -2 ")
        lab.say("reset 0 - alpha")
        lab.wait("^answer 3 -19 ")
        lab.say("names 1 alpha 0 x")
        lab.wait("^answer 4 -19 ")
        lab.say("unnames 1")
        lab.wait("^answer 5 -2 ")
        self.assertEqual(lab.talk("alpha", 7000, "x").split()[0], "0")
        self.quit(lab)

    def test_the_end_of_main_and_init(self):
        """Whichever is killed: main's end is the lab's, and a killed init takes its services with it."""
        spec = ("service alpha\nrun SERVICE echo 7000\nready tcp 7000\nrestart always\n"
                "service redis\nrun redis-server --bind 0.0.0.0 --port 6379 --save ~\nready tcp 6379\n"
                "service herd\nrun SERVICE herd 5\nready log herd\n")
        for i in range(test_lab.KILLS):
            lab = self.lab(spec, up=i % 4 > 1)
            if i % 4 < 2:
                lab.say("start")
                time.sleep(random.uniform(0, 0.05))
            if i % 2:
                lab.proc.kill()
            else:
                os.kill(lab.init_pid(), signal.SIGKILL)
                lab.wait("LAB_LOST - .* the lab's init ended$")
            lab.proc.wait(20)
            self.assert_gone(lab.dir)


if __name__ == "__main__":
    unittest.main(verbosity=2)
