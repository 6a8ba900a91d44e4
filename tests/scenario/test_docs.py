# timeout: 400
"""Every example of README.md and docs/*.md is exercised, and every plan of packs/examples is run.

How a page says what its blocks are (comments stand on the lines right above a block):

    ```yaml      a whole plan (has `squall:`) or a manifest (has `kind: PodChaos`) or a part of a plan, which is put into
                 the demo's plan by its first key; `squall lint` must find no mistake in it
                 <!-- fails: TEXT -->   lint must fail and say TEXT
                 <!-- in: a.b -->       where a part belongs that does not begin with a key of the plan
                 <!-- file: NAME -->    is written to NAME, for the commands of the page
                 <!-- other: WHAT -->   is no plan at all
    ```console   lines that begin with `$ ` are run by one shell for the page, in a folder that looks like a fresh clone;
                 what is shown below must come: numbers may differ, but not 0 and not limits; `…` stands for anything.
                 Each must exit with 0, unless `$ echo $?` follows and shows its status.
                 <!-- alone -->         the block has a shell of its own, beside the others
    ```text      is neither; so is a block that says nothing
    ```sql       runs on the run file of an example; ```json is read; ```sh is checked like commands in running text:
                 commands, subcommands and options must exist
"""
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import unittest

from common import BUILD, LIMIT_S, ROOT, Squall, main

PAGES = ["README.md", "CONTRIBUTING.md"] + sorted(
    os.path.relpath(p, ROOT) for p in glob.glob(ROOT + "/docs/**/*.md", recursive=True))
EXAMPLES = sorted(glob.glob(ROOT + "/packs/examples/*.yaml"))
COMMANDS = ("run", "lint", "explain", "report", "lab", "chaos", "undo", "doctor")
NOT_RUN = re.compile(r"(git clone|sudo|make|bash \.ci|tools/|cd squall$)")
PLAN_KEYS = ("name", "about", "tags", "seed", "include", "vars", "lab", "load", "storm", "checks")
CHECK_KINDS = ("nothing lost", "latency", "errors", "recovers", "log", "metric")
PHASE_KINDS = ("baseline", "fault", "manifest", "recovery", "cooldown")


class Block:
    def __init__(self, page, line, lang, marks):
        self.page, self.line, self.lang, self.marks, self.lines = page, line, lang, marks, []

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def where(self):
        return "%s:%d" % (self.page, self.line)

    def commands(self):
        """[(command, shown output)] of a console block; a command goes on after a trailing backslash."""
        found, continued = [], False
        for line in self.lines:
            if continued:
                found[-1][0] += "\n" + line
            elif line.startswith("$ "):
                found.append([line[2:], []])
            elif found:
                found[-1][1].append(line)
            continued = (continued or line.startswith("$ ")) and line.endswith("\\")
        return found


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def blocks(page):
    found, block, marks, indent = [], None, {}, ""
    for nr, line in enumerate(read(page).splitlines(), 1):
        fence = re.match(r"( *)```(\w*)$", line)
        mark = re.match(r" *<!-- (\w+)(?:: (.*))? -->$", line)
        if block is not None:
            if fence:
                found.append(block)
                block = None
            else:
                block.lines.append(line[len(indent):] if line.startswith(indent) else line)
        elif fence:
            indent, block, marks = fence[1], Block(page, nr, fence[2], marks), {}
        elif mark:
            marks[mark[1]] = mark[2] or ""
        elif line.strip():
            marks = {}
    return found


def prose(page):
    """The page without its fenced blocks, but with its ```sh blocks."""
    return re.sub(r"^ *```(?!sh$)\w*$.*?^ *```$", "", read(page), flags=re.S | re.M)


# --- what is shown, and what came --------------------------------------------------------------------------------

NUMBER = re.compile(r"(?<![A-Za-z\d.,])(\d[\d.,:]*\d|\d)(ns|us|ms|s|KiB|MiB)?(?![A-Za-z])")


def as_pattern(text):
    def wild(match):
        if match[0] == "0" or text[:match.start()].endswith(("< ", "> ", "<= ", ">= ", "== ")):
            return re.escape(match[0])
        return r"\d[\d.,:]*(?:ns|us|ms|s)" if match[2] and "iB" not in match[2] else r"[1-9][\d.,:]*" + (match[2] or "")
    parts, end = [], 0
    for match in NUMBER.finditer(text):
        parts += [re.escape(text[end:match.start()]), wild(match)]
        end = match.end()
    return "".join(parts) + re.escape(text[end:])


def matches(shown, got):
    squeeze = lambda text: " ".join(text.split())
    pieces = [as_pattern(squeeze(piece)) for piece in "\n".join(shown).split("…")]
    return re.fullmatch(r"\s*.*?\s*".join(pieces), squeeze(got), re.S) is not None


class Docs(Squall):
    def setUp(self):
        super().setUp()
        self.clone = os.path.join(self.dir, "squall")
        os.mkdir(self.clone)
        for name in ("packs", "docs"):  # copies: what a page does must not reach the repository
            shutil.copytree(os.path.join(ROOT, name), os.path.join(self.clone, name))
        os.symlink(BUILD, self.clone + "/build")

    # --- yaml

    def lint_folder(self):
        """A folder like packs/demo, so that parts of plans find its manifests."""
        folder = os.path.join(self.dir, "lint")
        if not os.path.exists(folder):
            shutil.copytree(os.path.join(ROOT, "packs/demo"), folder + "/demo")
            shutil.copytree(folder + "/demo/faults", folder + "/faults")
        return folder

    def whole_plan(self, block):
        """The text of a plan that contains the block, and the number of lines before it."""
        text, place = block.text, block.marks.get("in")
        if re.search(r"^squall:", text, re.M):
            return text
        if re.search(r"^kind: ", text, re.M):
            return ("squall: 1\nname: page\ninclude: [demo/storm.yaml]\nstorm:\n  - baseline: 1s\n  - fault: block.yaml\n    for: 1s\n"
                    "checks:\n  - errors: {load: alerts, share: < 1%}\n")
        if place is None and text.startswith("- "):
            place = "checks" if re.match(r"- (%s):" % "|".join(CHECK_KINDS), text) else "storm"
        head = "squall: 1\nname: page\n" + ("" if re.search(r"^include:", text, re.M) else "include: [demo/storm.yaml]\n")
        if place == "storm" or (re.search(r"^storm:", text, re.M) and not re.search(r"^checks:", text, re.M)):
            head += "checks: []\n"  # those of the demo speak about its phases
        if place is None:
            return re.sub(r"^name: page\n", "", head, flags=re.M) + text if re.search(r"^name:", text, re.M) else head + text
        steps = place.split(".")
        for depth, step in enumerate(steps):
            head += "  " * depth + step + ":\n"
        return head + "".join("  " * len(steps) + line + "\n" for line in block.lines)

    def check_yaml(self, block):
        if "other" in block.marks:
            return
        folder = self.lint_folder()
        for name, text in (("block.yaml", block.text), ("page.yaml", self.whole_plan(block))):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        status, out = self.squall("lint", os.path.join(folder, "page.yaml"))
        if "fails" in block.marks:
            self.assertEqual(status, 3, block.where() + "\n" + out)
            self.assertIn(block.marks["fails"], out, block.where())
        else:
            self.assertEqual(status, 0, block.where() + "\n" + out)

    # --- console

    def script(self, commands):
        text = "exec 2>&1\n"
        for nr, (command, _) in enumerate(commands):
            if NOT_RUN.match(command):
                self.check_exists(command)
                command = ":"
            text += "(exit ${status:-0})\n%s\nstatus=$?\nprintf '\\n@@ %d %%d\\n' $status\n" % (command, nr)
        return text

    def check_exists(self, command):
        words = command.partition("#")[0].split()
        if words[0] == "make":
            for target in words[1:]:
                self.assertRegex(read("Makefile"), r"(?m)^%s:" % re.escape(target), command)
        for word in words:
            if word.startswith(("tools/", ".ci/")):
                self.assertTrue(os.path.exists(os.path.join(ROOT, word)), command)

    def run_commands(self, where, commands):
        shell = subprocess.run(["bash", "-c", self.script(commands)], cwd=self.clone, env=self.env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, timeout=LIMIT_S)
        rest, out = shell.stdout.decode(errors="replace"), []
        for nr in range(len(commands)):
            got, mark, rest = rest.partition("\n@@ %d " % nr)
            self.assertTrue(mark, "%s: the shell ended in `%s`\n%s" % (where, commands[nr][0], got))
            status, _, rest = rest.partition("\n")
            out.append((int(status), got))
        for nr, (command, shown) in enumerate(commands):
            self.check_command(where, command, shown, out[nr], commands[nr + 1][0] if nr + 1 < len(commands) else "")

    def check_command(self, where, command, shown, result, following):
        status, got = result
        if command == "echo $?":
            self.assertEqual(got.strip(), "\n".join(shown).strip(), where)
            return
        if NOT_RUN.match(command):
            return
        if following != "echo $?":
            self.assertEqual(status, 0, "%s: `%s`\n%s" % (where, command, got))
        if shown:
            self.assertTrue(matches(shown, got), "%s: `%s`\n--- shown\n%s\n--- came\n%s" % (where, command, "\n".join(shown), got))

    def check_console(self, page):
        together, alone = [], []
        for block in blocks(page):
            if "file" in block.marks:
                path = os.path.join(self.clone, block.marks["file"])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(block.text)
                if block.text.startswith("#!"):
                    os.chmod(path, 0o755)
            if block.lang == "console":
                (alone.append((block.where(), block.commands())) if "alone" in block.marks else together.extend(block.commands()))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            tasks = [pool.submit(self.run_commands, where, commands) for where, commands in alone + [(page, together)] if commands]
            for task in tasks:
                task.result()

    # --- the rest

    def check_words(self, page):
        """Commands in running text: subcommands, options and targets must exist."""
        text = prose(page) + "\n".join(b.text for b in blocks(page) if b.lang == "yaml" and "other" in b.marks)
        for command, rest in re.findall(r"(?:`|^ *- )(?:build/)?squall ([a-z]+)\b([^`\n]*)", text, re.M):
            self.assertIn(command, COMMANDS + ("help",), "%s: squall %s" % (page, command))
            for option in re.findall(r"--[a-z][a-z-]*", rest):
                self.assertIn(option, options(self, command) | {"--help"}, "%s: squall %s %s" % (page, command, rest))
        for role, rest in re.findall(r"(?:`|^)breakwater (gateway|kube)\b((?:[^`\n]|\\\n)*)", text, re.M):
            helped = subprocess.run([BUILD + "/breakwater/breakwater", role, "--help"], stdout=subprocess.PIPE, text=True).stdout
            for option in re.findall(r"--[a-z][a-z-]*", rest):
                self.assertTrue(option == "--help" or re.search(r"^  %s " % option[2:].replace("-", "_"), helped, re.M), "%s: breakwater %s %s" % (page, role, option))
        for target in re.findall(r"`make ([a-z]+)`", text):
            self.check_exists("make " + target)
        for path in re.findall(r"`((?:packs|tests|tools|src|bench|docs|breakwater)/[\w./-]+)`", text):
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), "%s: %s" % (page, path))

    def check_links(self, page):
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            self.assertTrue(os.path.exists(os.path.join(ROOT, full)), "%s: link %s" % (page, target))
            if anchor:
                heads = re.findall(r"^#+ (.*)$", read(full), re.M)
                slugs = {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}
                self.assertIn(anchor, slugs, "%s: link %s" % (page, target))

    def check_sql(self, found):
        self.expect(0, "run", os.path.join(ROOT, "packs/examples/settle-by-id.yaml"), "--out", self.run_file(), "--quiet",
                    "--set", "storm.0.baseline=1s")
        for block in found:
            for statement in block.text.split(";"):
                if statement.strip():
                    self.query(statement)

    def check_page(self, page):
        found = blocks(page)
        for block in found:
            if "file" in block.marks:  # plans name the manifests of their page
                self.write(os.path.join(self.lint_folder(), os.path.basename(block.marks["file"])), block.text)
        for block in found:
            self.assertIn(block.lang, ("yaml", "console", "sh", "sql", "json", "text", ""), block.where())
            if block.lang in ("text", ""):
                self.assertNotRegex(block.text, r"(?m)^\$ ", block.where() + ": commands stand in ```console blocks")
            if block.lang == "yaml":
                self.check_yaml(block)
            if block.lang == "json":
                json.loads(block.text)
        text = prose(page)
        for command in re.findall(r"^    +((?:make|bash|tools/\w+) ?.*)$", text, re.M):
            self.check_exists(command)
        self.assertIsNone(re.search(r"^    +(squall|build/|breakwater|sqlite3) .*$", text, re.M),
                          page + ": commands stand in ```console blocks, where they are run")
        self.check_words(page)
        self.check_links(page)
        self.check_console(page)
        sql = [b for b in found if b.lang == "sql"]
        if sql:
            self.check_sql(sql)


def add_page(page):
    name = "test_" + re.sub(r"\W+", "_", os.path.splitext(page)[0]).lower()
    setattr(Docs, name, lambda self: self.check_page(page))


for each in PAGES:
    add_page(each)


# --- the command line --------------------------------------------------------------------------------------------

def options(test, command):
    return set(re.findall(r"^  (--[a-z-]+)", test.expect(0, command, "--help"), re.M))


class CommandLine(Squall):
    PAGE = read("docs/cli.md") if os.path.exists(ROOT + "/docs/cli.md") else ""

    def test_commands(self):
        listed = re.findall(r"^  squall (\w+)", self.expect(0, "--help"), re.M)
        self.assertEqual(sorted(listed), sorted(COMMANDS))
        self.assertEqual(re.findall(r"^## squall (\w+)$", self.PAGE, re.M), listed)

    def test_options(self):
        for command in COMMANDS:
            section = re.search(r"^## squall %s$(.*?)(?=^## |\Z)" % command, self.PAGE, re.M | re.S)[1]
            written = set(re.findall(r"^\| `(--[a-z-]+)", section, re.M))
            self.assertEqual(written, options(self, command), "docs/cli.md, squall " + command)

    def test_report_formats(self):
        out = self.expect(2, "run", "x", "--report", "none=x")
        for name in out.split("formats:")[1].split():
            self.assertIn("`%s`" % name, self.PAGE)

    def test_exit_statuses(self):
        said = self.expect(0, "--help").split("exit status:")[1]
        numbers = re.findall(r"(?<![\w])(\d+)(?:/(\d+))? [a-z]", said)
        wanted = {n for pair in numbers for n in pair if n}
        self.assertEqual(set(re.findall(r"^\| (\d+) \|", self.PAGE, re.M)), wanted)

    def test_environment(self):
        found = set()
        for path in glob.glob(ROOT + "/src/**/*.c", recursive=True):
            with open(path) as f:
                found |= set(re.findall(r'getenv\("(\w+)"\)', f.read()))
        self.assertTrue(found)
        for name in found:
            self.assertIn("| `%s`" % name, self.PAGE)


# --- the gallery -------------------------------------------------------------------------------------------------

class Gallery(Squall):
    def run_example(self, path):
        wanted = int(re.search(r"^# Expected exit status: (\d)$", read(path), re.M)[1])
        for attempt in (1, 2):
            name = "t%d.run" % attempt
            status, out = self.squall("run", path, "--out", self.run_file(name))
            if status != 5 or "did not keep its rate" not in out:
                break  # a machine that is busy with other things proves nothing: once more
        self.assertEqual(status, wanted, out)
        self.expect(wanted, "report", self.run_file(name))
        self.expect(0, "explain", path)


def add_example(path):
    setattr(Gallery, "test_" + re.sub(r"\W", "_", os.path.basename(path)[:-5]), lambda self: self.run_example(path))


for each in EXAMPLES:
    add_example(each)


class Matching(unittest.TestCase):
    """The comparison itself: it must be able to fail."""

    def test_matches(self):
        self.assertTrue(matches(["a 12 b", "…", "0 lost"], "a 7 b\nmuch\nmore\n0 lost\n"))
        self.assertTrue(matches(["ready after 16.1ms"], "ready after 987us"))
        self.assertFalse(matches(["0 lost"], "3 lost"))
        self.assertFalse(matches(["3 lost"], "0 lost"))
        self.assertFalse(matches(["a 12 b"], "a 12 b and more"))
        self.assertFalse(matches(["p99 < 1s"], "p95 < 1s"))
        self.assertFalse(matches(["share < 2%"], "share < 1%"))
        self.assertFalse(matches(["a", "…", "b"], "b\na"))


main()
