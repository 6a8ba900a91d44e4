"""The lab's network with real kernels at both ends (tests/helpers/lab_driver): each fault of a link by its effect on
TCP, UDP and ICMP of IPv4 and IPv6, names, connections reset, the packet log. Each case runs in every way this
machine and user can: as root by TUN, as root by AF_PACKET, and rootless. Exact figures are in the unit tests; here
stands what a service notices.
"""
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import test_lab as base  # takes BUILD from the command line

PEER = os.path.join(HERE, "..", "helpers", "net_peer.py")
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable  # one that nobody may run


class Tier(base.Tier):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.peer = shutil.copy(PEER, cls.dir)
        os.chmod(cls.peer, 0o644)


class Cases(Tier):
    def network(self, top="ipv6 on\n", names="ab"):
        spec = top
        for name in names:
            role = "agent 7100" if name == "a" else "server 7000"
            spec += "service %s\nrun %s %s %s\nready log listening\n" % (name, PYTHON, self.peer, role)
        return self.lab(spec)

    def on(self, lab, *words):
        """What service a says to a command."""
        status, answer = lab.talk("a", 7100, "~".join(str(w) for w in words)).split(" ", 1)
        self.assertEqual(status, "0", answer)
        return answer

    def link(self, lab, *words):
        self.assertEqual(lab.ask("link " + " ".join(words))[0], 0)

    def unlink(self, lab, number):
        self.assertEqual(lab.ask("unlink %d" % number)[0], 0)
        line = lab.wait("^report %d " % lab.answers)
        return {k: int(v) for k, v in (word.split("=") for word in line.split()[2:])}

    def test_all_protocols_meet_a_delay_and_forget_it(self):
        lab = self.network()
        for family in "46":
            self.assertLess(float(self.on(lab, "one", "b", 7000, family, 2000)), 40)
        self.link(lab, "1 a b latency_us=60000")
        for family in "46":
            for answer in (self.on(lab, "one", "b", 7000, family, 2000), self.on(lab, "ping", "b", family, 2000)):
                self.assertGreaterEqual(float(answer), 60)
                self.assertLess(float(answer), 110)
            number = self.on(lab, "connect", "b", 7000, family, 2000).split()[1]
            self.assertEqual(self.on(lab, "use", number, 2000), "hello")
        report = self.unlink(lab, 1)
        self.assertGreaterEqual(report["packets"], 8)
        self.assertEqual(report["overflow"], 0)
        self.assertGreaterEqual(report["added_p50"], 60000000)
        for family in "46":
            self.assertLess(float(self.on(lab, "ping", "b", family, 2000)), 40)
        self.quit(lab)

    def test_partition_one_way_and_both(self):
        lab = self.network(names="abc")
        number = self.on(lab, "connect", "b", 7000, 4, 2000).split()[1]
        self.link(lab, "1 a b partition")
        for family in "46":
            self.assertEqual(self.on(lab, "one", "b", 7000, family, 200), "-1")
            self.assertEqual(self.on(lab, "ping", "b", family, 200), "-1")
        self.assertEqual(self.on(lab, "connect", "b", 7000, 4, 300), "TimeoutError")
        self.assertEqual(self.on(lab, "use", number, 300), "TimeoutError")
        self.assertNotEqual(self.on(lab, "one", "c", 7000, 4, 2000), "-1")  # others notice nothing
        self.assertGreater(self.unlink(lab, 1)["partitioned"], 5)
        self.link(lab, "2 b a partition")  # the other way: requests arrive, answers do not
        self.assertEqual(self.on(lab, "one", "b", 7000, 4, 200), "-1")
        self.assertGreaterEqual(self.unlink(lab, 2)["partitioned"], 1)
        self.assertNotEqual(self.on(lab, "one", "b", 7000, 4, 2000), "-1")
        self.quit(lab)

    def test_shares_as_a_service_sees_them(self):
        lab = self.network()
        self.link(lab, "1 a b loss=0.3")
        back = int(self.on(lab, "udp", "b", 7000, 4, 2000, 500).split()[0])
        lost = self.unlink(lab, 1)["lost"]
        self.assertEqual(back, 2000 - lost)
        self.assertTrue(500 < lost < 700, lost)
        self.link(lab, "2 b a duplicate=0.5")
        back, _, twice, _ = self.on(lab, "udp", "b", 7000, 6, 1000, 500).split()
        self.assertEqual((int(back), int(twice)), (1000, self.unlink(lab, 2)["duplicated"]))
        self.link(lab, "3 a b corrupt=1")
        self.assertEqual(self.on(lab, "udp", "b", 7000, 4, 50, 300).split()[0], "0")  # each is noticed
        self.assertEqual(self.unlink(lab, 3)["corrupted"], 50)
        self.link(lab, "4 a b latency_us=20000 reorder=0.3")
        self.assertGreater(int(self.on(lab, "udp", "b", 7000, 4, 500, 500).split()[3]), 50)
        self.assertGreater(self.unlink(lab, 4)["reordered"], 50)
        self.quit(lab)

    def test_bytes_of_a_stream_survive_everything(self):
        """Segments are cut and put together again in the switch: not one byte may change."""
        lab = self.network()
        for i, fault in enumerate(("loss=0.01", "duplicate=0.05", "corrupt=0.01", "latency_us=2000 reorder=0.05",
                                   "latency_us=1000 jitter_us=1000", "rate=200000000",
                                   "bandwidth=25000000 limit=200000 buffer=20000",
                                   "loss=0.005 duplicate=0.01 corrupt=0.005 latency_us=1000 reorder=0.01")):
            family = "46"[i % 2]
            self.link(lab, "%d a b %s" % (i, fault))
            answer = self.on(lab, "sum", "b", 7000, family, 3000000)
            self.assertTrue(answer.startswith("right"), (fault, answer))
            report = self.unlink(lab, i)
            self.assertGreater(report["packets"], 2000, fault)
            self.assertEqual(report["overflow"], 0, fault)
        self.assertTrue(self.on(lab, "sum", "b", 7000, 4, 50000000).startswith("right"))
        self.quit(lab)

    def test_a_rate_is_kept(self):
        lab = self.network()
        for i, fault in enumerate(("rate=20000000", "bandwidth=2500000 limit=300000 buffer=10000")):
            self.link(lab, "%d a b %s" % (i, fault))
            took = float(self.on(lab, "sum", "b", 7000, 4, 5000000).split()[1])
            self.unlink(lab, i)
            self.assertTrue(1.95 < took < 2.6, took)  # 40 Mbit at 20 Mbit/s, headers included
        self.quit(lab)

    def test_connections_reset(self):
        lab = self.network(names="abc")
        numbers = [self.on(lab, "connect", name, 7000, family, 2000).split()[1] for name, family in
                   (("b", 4), ("b", 6), ("c", 4))]
        self.assertEqual(lab.ask("reset 0 a b port=7001")[0], 0)
        self.assertEqual(self.on(lab, "use", numbers[0], 1000), "hello")
        self.assertEqual(lab.ask("reset 0 b a")[0], 0)  # from the server's side: the client gets a reset
        self.assertIn("value=2", lab.wait("^report %d " % lab.answers))
        for number in numbers[:2]:
            self.assertIn(self.on(lab, "use", number, 1000), ("ConnectionResetError", "BrokenPipeError"))
        self.assertEqual(self.on(lab, "use", numbers[2], 1000), "hello")
        self.assertEqual(lab.ask("reset 0 a c")[0], 0)
        self.assertEqual(self.on(lab, "use", numbers[2], 1000), "ConnectionAbortedError")
        self.quit(lab)

    def test_names_by_dns_and_their_faults(self):
        lab = self.network("dns on\n", "abc")
        self.assertIn(" 10.213.0.11", self.on(lab, "resolve", "b"))
        self.assertIn(" 10.213.0.11", self.on(lab, "resolve", "b.default.svc.cluster.local"))
        self.assertTrue(self.on(lab, "resolve", "nowhere.example").split()[1].startswith("-"))
        self.assertNotEqual(self.on(lab, "one", "b", 7000, 4, 2000), "-1")
        self.assertEqual(lab.ask("names 1 a 0 b*")[0], 0)
        self.assertTrue(self.on(lab, "resolve", "b").split()[1].startswith("-"))
        self.assertIn(" 10.213.0.12", self.on(lab, "resolve", "c"))
        self.assertEqual(lab.ask("unnames 1")[0], 0)
        self.assertNotIn("value=0", lab.wait("^report %d " % lab.answers))
        self.assertEqual(lab.ask("names 2 a 1 b")[0], 0)
        answer = self.on(lab, "resolve", "b")
        self.assertNotIn("10.213.", answer)
        self.assertRegex(answer, r" \d+\.\d+\.\d+\.\d+")
        self.assertEqual(lab.ask("unnames 2")[0], 0)
        self.assertEqual(lab.ask("names 3 a 2 b 400")[0], 0)
        took, found = self.on(lab, "resolve", "b").split()[:2]
        self.assertEqual(found, "10.213.0.11")
        self.assertTrue(0.4 <= float(took) < 2, took)
        self.assertEqual(lab.ask("unnames 3")[0], 0)
        self.assertLess(float(self.on(lab, "resolve", "b").split()[0]), 0.2)
        self.quit(lab)

    def traffic(self, lab, source, target):
        before = len(lab.lines)
        lab.say("traffic %s %s" % (source, target))
        return int(lab.wait("^traffic", before).split()[2])

    def test_clean_links_pass_by_the_switch_and_no_packet_twice(self):
        """Where ports are veths the kernel carries what is clean; each change-over is exact for every packet."""
        lab = self.network(names="abc")
        by_kernel = "TUN" not in lab.opened
        self.on(lab, "udp", "b", 7000, 4, 100, 300)
        self.assertEqual(self.traffic(lab, "a", "b"), 0 if by_kernel else 100)
        self.link(lab, "1 a b")  # nothing is asked: packets only take the way through the switch
        self.assertEqual(self.on(lab, "udp", "b", 7000, 6, 100, 300).split()[0], "100")
        self.assertGreaterEqual(self.traffic(lab, "a", "b"), 100)
        self.assertEqual(self.traffic(lab, "b", "a"), 0 if by_kernel else 200)
        self.unlink(lab, 1)
        self.on(lab, "begin", "udp", "b", 7000, 4, 20000, 3000)
        for i in range(60):
            self.link(lab, "%d a b" % (10 + i))
            self.link(lab, "%d b a" % (100 + i))
            self.unlink(lab, 10 + i)
            self.unlink(lab, 100 + i)
        back, _, twice, _ = self.on(lab, "result").split()
        self.assertEqual((back, twice), ("20000", "0"))
        self.quit(lab)

    def test_packet_log(self):
        path = os.path.join(self.dir, "log-%s.pcapng" % type(self).__name__)
        open(path, "w").close()
        os.chmod(path, 0o666)
        lab = self.network("ipv6 on\npcap %s\n" % path)
        self.link(lab, "1 a b loss=0.5")
        back = int(self.on(lab, "udp", "b", 7000, 4, 100, 300).split()[0])
        self.on(lab, "ping", "b", 6, 300)
        self.unlink(lab, 1)
        self.quit(lab)
        data = open(path, "rb").read()
        self.assertEqual(data[:4], b"\x0a\x0d\x0d\x0a")
        if not shutil.which("tshark"):
            self.skipTest("tshark is not installed: only the file's head was looked at")
        out = subprocess.run(["tshark", "-r", path, "-Y", "udp.dstport == 7000", "-T", "fields", "-e", "frame.comment",
                              "-e", "frame.interface_name"], capture_output=True, text=True, check=True).stdout
        lines = out.splitlines()
        self.assertEqual(len(lines), 100)
        self.assertEqual(sum("to b: 1: lost" in line for line in lines), 100 - back)
        self.assertTrue(all(line.endswith("\ta") for line in lines))
        out = subprocess.run(["tshark", "-r", path, "-Y", "icmpv6"], capture_output=True, text=True, check=True).stdout
        self.assertIn("Echo (ping) request", out)
        os.remove(path)


class RootTun(Cases, unittest.TestCase):
    needs = "root"


class RootPacket(Cases, unittest.TestCase):
    needs, tun = "root", False


class Rootless(Cases, unittest.TestCase):
    uid, prefix = base.Rootless.uid, base.Rootless.prefix


if __name__ == "__main__":
    unittest.main(verbosity=2)
