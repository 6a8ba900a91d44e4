"""The plans of packs/network on a real Redis: they pass on a sound gateway, fail on a defect, and say so when a fault met
nobody. SQUALL_PACK_LENGTH=90s runs the faults as long as the plans themselves ask.
"""
import os
import re
import shutil
import unittest

from common import ROOT, Squall, main

LENGTH = os.environ.get("SQUALL_PACK_LENGTH", "4s")
FAULT = """
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: f}
spec: {action: %s, mode: all, selector: {labelSelectors: {app: %s}}, direction: both,
       target: {mode: all, selector: {labelSelectors: {app: %s}}}%s}
"""


class Network(Squall):
    def pack(self, name, *args, status):
        plan = os.path.join(self.dir, "network", name + ".yaml")
        if not os.path.exists(plan):
            shutil.copytree(os.path.join(ROOT, "packs/network"), os.path.join(self.dir, "network"))
        if os.path.exists(self.run_file()):
            os.remove(self.run_file())
        return self.expect(status, "run", plan, "--set", "vars.length=" + LENGTH, "--out", self.run_file(), *args)

    def measured(self, state="active"):
        rows = self.query("select measured from faults where state = ? order by t_ns", state)
        return rows[-1][0] if rows else ""

    def failed_checks(self):
        return [row[0] for row in self.query("select name from checks where verdict = 'fail'")]

    def test_partition(self):
        self.pack("redis-partition", status=0)
        self.assertRegex(self.measured(), r"^\d+ packets met it: none passed")

    def test_answers_lost(self):
        self.pack("redis-answers-lost", status=0)
        self.assertRegex(self.measured(), r"^\d+ packets met it: none passed")

    def test_latency(self):
        self.pack("redis-latency", status=0)
        p50, p99 = re.search(r"added (\d+)ms p50, (\d+)ms p99 \(asked 500ms \+-100ms\)", self.measured()).groups()
        self.assertTrue(400 <= int(p50) <= 600 and 500 <= int(p99) <= 602, self.measured())

    def test_packet_log(self):
        log = os.path.join(self.dir, "p.pcapng")
        out = self.pack("redis-latency", "--pcap", log, status=0)
        self.assertIn("packet log: " + log, out)
        with open(log, "rb") as f:
            data = f.read()
        self.assertIn(b"to redis: redis-latency: delayed 0.", data)
        os.remove(self.run_file())
        self.assertIn("File exists", self.expect(4, "run", os.path.join(self.dir, "network/redis-latency.yaml"), "--pcap",
                                                 log, "--out", self.run_file()))
        with open(log, "rb") as f:
            self.assertEqual(f.read(), data)  # as it was
        bare = self.write("bare.yaml", "squall: 1\nname: bare\nstorm: [{baseline: 10ms}]\n")
        self.assertIn("needs a lab", self.expect(4, "run", bare, "--pcap", self.run_file("q"), "--out", self.run_file()))
        self.assertFalse(os.path.exists(self.run_file("q")))

    def test_a_defect_is_caught_in_each(self):
        for name in ("redis-partition", "redis-answers-lost", "redis-latency"):
            with self.subTest(name):
                self.pack(name, "--set", "vars.defects=B14", status=1)
                self.assertTrue(any("gateway_circuit_breaker_state" in c for c in self.failed_checks()),
                                self.failed_checks())

    def test_a_fault_that_meets_nobody_proves_nothing(self):
        """Redis and the API server do not talk to each other."""
        for action, more in (("partition", ""), ("delay", ", delay: {latency: 10ms}")):
            with self.subTest(action):
                shutil.rmtree(os.path.join(self.dir, "network"), ignore_errors=True)
                shutil.copytree(os.path.join(ROOT, "packs/network"), os.path.join(self.dir, "network"))
                self.write("network/faults/redis-network-partition.yaml", FAULT % (action, "redis", "kube", more))
                out = self.pack("redis-partition", "--set", "checks=[{nothing lost: alerts}]", status=5)
                self.assertIn("no packet met it", out)


if __name__ == "__main__":
    main()
