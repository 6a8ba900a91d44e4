"""The golden reports, which the tests compare byte for byte, read by other people's parsers."""
import glob
import json
import sys
import xml.etree.ElementTree as ET

folder = sys.argv[1]
files = sorted(glob.glob(folder + "/*.xml") + glob.glob(folder + "/*.json"))
assert len(files) >= 6, files
for name in files:
    with open(name, "rb") as f:
        data = f.read()
    if name.endswith(".json"):
        report = json.loads(data)
        for load in report["loads"]:
            fates = ["accepted", "refused", "failed", "unknown", "unsent"]
            assert load["due"] == sum(load[f] for f in fates), name
        continue
    root = ET.fromstring(data)
    assert root.tag == "testsuites", name
    for suite in root:
        cases = suite.findall("testcase")
        ids = [(c.get("classname"), c.get("name")) for c in cases]
        assert len(ids) == len(set(ids)), name  # GitLab drops doubles
        assert int(suite.get("tests")) == len(cases), name
        for kind in ("failure", "error"):
            found = [c.find(kind) for c in cases if c.find(kind) is not None]
            assert int(suite.get(kind + "s")) == len(found), name
            for element in found:  # GitLab shows the text only
                assert element.get("message") in element.text, name
print(len(files), "reports read")
