"""squall as a user meets it: wrong input, services that misbehave, interruption in every phase, odd outputs."""
import json
import os
import re
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree

from common import BUILD, ROOT, Squall, main

REDIS = """
    redis:
      labels: {app: redis}
      run: redis-server --port 6379 --save "" --bind 0.0.0.0 --protected-mode no
      ready: {tcp: 6379}
"""
WEB = """
    web:
      run: python3 -m http.server 8000
      ready: {http: ":8000/", within: 20s}
"""
FAULT = """
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: f}
spec: {action: pod-failure, mode: all, selector: {labelSelectors: {app: redis}}}
"""


def plan(services, load="", storm="  - baseline: 1s\n", checks=""):
    return ("squall: 1\nname: t\nlab:\n  services:" + services + ("load:\n" + load if load else "") + "storm:\n" + storm +
            ("checks:\n" + checks if checks else ""))


GET_WEB = "  gets:\n    get: http://web:8000/\n    arrive: {rate: 50/s}\n    timeout: 1s\n"


class Usage(Squall):
    def test_help_and_version(self):
        self.assertIn("usage", self.expect(0, "--help"))
        self.assertIn("squall", self.expect(0, "--version"))
        self.assertIn("did you mean", self.expect(2, "rnu"))
        self.assertIn("did you mean", self.expect(2, "run", "--sed", "3"))
        self.expect(2, "run")
        self.expect(2, "report")
        self.expect(2, "run", "x.yaml", "--report", "pdf=x")
        self.assertEqual(self.expect(0, "help", "run"), self.expect(0, "run", "--help"))
        self.assertIn("unexpected", self.expect(2, "doctor", "x"))
        self.assertIn("no folder", self.expect(2, "undo", "--state-dir", "/nonexistent"))
        self.assertIn("json", self.expect(2, "report", "x.run", "--format", "pdf"))

    def test_missing_and_odd_plans(self):
        cases = {
            "empty.yaml": "", "binary.yaml": bytes(range(256)) * 40, "list.yaml": "- 1\n", "huge.yaml": "a: " + "x" * (3 << 20),
            "deep.yaml": "a: " + "[" * 5000 + "]" * 5000,
            "bomb.yaml": "squall: 1\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
                "%s: &%s [%s]\n" % (chr(98 + i), chr(98 + i), ",".join(["*" + chr(97 + i)] * 9)) for i in range(9)),
            "unclosed.yaml": "squall: 1\nname: \"x\n",
        }
        for name, text in cases.items():
            with self.subTest(name):
                out = self.expect(3, "run", self.write(name, text))
                self.assertIn(name, out)
                self.assertLess(len(out), 20000)
        self.assertIn("nope.yaml", self.expect(3, "run", "nope.yaml"))

    def test_lint_reports_all_at_once(self):
        path = self.write("p.yaml", plan(REDIS).replace("ready:", "raedy:").replace("run:", "run: x\n      restrat: never\n      lables: {}\n      runn:"))
        out = self.expect(3, "lint", path)
        self.assertGreaterEqual(out.count("did you mean"), 3)
        self.assertIn("p.yaml:8:7", out)
        self.assertIn("^", out)

    def test_explain_and_schema(self):
        out = self.expect(0, "explain", os.path.join(ROOT, "packs/demo/storm.yaml"))
        for word in ("redis-master", "25 requests a second", "pod-failure"):
            self.assertIn(word, out)
        self.assertEqual(json.loads(self.expect(0, "lint", "--schema"))["type"], "object")
        self.assertIn("rate", self.expect(0, "explain", "--keys", "load.NAME.arrive"))
        self.assertIn("no mistakes", self.expect(0, "lint", os.path.join(ROOT, "packs/demo/storm.yaml")))

    def test_doctor(self):
        self.assertIn("ok", self.expect(0, "doctor"))


class Services(Squall):
    def fails(self, service, *words, status=4, more=()):
        path = self.write("p.yaml", plan(service))
        out = self.expect(status, "run", path, "--out", self.run_file(), *more)
        for word in words:
            self.assertIn(word, out)
        return out

    def test_never_ready(self):
        self.fails("\n    a:\n      run: sleep 1000\n      ready: {tcp: 99, within: 1s}\n", "\"a\" did not become ready")

    def test_listens_on_loopback_only(self):
        for address, told in ("127.0.0.1", True), ("0.0.0.0", False):
            out = self.fails("\n    a:\n      run: python3 -m http.server 8000 --bind %s\n"
                             "      ready: {http: \":8000/no-such-page\", within: 2s, every: 100ms}\n" % address,
                             "\"a\" did not become ready")
            self.assertEqual("listens on 127.0.0.1 only; in the lab it must listen on 0.0.0.0" in out, told, out)
            os.remove(self.run_file())

    def test_dies_at_once(self):
        self.fails("\n    a:\n      run: sh -c \"echo my last words; exit 3\"\n      ready: {tcp: 99, within: 3s}\n",
                   "exited with 3", "my last words")

    def test_no_such_program(self):
        self.fails("\n    a:\n      run: no-such-program --x\n", "ended before it was ready: exec failed: No such file",
                   "no-such-program: not in PATH of the lab; give an absolute path or {{plan.dir}}/NAME")

    def test_own_program_beside_the_plan(self):
        program = self.write("own program.sh", "#!/bin/sh\nwhile sleep 0.1; do echo \"$HERE\"; done &\nexec python3 -m http.server 8000\n")
        os.chmod(program, 0o755)
        for run in "\"'./own program.sh'\"", "[\"{{plan.dir}}/own program.sh\"]":
            self.expect(0, "run", self.write("p.yaml", plan(
                "\n    web:\n      run: %s\n      env: {HERE: \"in {{plan.dir}}\"}\n"
                "      ready: {http: \":8000/\", within: 20s}\n" % run,
                load=GET_WEB, storm="  - baseline: 500ms\n", checks="  - log: {service: web, matches: \"^in /\"}\n")),
                "--out", self.run_file())
            os.remove(self.run_file())

    def test_port_in_use(self):
        self.fails("\n    a:\n      run: sh -c \"redis-server --port 6379 --save '' & sleep 0.5; exec redis-server --port 6379\"\n"
                   "      ready: {tcp: 6380, within: 3s}\n", "Address already in use")

    def test_floods_its_log_and_ignores_term(self):
        out = self.expect(0, "run", self.write("p.yaml", plan(
            "\n    a:\n      run: sh -c \"trap '' TERM; exec yes hostile\"\n      stop: {grace: 300ms}\n" + REDIS,
            load="  r:\n    get: http://redis:6379/\n    arrive: {rate: 10/s}\n    timeout: 300ms\n",
            checks="  - errors: {load: r, share: \"<= 100%\"}\n")), "--out", self.run_file())
        self.assertIn("lines dropped", out)
        self.assertLess(os.path.getsize(self.run_file()), 64 << 20)

    def test_forks_daemons(self):
        self.expect(0, "run", self.write("p.yaml", plan(
            "\n    a:\n      run: sh -c \"setsid sh -c 'setsid sleep 777 & sleep 778' & sleep 779\"\n" + REDIS,
            load="  r:\n    get: http://redis:6379/\n    arrive: {rate: 10/s}\n    timeout: 300ms\n",
            checks="  - errors: {load: r, share: \"<= 100%\"}\n")), "--out", self.run_file())

    def test_service_dying_in_the_storm_is_told(self):
        out = self.expect(1, "run", self.write("p.yaml", plan(
            "\n    web:\n      run: timeout 1.5 python3 -m http.server 8000\n      ready: {http: \":8000/\", within: 20s}\n",
            load=GET_WEB, storm="  - baseline: 4s\n", checks="  - errors: {load: gets, share: \"< 1%\"}\n")), "--out", self.run_file())
        self.assertIn("exited with 124", out)


class Verdicts(Squall):
    def test_no_checks_is_inconclusive(self):
        self.expect(5, "run", self.write("p.yaml", plan(WEB, GET_WEB)), "--out", self.run_file())

    def test_fault_without_target_is_inconclusive(self):
        self.write("f.yaml", FAULT.replace("app: redis", "app: nobody"))
        out = self.expect(5, "run", self.write("p.yaml", plan(
            WEB, GET_WEB, "  - baseline: 500ms\n  - fault: f.yaml\n    for: 500ms\n",
            "  - errors: {load: gets, share: \"< 1%\"}\n    during: fault\n")), "--out", self.run_file())
        self.assertIn("no service matches", out)
        self.assertIn("compare its selector with the labels of the services", " ".join(out.split()))

    def test_missing_series_is_inconclusive(self):
        self.expect(5, "run", self.write("p.yaml", plan(
            WEB.rstrip() + "\n      metrics: \":8000/\"\n", GET_WEB, checks="  - metric: {service: web, series: nope, value: == 1}\n")),
            "--out", self.run_file())

    def test_pod_kill_and_failure_measure_their_effect(self):
        self.write("f.yaml", FAULT)
        self.write("k.yaml", FAULT.replace("pod-failure", "pod-kill"))
        self.expect(0, "run", self.write("p.yaml", plan(
            REDIS.rstrip() + "\n      restart: {policy: always, backoff: 300ms}\n",
            "  r:\n    get: http://redis:6379/\n    arrive: {rate: 20/s}\n    timeout: 300ms\n",
            "  - baseline: 500ms\n  - fault: f.yaml\n    for: 800ms\n  - fault: k.yaml\n    for: 800ms\n",
            "  - errors: {load: r, share: \"> 50%\"}\n    during: fault\n")), "--out", self.run_file())
        states = self.query("select kind, state, measured from faults order by t_ns")
        for kind in ("pod-failure", "pod-kill"):
            active = [m for k, s, m in states if k == kind and s == "active"]
            self.assertTrue(active and "refuses" in active[0], states)
        self.assertIn("ended", [s for k, s, _ in states if k == "pod-failure"])

    def test_same_seed_same_requests(self):
        load = ("  gets:\n    get: http://web:8000/?{{random 1 1000000}}-{{id}}-{{choose a:3 b:1}}\n"
                "    arrive: {rate: 100/s, poisson: true}\n    timeout: 1s\n    settle: {from: web:8000, list: /, id: \"$.x[*]\", key: \"{{hex 8}}-{{id}}\", within: 1s, stable: 100ms}\n")
        lists = []
        for i in range(2):
            name = "t%d.run" % i
            self.squall("run", self.write("p.yaml", plan(WEB, load)), "--out", self.run_file(name), "--seed", "5")
            lists.append(self.query("select key from items order by id", name=name))
            gaps = self.query("select due_ns - (select min(due_ns) from requests) from requests order by id", name=name)
            lists.append([g for g in gaps])
        n = min(len(lists[0]), len(lists[2]))
        self.assertGreater(n, 50)
        self.assertEqual(lists[0][:n], lists[2][:n])
        self.assertEqual(lists[1][:n], lists[3][:n])


class Chroot(Squall):
    """A root folder made by debootstrap and entered by chroot: "/" is no mount there."""

    SCRIPT = """set -e
cd {dir}; mkdir -p root/usr root/etc root/proc root/dev root/tmp root/build; cd root
for d in bin lib lib64 sbin; do ln -sfn usr/$d $d; done
mount --bind /usr usr; mount --bind {tmp} tmp; mount --bind {build} build; mount -t proc proc proc
mknod -m 666 dev/null c 1 3; mknod -m 666 dev/urandom c 1 9
cp /etc/passwd /etc/group etc
cp {dir}/p.yaml {dir}/f.yaml .
exec env -i PATH=/usr/bin:/bin:/usr/sbin TMPDIR=/tmp XDG_RUNTIME_DIR=/tmp chroot . /build/squall run /p.yaml --out /tmp/t.run
"""

    @unittest.skipUnless(os.geteuid() == 0, "chroot needs root")
    def test_lab_in_a_chroot(self):
        self.write("f.yaml", FAULT)
        self.write("p.yaml", plan(REDIS, "  r:\n    get: http://redis:6379/\n    arrive: {rate: 20/s}\n    timeout: 300ms\n",
                                  "  - baseline: 300ms\n  - fault: f.yaml\n    for: 300ms\n",
                                  "  - errors: {load: r, share: \"> 50%\"}\n    during: fault\n"))
        script = self.write("script", self.SCRIPT.format(dir=self.dir, tmp=self.tmp, build=BUILD))
        p = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", script], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stdout)
        os.unlink(os.path.join(self.tmp, "t.run"))


class Answers(Squall):
    """What comes back is hostile: every request still gets its one fate."""

    BAD = ("truncated", "endless", "chunked-wrong", "two-lengths", "length-chunked", "garbage", "nul", "close", "reset")
    SERVER = os.path.join(BUILD, "tests/unit/load/http_server")

    @unittest.skipUnless(os.path.exists(SERVER), "the test server is not in this build folder")
    def test_broken_servers(self):
        server = subprocess.Popen([self.SERVER], stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline().split()[1])
            loads = "".join("  %s:\n    get: http://127.0.0.1:%d/%s\n    arrive: {rate: 40/s}\n    timeout: 700ms\n" % (n, port, n)
                            for n in ("ok",) + self.BAD)
            path = self.write("p.yaml", "squall: 1\nname: t\nload:\n" + loads + "storm:\n  - baseline: 1s\nchecks:\n"
                              "  - errors: {load: ok, share: < 1%}\n" + "".join(
                                  "  - errors: {load: %s, share: \">= 100%%\"}\n" % n for n in self.BAD))
            self.expect(0, "run", path, "--out", self.run_file())
        finally:
            server.terminate()
            counted = server.communicate(timeout=10)[0]
        rows = self.query("select l.name, e.due, e.accepted, e.unknown, e.sent from load_ends e join loads l using (load)")
        self.assertEqual(len(rows), 1 + len(self.BAD))
        for name, due, accepted, unknown, sent in rows:
            self.assertEqual((due, sent), (40, 40), name)
            self.assertEqual((accepted, unknown), (40, 0) if name == "ok" else (0, 40), name)
        self.assertEqual(json.loads(counted.strip().splitlines()[-1])["requests"], 40 * len(rows))

    @unittest.skipUnless(os.path.exists(SERVER), "the test server is not in this build folder")
    def test_a_service_outside_beside_a_lab(self):
        server = subprocess.Popen([self.SERVER], stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline().split()[1])
            path = self.write("p.yaml", plan(REDIS, "  a:\n    get: http://127.0.0.1:%d/ok\n    arrive: {rate: 40/s}\n" % port,
                                             checks="  - errors: {load: a, share: < 1%}\n"))
            self.expect(0, "run", path, "--out", self.run_file())
        finally:
            server.terminate()
            server.communicate(timeout=10)

    def test_nothing_listens(self):
        path = self.write("p.yaml", "squall: 1\nname: t\nload:\n  a:\n    get: http://127.0.0.1:9/\n    arrive: {rate: 40/s}\n"
                          "storm:\n  - baseline: 500ms\nchecks:\n  - errors: {load: a, share: \"< 1%\"}\n")
        self.expect(1, "run", path, "--out", self.run_file())
        self.assertEqual(self.query("select due, failed, sent from load_ends"), [(20, 20, 0)])

    def test_metrics_malformed(self):
        for text, word in (("a{b=\\\"c 1", "line 1"), ("good 1\\n\\0", "metrics"), ("x 1\\nx 2", "metrics")):
            with self.subTest(text):
                path = self.write("p.yaml", plan(
                    WEB.rstrip() + "\n      metrics: {path: \":8000/metrics\", every: 100ms}\n      files: {metrics: \"%s\\n\"}\n" % text.replace("\\0", ""),
                    GET_WEB, checks="  - metric: {service: web, series: good, value: == 1}\n"))
                status, out = self.squall("run", path, "--out", self.run_file())
                self.assertEqual(status, 0 if "good" in text else 5, out)
                os.unlink(self.run_file())
                if "good" not in text:
                    self.assertIn("scrape", out)


class Interruption(Squall):
    PLAN = plan(REDIS, "  r:\n    get: http://redis:6379/\n    arrive: {rate: 50/s}\n    timeout: 500ms\n",
                "  - baseline: 1s\n  - fault: f.yaml\n    for: 1s\n  - recovery: {within: 2s}\n  - cooldown: 1s\n",
                "  - errors: {load: r, share: \"<= 100%\"}\n")

    def interrupt(self, signo, after_s):
        self.write("f.yaml", FAULT)
        p = self.start("run", self.write("p.yaml", self.PLAN), "--out", self.run_file())
        time.sleep(after_s)
        p.send_signal(signo)
        out, _ = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 128 + signo, out)
        self.assertIn("interrupted", out)
        self.assert_nothing_left()
        self.assertEqual(self.query("select count(*) from meta")[0][0] > 0, True)

    def test_in_every_phase(self):
        for after_s in (0.05, 0.7, 1.6, 2.6, 4.0):
            for signo in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(after_s=after_s, signo=signo):
                    if os.path.exists(self.run_file()):
                        os.unlink(self.run_file())
                    self.interrupt(signo, after_s)

    def test_twice(self):
        self.write("f.yaml", FAULT)
        path = self.write("p.yaml", self.PLAN.replace("redis-server", "sh -c \"trap '' TERM; redis-server").replace("protected-mode no", "protected-mode no & while :; do sleep 1; done\"").replace("      ready:", "      stop: {grace: 60s}\n      ready:"))
        p = self.start("run", path, "--out", self.run_file())
        time.sleep(1.2)
        p.send_signal(signal.SIGINT)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=10)
        self.assertEqual(p.returncode, 130, out)

    def test_killed_run_keeps_all_but_a_second(self):
        self.write("f.yaml", FAULT)
        p = self.start("run", self.write("p.yaml", self.PLAN.replace("baseline: 1s", "baseline: 6s")), "--out", self.run_file())
        time.sleep(4.5)
        p.kill()
        p.wait()
        p.stdout.close()
        self.assert_nothing_left()
        last = self.query("select max(due_ns) from requests")[0][0]
        self.assertGreater(last, 2.2e9)
        self.expect(5, "report", self.run_file())


class Output(Squall):
    PLAN = plan(WEB, GET_WEB, checks="  - errors: {load: gets, share: \"< 1%\"}\n")

    def test_reports(self):
        self.expect(0, "run", self.write("p.yaml", self.PLAN), "--out", self.run_file(), "--report", "json=r.json", "--report",
                    "junit=r.xml", "--report", "markdown=r.md")
        with open(os.path.join(self.dir, "r.json")) as f:
            self.assertEqual(json.load(f)["verdict"], "pass")
        xml.etree.ElementTree.parse(os.path.join(self.dir, "r.xml"))
        again = json.loads(self.expect(0, "report", self.run_file(), "--format", "json"))
        with open(os.path.join(self.dir, "r.json")) as f:
            self.assertEqual(again, json.load(f))

    def test_piped_output_has_no_escapes(self):
        out = self.expect(0, "run", self.write("p.yaml", self.PLAN), "--out", self.run_file())
        self.assertNotIn("\x1b", out)

    def test_closed_output(self):
        p = self.start("run", self.write("p.yaml", self.PLAN), "--out", self.run_file(), stderr=subprocess.DEVNULL)
        p.stdout.close()
        self.assertEqual(p.wait(timeout=60), 0)

    def test_unwritable_report_is_known_before_the_storm(self):
        out = self.expect(4, "run", self.write("p.yaml", self.PLAN), "--report", "json=/nonexistent/r.json")
        self.assertIn("/nonexistent/r.json", out)
        self.assertNotIn("starting", out)

    def test_quiet_names_what_did_not_pass(self):
        out = self.expect(1, "run", self.write("p.yaml", self.PLAN.replace("< 1%", "> 99%")), "--out", self.run_file(), "--quiet")
        self.assertIn("errors gets", out)
        self.assertIn("squall report", out)
        self.assertLess(len(out.splitlines()), 6)

    def test_tmpdir_is_named(self):
        for tmp in ("/nonexistent/tmp", "/" + "x" * 300):
            self.env["TMPDIR"] = tmp
            self.assertIn("TMPDIR", self.expect(4, "run", self.write("p.yaml", self.PLAN), "--out", self.run_file()))

    def test_unwritable_run_file(self):
        out = self.expect(4, "run", self.write("p.yaml", self.PLAN), "--out", "/nonexistent/x.run")
        self.assertIn("/nonexistent/x.run", out)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_disk_full_under_the_run_file(self):
        small = os.path.join(self.dir, "small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", small], check=True)
        try:
            path = self.write("p.yaml", self.PLAN.replace("50/s", "3000/s").replace("baseline: 1s", "baseline: 20s"))
            out = self.expect(5, "run", path, "--out", small + "/t.run")
            self.assertIn("No space left", out)
            self.assertGreater(self.query("select count(*) from requests", name="small/t.run")[0][0], 0)
        finally:
            subprocess.run(["umount", small], check=True)

    def test_pack_goes_on_after_a_failure(self):
        os.mkdir(os.path.join(self.dir, "pack"))
        self.write("pack/a.yaml", self.PLAN.replace("< 1%", "> 99%"))
        self.write("pack/b.yaml", self.PLAN)
        self.write("pack/notaplan.yaml", FAULT)
        out = self.expect(1, "run", "pack")
        self.assertIn("2 of 2 plans run", out)
        self.assertRegex(out, r"FAIL +pack/a.yaml")
        self.assertRegex(out, r"pass +pack/b.yaml")
        self.assertIn("several plans", self.expect(2, "run", "pack", "--out", "x.run"))

    def test_pack_is_ended_as_a_whole(self):
        os.mkdir(os.path.join(self.dir, "pack"))
        for name in ("a", "b"):
            self.write("pack/%s.yaml" % name, self.PLAN.replace("baseline: 1s", "baseline: 60s"))
        for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            with self.subTest(signo):
                p = self.start("run", "pack")
                time.sleep(1.5)
                p.send_signal(signo)
                out, _ = p.communicate(timeout=20)
                if signo != signal.SIGKILL:
                    self.assertEqual(p.returncode, 128 + signo, out)
                    self.assertIn("1 of 2 plans run", out)
                self.assert_nothing_left(10)


main()
