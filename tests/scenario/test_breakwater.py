"""breakwater against real dependencies: what it answered must be found, exactly once, whatever breaks meanwhile.

Run as `python3 test_breakwater.py BUILD_DIR [TestCase.test ...]`. Needs redis-server. Everything runs on loopback
ports of its own in a folder of its own.
"""
import collections
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "build"
PROGRAM = os.path.join(BUILD, "breakwater", "breakwater")
COLLECTION = "/apis/remediation.kubernaut.io/v1alpha1/remediationrequests"
HOOK = "/v1/webhooks/prometheus"
JSON = {"Content-Type": "application/json"}
START_LIMIT_S = 10
SETTLE_LIMIT_S = 40


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(port, method, path, body=None, headers=None, timeout=10):
    """(status, headers, body); raises OSError or HTTPException when there is no whole answer."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request(method, path, body, headers or (JSON if body is not None else {}))
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read()
    finally:
        c.close()


def alert(pod, **more):
    labels = {"alertname": "PodCrashed", "namespace": "prod", "pod": pod}
    labels.update(more.pop("labels", {}))
    return dict({"status": "firing", "labels": labels}, **more)


def webhook(*alerts):
    return json.dumps({"version": "4", "status": "firing", "alerts": list(alerts)})


def raw(port, data, limit=0.4):
    with socket.create_connection(("127.0.0.1", port), timeout=limit) as s:
        s.sendall(data)
        out = b""
        try:
            s.shutdown(socket.SHUT_WR)
            while True:
                chunk = s.recv(65536)
                if not chunk:
                    break
                out += chunk
        except OSError:
            pass
        return out


class Ledger:
    """What was sent for each pod and what became of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answered = collections.Counter()
        self.unknown = collections.Counter()
        self.statuses = collections.Counter()
        self.took = []

    def note(self, pods, status, took):
        with self.lock:
            self.statuses[status] += 1
            self.took.append(took)
            if status in (201, 202, 207):
                self.answered.update(pods)
            elif status in (0, 504):
                self.unknown.update(pods)

    def p99(self):
        took = sorted(self.took)
        return took[int(len(took) * 0.99)] if took else 0


class Load(threading.Thread):
    """Open model: a fixed rate over a few connections; every pod comes `copies` times in a row, or `pods` in turn."""

    def __init__(self, ledger, port, rate, seconds, copies=4, prefix="p", batch=1, timeout=5, pods=None):
        super().__init__(daemon=True)
        self.ledger, self.port, self.rate, self.seconds = ledger, port, rate, seconds
        self.pods = pods
        self.copies, self.prefix, self.batch, self.timeout = copies, prefix, batch, timeout
        self.jobs = collections.deque()

    def sender(self, until):
        c = None
        while True:
            try:
                pods, due = self.jobs.popleft()
            except IndexError:
                if time.monotonic() > until:
                    return
                time.sleep(0.002)
                continue
            t = time.monotonic()
            try:
                if c is None:
                    c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                c.request("POST", HOOK, webhook(*[alert(p) for p in pods]), JSON)
                r = c.getresponse()
                r.read()
                status = r.status
                if r.will_close:
                    c.close()
                    c = None
            except (OSError, http.client.HTTPException):
                status = 0
                c.close()
                c = None
            self.ledger.note(pods, status, time.monotonic() - t)

    def run(self):
        start = time.monotonic()
        until = start + self.seconds + 0.2
        senders = [threading.Thread(target=self.sender, args=(until,), daemon=True) for _ in range(12)]
        for s in senders:
            s.start()
        for i in range(int(self.rate * self.seconds)):
            due = start + i / self.rate
            time.sleep(max(0, due - time.monotonic()))
            n = i % self.pods if self.pods else i // self.copies
            self.jobs.append(([f"{self.prefix}-{n}-{b}" for b in range(self.batch)], due))
        for s in senders:
            s.join()


class CuttingProxy:
    """Forwards connections; cuts a share of the answers after the server has already acted."""

    def __init__(self, to, share, seed):
        self.to, self.share, self.rng = to, share, random.Random(seed)
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.to), timeout=10)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, a, b, answers):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if answers and self.rng.random() < self.share:
                    self.cuts += 1
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class Rig(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="breakwatertest-")
        self.procs = {}
        self.redis_port, self.kube_port, self.port, self.metrics_port = [free_port() for _ in range(4)]
        self.kube_url = f"http://127.0.0.1:{self.kube_port}"
        self.addCleanup(self.end)

    def end(self):
        for p in self.procs.values():
            if p.poll() is None:
                p.kill()
                p.wait()
        bad = ""
        for name in os.listdir(self.dir):
            if name.endswith(".err"):
                with open(os.path.join(self.dir, name), errors="replace") as f:
                    text = f.read()
                if "ERROR: " in text or "runtime error" in text or "Assertion" in text:
                    bad += text
        shutil.rmtree(self.dir)
        self.assertEqual(bad, "", "a sanitizer or an assertion spoke")

    def spawn(self, name, args):
        out = open(os.path.join(self.dir, name + ".log"), "ab")
        err = open(os.path.join(self.dir, name + ".err"), "ab")
        self.procs[name] = subprocess.Popen(args, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        out.close()
        err.close()
        return self.procs[name]

    def wait_port(self, port, proc):
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
                return
            except OSError:
                if proc.poll() is not None:
                    break
                time.sleep(0.01)
        self.fail(f"{proc.args[:2]} did not start: {self.text('gateway.err')} {self.text('kube.err')}")

    def text(self, name):
        try:
            with open(os.path.join(self.dir, name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def redis_up(self):
        p = self.spawn("redis", ["redis-server", "--bind", "127.0.0.1", "--port", str(self.redis_port), "--save", "",
                                 "--appendonly", "no", "--dir", self.dir])
        self.wait_port(self.redis_port, p)

    def kube_up(self, *args):
        p = self.spawn("kube", [PROGRAM, "kube", "--listen", f"127.0.0.1:{self.kube_port}", *args])
        self.wait_port(self.kube_port, p)

    def gateway_up(self, *args, journal=True):
        args = list(args) + (["--journal", os.path.join(self.dir, "journal.bin")] if journal else [])
        p = self.spawn("gateway", [PROGRAM, "gateway", "--listen", f"127.0.0.1:{self.port}", "--metrics-listen",
                                   f"127.0.0.1:{self.metrics_port}", "--redis", f"127.0.0.1:{self.redis_port}",
                                   "--kube", self.kube_url, *args])
        self.wait_port(self.port, p)

    def up(self, *gateway_args, kube=(), journal=True):
        self.redis_up()
        self.kube_up(*kube)
        self.gateway_up(*gateway_args, journal=journal)

    def kill(self, name, sig=signal.SIGKILL):
        self.procs[name].send_signal(sig)
        return self.procs[name].wait(timeout=35)

    def post(self, *alerts, **more):
        status, _, body = call(self.port, "POST", HOOK, webhook(*alerts), **more)
        return status, json.loads(body)

    def rules(self, *rules):
        status, _, body = call(self.kube_port, "PUT", "/_stub/rules", json.dumps(list(rules)))
        self.assertEqual(status, 200, body)

    def metric(self, name, labels=""):
        _, _, body = call(self.port, "GET", "/metrics")
        m = re.search(rf"^{re.escape(name + labels)} ([-0-9.e+]+)$", body.decode(), re.M)
        return float(m.group(1)) if m else None

    def breaker(self, component="redis"):
        return self.metric("gateway_circuit_breaker_state", f'{{component="{component}"}}')

    def until(self, what, limit_s, why):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if what():
                return
            time.sleep(0.03)
        self.fail(why)

    def objects(self):
        items, token = [], ""
        while True:
            status, _, body = call(self.kube_port, "GET", f"{COLLECTION}?limit=500&continue={token}")
            self.assertEqual(status, 200)
            page = json.loads(body)
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items

    def settled(self):
        self.until(lambda: self.metric("gateway_alerts_pending") == 0, SETTLE_LIMIT_S, "alerts stay pending")

    def counts(self):
        """pod -> occurrences; one object per fingerprint is checked on the way."""
        out, seen = {}, collections.Counter()
        for o in self.objects():
            pod = o["spec"]["signalLabels"]["pod"]
            seen[o["spec"]["signalFingerprint"]] += 1
            d = o["spec"]["deduplication"]
            self.assertEqual(d, o["status"]["deduplication"])
            out[pod] = out.get(pod, 0) + d["occurrenceCount"]
        self.assertEqual([f for f, n in seen.items() if n > 1], [], "a fingerprint has several objects")
        return out

    def mistakes(self, ledger):
        """(lost, surplus): occurrences too few for what was answered, too many for what was sent."""
        got = self.counts()
        lost = {p: (n, got.get(p, 0)) for p, n in ledger.answered.items() if got.get(p, 0) < n}
        most = ledger.answered + ledger.unknown
        surplus = {p: (most[p], n) for p, n in got.items() if n > most[p]}
        return lost, surplus

    def assert_exact(self, ledger):
        self.settled()
        self.assertGreater(len(ledger.answered), 0)
        self.assertEqual(self.mistakes(ledger), ({}, {}), dict(ledger.statuses))


class Answers(Rig):
    def test_create_duplicate_batch_mixed(self):
        self.up()
        status, body = self.post(alert("a"))
        self.assertEqual((status, body["status"], body["duplicate"]), (201, "created", False))
        self.assertRegex(body["remediationRequestName"], r"^rr-[0-9a-f]{12}-\d{13}-\d+$")
        status, body = self.post(alert("a"))
        self.assertEqual((status, body["status"], body["metadata"]["Count"]), (202, "duplicate", 2))
        status, body = self.post(alert("b"), alert("c"))
        self.assertEqual((status, body["summary"]["created"]), (201, 2))
        status, body = self.post(alert("a"), alert("d"), alert("d"), {"labels": {"pod": "x"}})
        self.assertEqual(status, 207)
        self.assertEqual([r["status"] for r in body["results"]], ["duplicate", "created", "duplicate", "rejected"])
        self.assertEqual(body["summary"], {"total": 4, "created": 1, "deduplicated": 2, "accepted": 0, "rejected": 1,
                                           "failed": 0})
        self.assertEqual(self.post(alert("z", status="resolved"))[0], 202)
        self.assertEqual(self.counts(), {"a": 3, "b": 1, "c": 1, "d": 2})
        # the same alert in another namespace is another object
        self.assertEqual(self.post(alert("a", labels={"namespace": "test"}))[0], 201)
        self.assertEqual(sorted(o["metadata"]["namespace"] for o in self.objects()), ["prod"] * 4 + ["test"])
        for name, want in {"received": 10, "processed": 9, "deduplicated": 3, "resolved": 1}.items():
            self.assertEqual(self.metric(f"gateway_alerts_{name}_total"), want, name)
        self.assertEqual(self.metric("gateway_crd_created_total"), 5)
        self.assertEqual(self.metric("gateway_alerts_rejected_total", '{reason="invalid"}'), 1)

    def test_event(self):
        self.up()
        event = {"type": "Warning", "reason": "BackOff", "message": "m",
                 "involvedObject": {"kind": "Pod", "namespace": "prod", "name": "web-1"}}
        path = "/api/v1/signals/kubernetes-event"
        self.assertEqual(call(self.port, "POST", path, json.dumps(event))[0], 201)
        self.assertEqual(call(self.port, "POST", path, json.dumps(event))[0], 202)
        self.assertEqual(call(self.port, "POST", path, json.dumps(dict(event, type="Normal")))[0], 400)
        o, = self.objects()
        self.assertEqual((o["spec"]["signalName"], o["spec"]["deduplication"]["occurrenceCount"]), ("BackOff", 2))

    def test_finished_object_takes_no_duplicates(self):
        self.up()
        self.post(alert("a"))
        o, = self.objects()
        o["status"]["overallPhase"] = "completed"
        path = f"/apis/remediation.kubernaut.io/v1alpha1/namespaces/prod/remediationrequests/{o['metadata']['name']}"
        self.assertEqual(call(self.kube_port, "PUT", path, json.dumps(o))[0], 200)
        self.assertIn(self.post(alert("a"))[0], (201, 202))
        self.settled()
        self.assertEqual(sorted(x["spec"]["deduplication"]["occurrenceCount"] for x in self.objects()), [1, 1])

    def test_bad_input(self):
        self.up()
        bad = ["", "{", "[]", "null", "{}", '{"alerts":[]}', '{"alerts":{}}', '{"alerts":[1]}', '{"alerts":[{}]}',
               "[" * 60000, '{"a":' * 15000, '{"alerts":[{"labels":{"alertname":7}}]}', "\x00\x01\x02",
               '{"alerts":[{"labels":{"alertname":"a","namespace":"../x"}}]}', '{"alerts":[{"labels":"a"}]}',
               '{"alerts":[{"labels":{"alertname":"%s"}}]}' % ("x" * 300), '{"alerts":[],"alerts":[]}']
        for body in bad:
            status, headers, answer = call(self.port, "POST", HOOK, body)
            self.assertEqual(status, 400, body[:40])
            self.assertEqual(headers["Content-Type"], "application/problem+json")
            problem = json.loads(answer)
            self.assertEqual(sorted(problem), ["detail", "instance", "request_id", "status", "title", "type"])
            self.assertEqual(problem["request_id"], headers["X-Request-ID"])
        self.assertEqual(call(self.port, "POST", HOOK, b'{"alerts":[{"labels":{"alertname":"\xff\xfe"}}]}')[0], 400)
        self.assertEqual(call(self.port, "POST", HOOK, "x" * 110000)[0], 413)
        self.assertEqual(call(self.port, "POST", HOOK, webhook(alert("a")), {"Content-Type": "text/plain"})[0], 415)
        self.assertEqual(call(self.port, "GET", HOOK)[0], 405)
        self.assertEqual(call(self.port, "POST", "/nowhere", "{}")[0], 404)
        status, headers, _ = call(self.port, "GET", "/health", headers={"X-Request-ID": "abc-1"})
        self.assertEqual((status, headers["X-Request-ID"]), (200, "abc-1"))
        self.assertEqual(self.objects(), [])
        received, rejected = self.metric("gateway_alerts_received_total"), 0
        for reason in ("invalid", "too_large", "media_type"):
            rejected += self.metric("gateway_alerts_rejected_total", f'{{reason="{reason}"}}')
        self.assertEqual(received, rejected)

    def test_broken_http(self):
        self.up()
        body = webhook(alert("x")).encode()
        head = b"POST " + HOOK.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        n = str(len(body)).encode()
        tries = [b"\r\n" * 100, os.urandom(4000), b"GET / HTTP/9.9\r\n\r\n", b"A" * 100000,
                 head + b"Content-Length: 5\r\nContent-Length: " + n + b"\r\n\r\n" + body,
                 head + b"Content-Length: -1\r\n\r\n" + body, head + b"Content-Length: 99999999999999999999\r\n\r\n",
                 head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body, head + b"Content-Length: 500\r\n\r\n" + body,
                 head + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
                 head + b"X: " + b"y" * 70000 + b"\r\n\r\n", b"POST\x00 /ready HTTP/1.1\r\n\r\n"]
        for data in tries:
            raw(self.port, data)
            raw(self.kube_port, data)
        self.assertIsNone(self.procs["gateway"].poll())
        self.assertIsNone(self.procs["kube"].poll())
        self.assertEqual(self.post(alert("x-after"))[0], 201)

    def test_many_at_once_make_one_object(self):
        self.up()
        for pod in ("hot-1", "hot-2"):
            gate, ledger = threading.Barrier(40), Ledger()

            def one(pod=pod, gate=gate, ledger=ledger):
                gate.wait()
                ledger.note([pod], self.post(alert(pod))[0], 0)
            threads = [threading.Thread(target=one) for _ in range(40)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(dict(ledger.statuses), {201: 1, 202: 39})
        self.assertEqual(self.counts(), {"hot-1": 40, "hot-2": 40})


class Start(Rig):
    def run_program(self, *args):
        r = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        return r.returncode, r.stdout, r.stderr

    def test_usage(self):
        self.assertEqual(self.run_program("--version")[0], 0)
        self.assertIn("gateway", self.run_program("--help")[1])
        self.assertIn("B40", self.run_program("defects")[1])
        self.assertIn("redis_call_limit_ms", self.run_program("gateway", "--help")[1])
        for args, word in [((), "usage"), (("moon",), "moon"), (("gateway", "--defects", "B99"), "B01, B08, B11"),
                           (("gateway", "--set", "queue_maxx=3"), "queue_maxx"),
                           (("gateway", "--set", "queue_max=many"), "queue_max"),
                           (("gateway", "--set", "queue_max=0"), "queue_max"), (("gateway", "--listen"), "--listen"),
                           (("kube", "--log-level", "loud"), "loud"), (("gateway", "--config", "/nowhere"), "/nowhere")]:
            status, _, err = self.run_program(*args)
            self.assertEqual(status, 2, args)
            self.assertIn(word, err, args)

    def test_cannot_run(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            status, _, err = self.run_program("kube", "--listen", f"127.0.0.1:{port}")
            self.assertEqual(status, 1)
            self.assertIn("in use", err)
            status, _, err = self.run_program("gateway", "--listen", f"127.0.0.1:{port}", "--metrics-listen",
                                              f"127.0.0.1:{self.metrics_port}")
            self.assertEqual(status, 1)
            self.assertIn("in use", err)
        status, _, err = self.run_program("gateway", "--journal", "/nowhere/j", "--listen", f"127.0.0.1:{self.port}")
        self.assertEqual(status, 1)
        self.assertIn("/nowhere/j", err)
        self.assertEqual(self.run_program("kube", "--data", "/nowhere/d")[0], 1)

    def test_config_file_and_journal_lock(self):
        self.redis_up()
        self.kube_up()
        with open(os.path.join(self.dir, "c.json"), "w") as f:
            json.dump({"queue_max": 7, "dedup_ttl_ms": "5s", "journal": os.path.join(self.dir, "journal.bin")}, f)
        self.gateway_up("--config", "c.json", journal=False)
        status, _, err = self.run_program("gateway", "--journal", os.path.join(self.dir, "journal.bin"), "--listen",
                                          f"127.0.0.1:{free_port()}", "--metrics-listen", f"127.0.0.1:{free_port()}")
        self.assertEqual(status, 1)
        self.assertIn("another gateway", err)

    def test_graceful_stop(self):
        self.up()
        self.rules({"match": {"method": "POST", "path": "/apis/*"}, "reply": {"delay_ms": 800}})
        results = []
        threads = [threading.Thread(target=lambda i=i: results.append(self.post(alert(f"s-{i}"))[0])) for i in range(8)]
        for t in threads:
            t.start()
        time.sleep(0.03)
        t0 = time.monotonic()
        self.assertEqual(self.kill("gateway", signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - t0, 5)
        for t in threads:
            t.join()
        self.assertEqual([s in (201, 202) for s in results], [True] * 8)
        self.gateway_up()
        self.settled()
        self.assertEqual(self.counts(), {f"s-{i}": 1 for i in range(8)})
        self.assertEqual(self.kill("kube", signal.SIGTERM), 0)


class Outage(Rig):
    def test_redis_killed_twice_under_load(self):
        self.up()
        ledger = Ledger()
        load = Load(ledger, self.port, 50, 9, batch=2)
        load.start()
        time.sleep(2)
        for _ in range(2):
            self.kill("redis")
            self.until(lambda: self.breaker() == 1, 2, "breaker is not open within 2 s")
            self.assertEqual(call(self.port, "GET", "/ready")[0], 503)
            time.sleep(1)
            self.redis_up()
            self.until(lambda: self.breaker() == 0, 6, "breaker does not close")
            self.assertEqual(call(self.port, "GET", "/ready")[0], 200)
        load.join()
        self.assert_exact(ledger)
        self.assertEqual(set(ledger.statuses) - {201, 202, 207}, set(), ledger.statuses)
        self.assertIn("falling back", self.text("gateway.log"))
        self.assertGreater(self.metric("gateway_dedup_fallback_total", '{reason="redis_unavailable"}'), 0)
        self.assertGreaterEqual(self.metric("gateway_redis_reconnect_success_total"), 2)
        self.assertLess(ledger.p99(), 0.25)

    def test_redis_stopped_not_answering(self):
        self.up()
        ledger = Ledger()
        load = Load(ledger, self.port, 40, 5)
        load.start()
        time.sleep(1.5)
        self.procs["redis"].send_signal(signal.SIGSTOP)
        self.until(lambda: self.breaker() == 1, 2, "breaker is not open within 2 s")
        time.sleep(1)
        self.procs["redis"].send_signal(signal.SIGCONT)
        load.join()
        self.assert_exact(ledger)
        self.assertIn("redis timeout", self.text("gateway.log"))
        self.assertGreater(self.metric("gateway_k8s_api_queries_total", '{reason="redis_timeout"}'), 0)
        self.assertGreater(self.metric("gateway_redis_operation_errors_total", '{error="timeout"}'), 0)
        self.assertLess(ledger.p99(), 0.25)

    def test_redis_out_of_memory(self):
        self.up()
        subprocess.run(["redis-cli", "-p", str(self.redis_port), "config", "set", "maxmemory", "1"], check=True,
                       capture_output=True)
        ledger = Ledger()
        for i in range(20):
            ledger.note([f"m-{i // 4}"], self.post(alert(f"m-{i // 4}"))[0], 0)
        self.assert_exact(ledger)
        self.assertIn("redis oom", self.text("gateway.log"))
        self.assertGreater(self.metric("gateway_redis_operation_errors_total", '{error="oom"}'), 0)

    def test_kube_down_alerts_wait_in_the_journal(self):
        data = os.path.join(self.dir, "data")
        os.mkdir(data)
        self.up(kube=("--data", data))
        ledger = Ledger()
        load = Load(ledger, self.port, 50, 6)
        load.start()
        time.sleep(1.5)
        self.kill("kube")
        self.until(lambda: self.breaker("k8s_api") == 1, 3, "breaker k8s_api does not open")
        self.assertEqual(call(self.port, "GET", "/ready")[0], 503)
        time.sleep(1.5)
        self.kube_up("--data", data)
        load.join()
        self.assert_exact(ledger)
        self.assertEqual(set(ledger.statuses) - {201, 202, 207}, set(), ledger.statuses)
        self.assertLess(ledger.p99(), 0.25)
        self.assertIn("retry backoff", self.text("gateway.log"))
        self.assertEqual(self.breaker("k8s_api"), 0)

    def test_kube_hanging_answers_stay_fast(self):
        self.up()
        ledger = Ledger()
        load = Load(ledger, self.port, 40, 5)
        load.start()
        time.sleep(1)
        self.procs["kube"].send_signal(signal.SIGSTOP)
        time.sleep(3)
        self.procs["kube"].send_signal(signal.SIGCONT)
        load.join()
        self.assert_exact(ledger)
        self.assertEqual(set(ledger.statuses) - {201, 202, 207}, set(), ledger.statuses)
        self.assertLess(ledger.p99(), 0.25)

    def test_queue_limit(self):
        self.up("--set", "queue_max=20")
        self.kill("kube")
        statuses = collections.Counter()
        for i in range(30):
            status, headers, _ = call(self.port, "POST", HOOK, webhook(alert(f"q-{i}")))
            statuses[status] += 1
            if status == 503:
                self.assertEqual(headers["Retry-After"], "10")
        self.assertEqual(dict(statuses), {202: 20, 503: 10})
        self.kube_up()
        self.settled()
        self.assertEqual(sum(self.counts().values()), 20)

    def test_without_journal_nothing_is_promised(self):
        self.up(journal=False)
        self.assertEqual(self.post(alert("a"))[0], 201)
        self.kill("kube")
        status, headers, _ = call(self.port, "POST", HOOK, webhook(alert("a")))
        self.assertIn(status, (503, 504))
        self.kube_up()
        self.settled()

    def test_throttled_api(self):
        self.up("--set", "backoff_base_ms=300")
        self.rules({"match": {"path": "/apis/*"}, "reply": {"status": 429, "headers": {"Retry-After": "1"}}, "times": 14})
        ledger = Ledger()
        for i in range(40):
            ledger.note([f"t-{i // 2}"], self.post(alert(f"t-{i // 2}"))[0], 0)
        self.assertEqual(self.breaker("k8s_api"), 1)
        self.assert_exact(ledger)
        rows = json.loads(call(self.kube_port, "GET", "/_stub/requests")[2])["requests"]
        times = [r["time"] for r in rows if r["status"] == 429]
        self.assertEqual(len(times), 14)
        second = [float(t[17:23]) + 60 * int(t[14:16]) for t in times]
        for before, after in zip(second[9:], second[10:]):
            self.assertGreaterEqual(after - before, 0.99)  # one probe, and Retry-After is kept

    def test_disk_full_under_the_journal(self):
        self.up()
        journal = os.path.join(self.dir, "journal.bin")
        subprocess.run(["prlimit", "--pid", str(self.procs["gateway"].pid),
                        f"--fsize={os.path.getsize(journal) + 600}:{1 << 30}"], check=True)
        self.kill("kube")
        statuses = [self.post(alert(f"f-{i}"))[0] for i in range(12)]
        self.assertIn(202, statuses)
        self.assertIn(503, statuses)
        self.assertEqual(call(self.port, "GET", "/ready")[0], 503)
        accepted = {f"f-{i}": 1 for i, s in enumerate(statuses) if s == 202}
        self.kill("gateway")
        self.kube_up()
        self.gateway_up()
        self.settled()
        self.assertEqual(self.counts(), accepted)


class Exactly(Rig):
    def test_gateway_killed_under_load(self):
        data = os.path.join(self.dir, "data")
        os.mkdir(data)
        self.up(kube=("--data", data))
        # slow writes now and then: those alerts are answered from the journal and written later
        self.rules({"match": {"method": "P*T", "path": "/apis/*", "prob": 1}, "reply": {"delay_ms": 0}},
                   {"match": {"method": "PUT", "path": "/apis/*", "every": 3}, "reply": {"delay_ms": 250}},
                   {"match": {"method": "POST", "path": "/apis/*", "every": 4}, "reply": {"delay_ms": 150}})
        ledger = Ledger()
        load = Load(ledger, self.port, 80, 8, copies=6)
        load.start()
        for _ in range(4):
            time.sleep(1.2)
            self.kill("gateway")
            self.gateway_up()
        load.join()
        self.assert_exact(ledger)
        self.assertGreater(self.metric("gateway_journal_replayed_total") + sum(
            int(m) for m in re.findall(r'"replayed":(\d+)', self.text("gateway.log"))), 0)

    def test_both_killed_under_load(self):
        data = os.path.join(self.dir, "data")
        os.mkdir(data)
        self.up(kube=("--data", data))
        ledger = Ledger()
        load = Load(ledger, self.port, 80, 6, copies=6)
        load.start()
        for name in ("kube", "gateway", "redis"):
            time.sleep(1)
            self.kill(name)
            time.sleep(0.3)
            {"kube": lambda: self.kube_up("--data", data), "gateway": self.gateway_up, "redis": self.redis_up}[name]()
        load.join()
        self.assert_exact(ledger)

    def test_conflicts(self):
        self.up()
        self.rules({"match": {"method": "PUT", "path": "/apis/*", "every": 2},
                    "reply": {"status": 409, "body": {"kind": "Status", "reason": "Conflict", "code": 409}}})
        ledger = Ledger()
        load = Load(ledger, self.port, 50, 3, copies=10)
        load.start()
        load.join()
        self.assert_exact(ledger)
        conflicts = self.metric("gateway_crd_update_conflicts_total")
        self.assertGreater(conflicts, 5)
        self.assertGreater(self.metric("gateway_crd_update_retry_success_total") / conflicts, 0.99)
        self.assertRegex(self.text("gateway.log"), "conflict resourceVersion.*retry backoff|retry backoff")

    def test_conflicts_beyond_the_retries(self):
        self.up("--set", "backoff_base_ms=200")
        self.assertEqual(self.post(alert("c"))[0], 201)
        self.rules({"match": {"method": "PUT", "path": "/apis/*"}, "reply": {"status": 409}, "times": 6})
        for _ in range(5):
            self.assertEqual(self.post(alert("c"))[0], 202)
        self.settled()
        self.assertEqual(self.counts(), {"c": 6})

    def test_rival_writer(self):
        """Another program changes the objects all the time: real version conflicts."""
        self.up()
        self.post(alert("r"))
        stop = threading.Event()

        def rival():
            path = "/apis/remediation.kubernaut.io/v1alpha1/namespaces/prod/remediationrequests/"
            while not stop.is_set():
                o, = self.objects()
                o["spec"]["note"] = random.random()
                call(self.kube_port, "PUT", path + o["metadata"]["name"], json.dumps(o))
                time.sleep(0.005)
        t = threading.Thread(target=rival)
        t.start()
        ledger = Ledger()
        for _ in range(60):
            ledger.note(["r"], self.post(alert("r"))[0], 0)
        stop.set()
        t.join()
        ledger.answered["r"] += 1
        self.assert_exact(ledger)
        self.assertGreater(self.metric("gateway_crd_update_conflicts_total"), 0)

    def test_answers_lost_on_the_way(self):
        """The API acts, but its answer is cut: nothing may be counted twice, nothing lost."""
        self.redis_up()
        self.kube_up()
        proxy = CuttingProxy(self.kube_port, 0.25, seed=7)
        self.addCleanup(proxy.close)
        self.kube_url = f"http://127.0.0.1:{proxy.port}"
        self.gateway_up("--set", "backoff_base_ms=50", "--set", "backoff_cap_ms=200")
        ledger = Ledger()
        load = Load(ledger, self.port, 50, 4, copies=5)
        load.start()
        load.join()
        proxy.share = 0
        self.assert_exact(ledger)
        self.assertGreater(proxy.cuts, 10)

    def test_drops_errors_and_lies(self):
        self.up("--set", "backoff_base_ms=50", "--set", "backoff_cap_ms=200")
        self.rules({"match": {"path": "/apis/*", "prob": 0.08}, "reply": {"drop": True}},
                   {"match": {"path": "/apis/*", "prob": 0.08}, "reply": {"status": 503}},
                   {"match": {"method": "GET", "path": "/apis/*", "prob": 0.2}, "reply": {"status": 200, "truncate": 9}},
                   {"match": {"method": "GET", "path": "/apis/*", "prob": 0.2}, "reply": {"status": 200, "body": "no"}})
        ledger = Ledger()
        load = Load(ledger, self.port, 50, 3, copies=5)
        load.start()
        load.join()
        self.settled()
        self.rules()
        self.assert_exact(ledger)

    def test_redis_flushed_under_load(self):
        self.up("--set", "cells_max=16")
        ledger = Ledger()
        load = Load(ledger, self.port, 100, 3, pods=40)
        load.start()
        for _ in range(10):
            time.sleep(0.25)
            subprocess.run(["redis-cli", "-p", str(self.redis_port), "flushall"], check=True, capture_output=True)
        load.join()
        self.assert_exact(ledger)


class Defects(Rig):
    """Each planted flaw shows its symptom; the sound build, driven the same way, does not."""

    def ready_while_redis_is_down(self, defects):
        self.up("--defects", defects)
        self.assertEqual(call(self.port, "GET", "/ready")[0], 200)
        self.kill("redis")
        return call(self.port, "GET", "/ready")[0]

    def test_b01(self):
        self.assertEqual(self.ready_while_redis_is_down("B01"), 200)

    def test_b01_sound(self):
        self.assertEqual(self.ready_while_redis_is_down(""), 503)

    def lost_in_batches(self, defects):
        self.up("--defects", defects)
        ledger = Ledger()
        for i in range(10):
            pods = [f"b-{i}-{k}" for k in range(3)]
            ledger.note(pods, self.post(*[alert(p) for p in pods])[0], 0)
        self.settled()
        return len(self.mistakes(ledger)[0])

    def test_b08(self):
        self.assertEqual(self.lost_in_batches("B08"), 20)

    def test_b08_sound(self):
        self.assertEqual(self.lost_in_batches(""), 0)

    def lost_in_conflicts(self, defects):
        self.up("--defects", defects)
        self.rules({"match": {"method": "PUT", "path": "/apis/*", "every": 5}, "reply": {"status": 409}})
        ledger = Ledger()
        for i in range(40):
            ledger.note([f"u-{i // 8}"], self.post(alert(f"u-{i // 8}"))[0], 0)
        self.settled()
        self.assertEqual(set(ledger.statuses), {201, 202})
        lost, surplus = self.mistakes(ledger)
        self.assertEqual(surplus, {})
        return sum(want - got for want, got in lost.values())

    def test_b11(self):
        self.assertGreater(self.lost_in_conflicts("B11"), 3)

    def test_b11_sound(self):
        self.assertEqual(self.lost_in_conflicts(""), 0)

    def breaker_opens(self, defects):
        self.up("--defects", defects)
        ledger = Ledger()
        load = Load(ledger, self.port, 40, 3)
        load.start()
        time.sleep(0.7)
        self.kill("redis")
        opened = False
        while load.is_alive():
            opened = opened or self.breaker() == 1
            time.sleep(0.02)
        return opened

    def test_b14(self):
        self.assertFalse(self.breaker_opens("B14"))

    def test_b14_sound(self):
        self.assertTrue(self.breaker_opens(""))

    def lost_while_redis_is_down(self, defects):
        self.up("--defects", defects)
        ledger = Ledger()
        load = Load(ledger, self.port, 40, 4)
        load.start()
        time.sleep(1)
        self.kill("redis")
        time.sleep(1.5)
        self.redis_up()
        load.join()
        self.settled()
        self.assertEqual(set(ledger.statuses) - {201, 202}, set())
        lost, surplus = self.mistakes(ledger)
        self.assertEqual(surplus, {})
        return len(lost)

    def test_b40(self):
        self.assertGreater(self.lost_while_redis_is_down("B40"), 5)

    def test_b40_sound(self):
        self.assertEqual(self.lost_while_redis_is_down(""), 0)


class Kube(Rig):
    BASE = "/apis/x.io/v1/namespaces/a/things"

    def test_objects(self):
        self.kube_up()
        p = self.kube_port

        def send(method, path, body=None, **more):
            status, _, text = call(p, method, path, json.dumps(body) if body is not None else None, **more)
            return status, json.loads(text) if text else None
        for i in range(7):
            o = {"metadata": {"name": f"o{i}", "labels": {"n": str(i), "odd": str(i % 2)}}}
            self.assertEqual(send("POST", self.BASE, o)[0], 201)
        self.assertEqual(send("POST", self.BASE, {"metadata": {"name": "o1"}})[1]["reason"], "AlreadyExists")
        status, o = send("GET", self.BASE + "/o1")
        self.assertEqual((status, o["metadata"]["namespace"]), (200, "a"))
        o["spec"] = 1
        self.assertEqual(send("PUT", self.BASE + "/o1", o)[0], 200)
        self.assertEqual(send("PUT", self.BASE + "/o1", o)[1]["reason"], "Conflict")
        self.assertEqual(send("DELETE", self.BASE + "/o6")[0], 200)
        self.assertEqual(send("GET", self.BASE + "/o6")[1]["reason"], "NotFound")
        for selector, names in {"odd=1": "135", "odd!=1": "024", "n in (1,2,9)": "12", "n notin (1,2)": "0345",
                                "odd=0,n in (0,3,4)": "04", "nothere": "", "!nothere": "012345", "n==3": "3"}.items():
            q = selector.replace(" ", "%20").replace("=", "%3D").replace("!", "%21")
            status, page = send("GET", f"{self.BASE}?labelSelector={q}")
            self.assertEqual((status, [x["metadata"]["name"] for x in page["items"]]),
                             (200, ["o" + c for c in names]), selector)
        seen, token = [], ""
        while True:
            page = send("GET", f"/apis/x.io/v1/things?limit=2&continue={token}")[1]
            seen += [x["metadata"]["name"] for x in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                break
        self.assertEqual(seen, [f"o{i}" for i in range(6)])
        for method, path, body, want in [("GET", "/nope", None, 404), ("GET", "/apis/x.io/v1/a/b/c", None, 404),
                                         ("POST", self.BASE, [], 400), ("POST", self.BASE, {"metadata": 1}, 400),
                                         ("POST", self.BASE, {"metadata": {"name": "Ä"}}, 422),
                                         ("DELETE", self.BASE, None, 405), ("PUT", self.BASE + "/zz", {}, 404),
                                         ("GET", self.BASE + "?labelSelector=a%20b", None, 400),
                                         ("GET", self.BASE + "?limit=x", None, 400),
                                         ("GET", self.BASE + "?continue=zz", None, 400),
                                         ("PUT", "/_stub/rules", [{"reply": {"statsu": 1}}], 400)]:
            self.assertEqual(send(method, path, body)[0], want, (method, path, body))
        self.assertEqual(call(p, "POST", self.BASE, "{}", {"Content-Type": "text/xml"})[0], 415)
        self.assertEqual(call(p, "POST", self.BASE, b" " * (4 << 20))[0], 413)

    def test_rules(self):
        self.kube_up()
        p = self.kube_port
        self.rules({"match": {"method": "GET", "path": "/apis/*", "nth": 2}, "reply": {"status": 503}},
                   {"match": {"body_has": "poison"}, "reply": {"drop": True}, "times": 1},
                   {"match": {"path": "*/slow"}, "reply": {"delay_ms": 300}},
                   {"match": {"path": "*/hang"}, "reply": {"hang": True}})
        self.assertEqual([call(p, "GET", self.BASE)[0] for _ in range(3)], [200, 503, 200])
        with self.assertRaises((OSError, http.client.HTTPException)):
            call(p, "POST", self.BASE, '{"metadata":{"name":"poison"}}')
        self.assertEqual(call(p, "POST", self.BASE, '{"metadata":{"name":"poison"}}')[0], 201)
        t = time.monotonic()
        self.assertEqual(call(p, "GET", self.BASE + "/slow")[0], 404)
        self.assertGreater(time.monotonic() - t, 0.29)
        with self.assertRaises(OSError):
            call(p, "GET", self.BASE + "/hang", timeout=0.3)
        rows = json.loads(call(p, "GET", "/_stub/requests")[2])["requests"]
        self.assertEqual([r["status"] for r in rows], [200, 503, 200, 0, 201, 404])
        self.assertEqual(json.loads(call(p, "GET", "/_stub/state")[2])["held"], 1)
        self.assertEqual(self.kill("kube", signal.SIGTERM), 0)

    def test_answered_writes_survive_kill(self):
        data = os.path.join(self.dir, "data")
        os.mkdir(data)
        self.kube_up("--data", data)
        done, lock = {}, threading.Lock()

        def writer(k):
            c = http.client.HTTPConnection("127.0.0.1", self.kube_port, timeout=5)
            try:
                for i in range(100000):
                    c.request("POST", self.BASE, json.dumps({"metadata": {"name": f"w{k}-{i}"}}), JSON)
                    r = c.getresponse()
                    body = json.loads(r.read())
                    if r.status == 201:
                        with lock:
                            done[f"w{k}-{i}"] = int(body["metadata"]["resourceVersion"])
            except (OSError, http.client.HTTPException):
                c.close()
        threads = [threading.Thread(target=writer, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        time.sleep(1.5)
        self.kill("kube")
        for t in threads:
            t.join()
        self.kube_up("--data", data)
        items = json.loads(call(self.kube_port, "GET", self.BASE)[2])["items"]
        names = {o["metadata"]["name"] for o in items}
        self.assertGreater(len(done), 100)
        self.assertEqual(set(done) - names, set())
        status, _, body = call(self.kube_port, "POST", self.BASE, '{"metadata":{"name":"later"}}')
        self.assertEqual(status, 201)
        self.assertGreater(int(json.loads(body)["metadata"]["resourceVersion"]), max(done.values()))


if __name__ == "__main__":
    if not os.path.exists(PROGRAM):
        sys.exit(f"{PROGRAM} is missing: give the build folder")
    unittest.main(verbosity=2, warnings="ignore")
