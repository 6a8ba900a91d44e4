"""The main job: the demo plan passes when the gateway is sound, and each defect is caught by the check that names it."""
import os

from common import ROOT, Squall, main

PLAN = os.path.join(ROOT, "packs/demo/storm.yaml")
# defect -> text that must stand in the name or reason of a failed check
CAUSES = {
    "B01": "errors readiness",
    "B08": "nothing lost",
    "B11": "nothing lost",
    "B14": "metric",
    "B40": "nothing lost",
}
SEED = ["--seed", "7"]
ROUNDS = int(os.environ.get("SQUALL_ROUNDS", "1"))  # 20 for the full proof


class Demo(Squall):
    def failed_checks(self):
        return [name for (name,) in self.query("select name from checks where verdict = 'fail'")]

    def test_sound_gateway_passes(self):
        for _ in range(ROUNDS):
            self.expect(0, "run", PLAN, "--out", self.run_file())
            self.assertEqual(self.failed_checks(), [])
            self.assertRegex(self.expect(0, "report", self.run_file()), r"\b0 of [0-9,]+ lost")
            os.unlink(self.run_file())

    def test_identity_and_journal_agree(self):
        self.expect(0, "run", PLAN, "--out", self.run_file(), "--quiet", *SEED)
        for due, fates in self.query("select due, accepted + refused + failed + unknown + unsent from load_ends"):
            self.assertEqual(due, fates)
        accepted = self.query("select count(*) from items join requests using (load, id) join fates using (fate) "
                              "where name = 'accepted'")[0][0]
        found = self.query("select sum(n) from settled_objects")[0][0]
        self.assertEqual(found, accepted)

    def defect(self, name):
        for i in range(ROUNDS):
            if i:
                os.unlink(self.run_file())
            self.expect(1, "run", PLAN, "--out", self.run_file(), "--set", "vars.defects=" + name)
            failed = self.failed_checks()
            self.assertTrue(any(CAUSES[name] in check for check in failed), "%s: failed checks %s" % (name, failed))
            self.expect(1, "report", self.run_file())

    def test_defect_b01(self):
        self.defect("B01")

    def test_defect_b08(self):
        self.defect("B08")

    def test_defect_b11(self):
        self.defect("B11")

    def test_defect_b14(self):
        self.defect("B14")

    def test_defect_b40(self):
        self.defect("B40")
        self.assertIn("p-", self.expect(1, "report", self.run_file()))


main()
