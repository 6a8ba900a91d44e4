"""Promise 3: whatever is killed, whenever: nothing is left. SQUALL_KILLS sets the rounds (default 60), SQUALL_SEED the seed."""
import glob
import os
import random
import signal
import subprocess
import time

from common import SQUALL, Squall, main

ROUNDS = int(os.environ.get("SQUALL_KILLS", "60"))
SEED = int(os.environ.get("SQUALL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
PLAN = """
squall: 1
name: kill
lab:
  ipv6: true
  services:
    redis:
      labels: {app: redis}
      run: redis-server --port 6379 --save "" --bind 0.0.0.0 --protected-mode no
      ready: {tcp: 6379}
      limits: {nofile: 200}
    daemon:
      # a grandchild in a session of its own: nothing but the namespace can catch it
      run: sh -c "setsid sleep 1000 & sleep 1000"
load:
  pings:
    get: http://redis:6379/
    arrive: {rate: 50/s}
    timeout: 500ms
storm:
  - baseline: 300ms
  - fault: fault.yaml
    for: 600ms
  - cooldown: 200ms
checks:
  - errors: {load: pings, share: "<= 100%"}
"""
NEXT = """
squall: 1
name: next
lab: {services: {a: {run: sleep 100}}}
storm: [{baseline: 10ms}]
"""
HEAD = """
apiVersion: chaos-mesh.org/v1alpha1
metadata: {name: f}
"""
FAULTS = [HEAD + text for text in ("""kind: PodChaos
spec: {action: pod-failure, mode: all, duration: 600ms, selector: {labelSelectors: {app: redis}}}
""", """kind: NetworkChaos
spec: {action: delay, mode: all, selector: {labelSelectors: {app: redis}}, delay: {latency: 50ms, jitter: 20ms}}
""", """kind: NetworkChaos
spec: {action: partition, mode: all, selector: {labelSelectors: {app: redis}}}
""", """kind: DNSChaos
spec: {action: error, mode: all, selector: {labelSelectors: {app: redis}}}
""")]


def family(folder):
    """pid -> role of every process of the run, services left out: they are the lab's."""
    found = {}
    mark = ("XDG_RUNTIME_DIR=" + folder).encode()
    for path in glob.glob("/proc/[0-9]*/environ"):
        pid = int(path.split("/")[2])
        try:
            with open(path, "rb") as f:
                if mark not in f.read():
                    continue
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                args = f.read().split(b"\0")
            if b"squall" in args[0]:
                found[pid] = "agent" if b"guard-agent" in args else "undertaker" if b"guard-undertaker" in args else "main/lab"
        except OSError:
            pass
    return found


class Kill(Squall):
    def one_round(self, rng, plan):
        self.write("fault.yaml", rng.choice(FAULTS))
        with open(os.path.join(self.dir, "out"), "w") as out:
            p = self.start("run", plan, "--out", self.run_file(), "--quiet", stdout=out, stderr=out)
        # the start has the narrow windows, so it gets more than its share
        after_s = rng.uniform(0, 0.12 if rng.random() < 0.4 else 1.6)
        time.sleep(after_s)
        how = rng.choice(["main", "one", "one", "pair", "all", "term", "stop"])
        roles = family(self.dir)
        members = list(roles)
        self.what = "%s after %.3f s" % (how, after_s)
        if how == "main":
            p.kill()
        elif how == "term":
            p.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        elif how == "stop":
            p.send_signal(signal.SIGSTOP)
            time.sleep(3.0)
            found = [x for x in self.left_over() if x.startswith("process") and "sleep 1000" in x]
            self.assertEqual(found, [], "the lab outlives a stopped main")
            p.kill()
        elif members:
            victims = members if how == "all" else rng.sample(members, min(len(members), 1 if how == "one" else 2))
            rng.shuffle(victims)
            self.what += ": " + ", ".join(roles[pid] for pid in victims)
            for pid in victims:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        try:
            p.wait(timeout=30)
        except subprocess.TimeoutExpired:
            p.kill()
            self.fail("squall did not end after %s was killed" % how)
        with open(os.path.join(self.dir, "out")) as out:
            self.what += "; exit status %s: %s" % (p.returncode, out.read()[-600:])
        if how in ("all", "pair"):
            self.assert_no_process(how)
            if rng.random() < 0.5:
                self.expect(0, "undo")
            else:  # the next run does it
                self.squall("run", self.write("next.yaml", NEXT), "--out", self.run_file("next.run"), "--quiet")
                os.unlink(self.run_file("next.run"))
        self.assert_nothing_left(10.0)
        return how

    def assert_no_process(self, how):
        until = time.monotonic() + 10
        while any(x.startswith("process") for x in self.left_over()) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual([x for x in self.left_over() if x.startswith("process")], [], how)

    def test_random_kills(self):
        rng = random.Random(SEED)
        plan = self.write("plan.yaml", PLAN)
        seen = {}
        print("seed %d, %d rounds" % (SEED, ROUNDS))
        for i in range(ROUNDS):
            try:
                how = self.one_round(rng, plan)
            except AssertionError as e:
                raise AssertionError("round %d of seed %d, %s: %s" % (i, SEED, self.what, e))
            seen[how] = seen.get(how, 0) + 1
        print(seen)

    def test_main_killed_while_it_closes(self):
        plan = self.write("plan.yaml", NEXT.replace("10ms", "400ms"))
        p = self.start("run", plan, "--out", self.run_file(), "--quiet", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 5
        guards = []
        while len(guards) < 2 and time.monotonic() < until:
            guards = [pid for pid, role in family(self.dir).items() if role != "main/lab"]
        for pid in guards:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.5)  # main is closing now, and waits for them
        self.assertIsNone(p.poll())
        p.kill()
        p.wait()
        for pid in guards:
            os.kill(pid, signal.SIGCONT)
        self.assert_nothing_left()

    def test_harness_sees_what_is_left(self):
        """The harness can fail: a process and a file of the test's own are found."""
        p = subprocess.Popen(["sleep", "30"], env=self.env)
        left = self.left_over()
        p.kill()
        p.wait()
        self.assertTrue(any(x.startswith("process") for x in left), left)
        path = os.path.join(self.tmp, "squall-x")
        open(path, "w").close()
        self.assertTrue(any(x.startswith("file") for x in self.left_over()))
        os.unlink(path)


main()
