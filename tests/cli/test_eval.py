#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""muse eval from outside, with a model of random weights: the form of its output, exit codes, broken lines; and that the committed
sets are whole. Standard library only.
usage: test_eval.py MUSE SOURCE_ROOT"""
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import unittest

from cli_help import CANCELLED, DATA, INPUT, MUSE, OTHER, ROOT, UNSUPPORTED, USAGE, main, muse, needs_terminal, on_terminal

TINY = DATA / "tiny/muse/hf"
MEDIA = DATA / "tiny/muse/cases/image-audio-text"
TEXT_ONLY = DATA / "golden/llama3/hf"
TALLY = {"n", "correct", "accuracy", "low", "high", "thought_tokens", "looks", "positions"}


def question(text="How many?", *media, **more):
    return {"task": "count", "parts": [*media, {"text": text}], "answer": "2", **more}


def objects(out):
    """one a line; splitlines() would also cut inside of texts"""
    return [json.loads(x) for x in out.rstrip("\n").split("\n")]


class Sets(unittest.TestCase):
    """sets written into a folder of their own"""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.dir.name)

    def tearDown(self):
        self.dir.cleanup()

    def write(self, *lines, name="set.jsonl"):
        path = self.folder / name
        path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n", "utf-8")
        return path

    def eval(self, *args, **kw):
        return muse("eval", "--model", TINY, "--threads", 1, "--budget", 6, *args, **kw)


class Reports(Sets):
    def test_prompts_of_views(self):
        """a prompt is computed for each way of seeing, and counted"""
        path = self.write(question("How many?", {"image": str(ROOT / "examples/media/cat.jpg")}))
        one, three = (objects(self.eval("--set", path, "--lines", "--mode", "contemplating", "--agents", 3, "--views", n)[0])[0] for n in (1, 3))
        self.assertGreater(three["tokens"]["prompt"], 2 * one["tokens"]["prompt"])
        for line in (one, three):
            self.assertGreaterEqual(line["positions"], sum(line["tokens"].values()) - 3)   # what ends a turn is in no sequence

    def test_json(self):
        path = self.write(question(), question(task="other", accept=["two"]), "", question())
        report = json.loads(self.eval("--set", path, "--json")[0])
        self.assertEqual(list(report["tasks"]), ["count", "other"])
        for tally in [*report["tasks"].values(), report["all"]]:
            self.assertEqual(set(tally), TALLY)
            self.assertTrue(0 <= tally["low"] <= tally["accuracy"] <= tally["high"] <= 1)
        self.assertEqual([report["tasks"]["count"]["n"], report["all"]["n"]], [2, 3])
        for key in ("thought_tokens", "looks", "positions", "seconds", "answer_tokens", "needless_looks", "bad_steps", "cut_thoughts", "unanswered", "left_out"):
            self.assertIsInstance(report[key], (int, float), key)
        self.assertEqual([report["mode"], report["interrupted"]], ["thinking", False])

    def test_auto(self):
        """each question is answered at once and as mode thinking does; a model of random words is cut off, so never sure"""
        path = self.write(question(), question("What?", accept=[]))
        auto, thinking, instant = (objects(muse("eval", "--model", TINY, "--threads", 1, "--set", path, "--lines", "--json", "--compute", "f32", *args)[0])
                                   for args in (["--mode", "auto", "--budget", 6], ["--budget", 6], ["--mode", "instant"]))
        self.assertEqual(auto[-1]["at_once"], 0)
        self.assertNotIn("at_once", thinking[-1])
        for a, t, i in zip(auto[:-1], thinking, instant):
            self.assertEqual([a["at_once"], a["given"], a["thought"]], [False, t["given"], t["thought"]])
            self.assertTrue(i["given"].startswith(a["direct"].rstrip("\ufffd")))
            self.assertLess(a["direct_probability"], 0.95)
            self.assertTrue(t["tokens"]["answer"] < a["tokens"]["answer"] <= t["tokens"]["answer"] + i["tokens"]["answer"])
            self.assertNotIn("at_once", t)
        _, err = muse("eval", "--model", TINY, "--threads", 1, "--set", path, "--lines", "--mode", "auto", "--doubt", 0.5)
        self.assertIn("; 0 % answered at once", err)

    def test_lines_and_table(self):
        path = self.write(question(), question("What?", accept=[]))
        out, err = self.eval("--set", path, "--lines")
        lines = objects(out)
        self.assertEqual([x["line"] for x in lines], [1, 2])
        for x in lines:
            self.assertEqual([x["set"], x["task"], x["expected"]], [str(path), "count", "2"])
            self.assertLessEqual({"question", "given", "right", "confidence", "agreement", "tokens", "looks", "finish"}, set(x))
            self.assertEqual(set(x["tokens"]), {"prompt", "thought", "answer"})
            self.assertLessEqual(x["tokens"]["thought"], 6)
            written = sum(x["tokens"].values())
            self.assertTrue(written <= x["positions"] <= written + 8, x)   # what closes a thought is written for it
        self.assertEqual(lines[1]["question"], "What?")
        self.assertRegex(err, r"(?m)^all +2 ")
        out, _ = self.eval("--set", path, "--lines", "--json")
        self.assertEqual(["tasks" in x for x in objects(out)], [False, False, True])
        self.assertRegex(self.eval("--set", path)[0], r"(?m)^count +2 ")

    def test_right_answers(self):
        """of a model whose weights are all zero, which says its first token again and again"""
        model = self.folder / "zero"
        model.mkdir()
        for name in ("config.json", "tokenizer.json"):
            (model / name).write_bytes((TINY / name).read_bytes())
        data = (TINY / "model.safetensors").read_bytes()
        head = 8 + struct.unpack("<Q", data[:8])[0]
        (model / "model.safetensors").write_bytes(data[:head] + bytes(len(data) - head))
        def run(*args):
            return muse("eval", "--model", model, "--threads", 1, "--quiet", "--set", *args)[0]
        for args in (["--batch", 1], ["--batch", 256], ["--mode", "instant"]):
            given = objects(run(self.write(question()), "--lines", *args))[0]["given"]
            self.assertGreater(len(given), 10)
            path = self.write(question(answer=f" {given.upper()}\n"), question(answer=given + "x"), question(accept=["no", given]), question(accept=[given[1:]]), question(answer="7", accept=[]))
            self.assertEqual([x["right"] for x in objects(run(path, "--lines", *args))], [True, False, True, False, False])
            self.assertEqual(json.loads(run(path, "--json", *args))["all"]["correct"], 2)

    def test_media(self):
        image, audio = {"image": str(MEDIA / "image0.png")}, {"audio": str(MEDIA / "audio0.wav")}
        (self.folder / "near.png").write_bytes((MEDIA / "image1.png").read_bytes())
        near = {"image": "near.png", "budget": 12}
        path = self.write(question("One?", image), question("Two?", image, near), question("Sound?", audio), question("All?", near, audio, image), question("None?"))
        positions = []
        for mode in (["--mode", "instant"], ["--mode", "contemplating", "--agents", 3], ["--no-look"]):
            report = json.loads(muse("eval", "--model", TINY, "--threads", 1, "--quiet", "--set", path, "--json", *mode)[0])
            self.assertEqual(report["all"]["n"], 5)
            positions.append(report["all"]["positions"])
        lines = objects(self.eval("--set", path, "--lines", "--quiet")[0])
        prompt = sum(x["tokens"]["prompt"] for x in lines) / 5
        self.assertTrue(prompt < positions[0] and 2 * (positions[0] - prompt) < positions[1] - prompt, [prompt, positions])   # three agents, one prompt
        self.assertGreater(lines[1]["tokens"]["prompt"], lines[0]["tokens"]["prompt"])
        self.assertGreater(lines[0]["tokens"]["prompt"], lines[4]["tokens"]["prompt"])

    def test_branches_and_limits(self):
        many = {"parts": [{"text": "A table. "}], "branches": [{"task": "a", "parts": [{"text": "First?"}], "answer": "1"}, {"task": "b", "parts": [{"text": "Second?"}], "answer": "2"}]}
        path, other = self.write(many, question(), many), self.write(question(), question(), name="other.jsonl")
        lines = objects(self.eval("--set", path, "--lines", "--quiet")[0])
        self.assertEqual([x["question"] for x in lines], ["A table. First?", "A table. Second?", "How many?", "A table. First?", "A table. Second?"])
        for limit, n in ((1, 2), (2, 4), (4, 6), (100, 7)):
            self.assertEqual(json.loads(self.eval("--set", path, "--set", other, "--limit", limit, "--json")[0])["all"]["n"], n)

    def test_seeds(self):
        path = self.write(*[question(f"Question {i}?") for i in range(3)])
        def answers(*args):
            return [x["given"] for x in objects(self.eval("--set", path, "--lines", "--quiet", "--compute", "f32", *args)[0])]
        self.assertEqual(answers("--temp", 2, "--seed", 5), answers("--temp", 2, "--seed", 5, "--batch", 2))
        self.assertNotEqual(answers("--temp", 2, "--seed", 5), answers("--temp", 2, "--seed", 6))

    def test_candidates(self):
        """contemplating: the different answers, the winner first; any: the share with a right one among them"""
        path = self.write(*[question(f"Question {i}?") for i in range(4)])
        args = "--mode", "contemplating", "--agents", 4, "--all-agents", "--temp", 3, "--views", 1
        lines = objects(self.eval("--set", path, "--lines", "--quiet", *args)[0])
        for x in lines:
            self.assertEqual(x["candidates"][0]["answer"], x["given"].strip())
            self.assertEqual(sum(c["votes"] for c in x["candidates"]), 4)
            self.assertFalse(any(c["right"] for c in x["candidates"]))
        self.assertTrue(any(x["candidates"][1:] for x in lines))
        args = *args[:5], "--temp", 2, "--views", 1   # so hot that votes are often wrong where one answer is right
        nano = "eval", "--model", ROOT / "models/muse-nano", "--threads", 1, "--set", ROOT / "eval/nano/splits/hard.jsonl", "--limit", 40, *args
        out, err = muse(*nano, "--lines", "--json")
        *lines, report = objects(out)
        self.assertEqual(report["any"], sum(any(c["right"] for c in x["candidates"]) for x in lines) / 40)
        self.assertGreater(report["any"], report["all"]["accuracy"])
        self.assertIn("one of the answers right", muse(*nano)[0])
        self.eval("--set", path, "--all-agents", code=USAGE)

    def test_calibration(self):
        path, out = self.write(*[question(f"Question {i}?") for i in range(4)]), self.folder / "calibration.json"
        self.eval("--set", path, "--mode", "contemplating", "--agents", 2, "--calibrate", out, "--quiet")
        table = json.loads(out.read_text())
        self.assertEqual(table["agents"], 2)
        self.assertEqual(table["rows"][0]["from"], 0)
        for row in table["rows"]:
            self.assertEqual(set(row), {"from", "confidence", "n", "right", "low", "high"})
        self.assertNotIn("held_out", table)   # all in one block
        path = self.write(*[question(f"Question {i}?") for i in range(70)])
        _, err = self.eval("--set", path, "--mode", "contemplating", "--agents", 2, "--calibrate", out)
        table = json.loads(out.read_text())
        self.assertEqual((table["questions"], table["held_out"]["fitted"], table["held_out"]["questions"]), (70, 38, 32))
        self.assertEqual(sum(row["n"] for row in table["held_out"]["rows"]), 32)
        self.assertIn("on 32 others", err)

    def test_nothing_to_calibrate_with(self):
        path, out = self.write(question("What?", {"image": "gone.png"})), self.folder / "calibration.json"
        _, err = self.eval("--set", path, "--mode", "contemplating", "--agents", 2, "--skip-broken", "--calibrate", out, code=OTHER)
        self.assertIn("no answers to calibrate with", err)
        self.assertFalse(out.exists())

    def test_calibration_is_kept_until_it_is_replaced(self):
        gone, out = self.write(question(), question("What?", {"image": "gone.png"})), self.folder / "calibration.json"
        many = ["--set", gone, "--mode", "contemplating", "--agents", 2]
        _, err = self.eval(*many, "--calibrate", out, code=INPUT)
        self.assertIn("not calibrated: ended by an error", err)
        self.assertFalse(out.exists())
        out.write_text("old")
        self.eval(*many, "--calibrate", out, code=INPUT)
        self.assertEqual(out.read_text(), "old")
        for bad in (self.folder, self.folder / "none/calibration.json"):
            text, err = self.eval(*many, "--calibrate", bad, "--lines", code=INPUT)   # nothing was asked
            self.assertEqual([text, err.count("\n")], ["", 1])
            self.assertIn(str(bad), err)


class Refused(Sets):
    def test_the_same_warning_is_counted(self):
        """pictures of one size are reduced in the same words"""
        lines = [question(f"How many {i}?", {"image": str(ROOT / "examples/media/small-print.png")}) for i in range(3)]
        err = self.eval("--set", self.write(*lines))[1]
        self.assertEqual(err.count("are reduced"), 2, err)
        self.assertIn("warning, 2 times more: picture 1: 256 x 256 pixels", err)
        self.assertEqual(self.eval("--set", self.write(*lines), "--quiet")[1].count("reduced"), 0)

    def test_usage(self):
        path = self.write(question())
        for args in ([], ["--set"], ["--set", path, "--mode", "dreaming"], ["--set", path, "--agents", 2], ["--set", path, "--mode", "contemplating", "--agents", 0], ["--set", path, "--views", 2], ["--set", path, "--mode", "contemplating", "--views", 9],
                     ["--set", path, "--mode", "contemplating", "--batch", 2], ["--set", path, "--mode", "contemplating", "--temp", 0], ["--set", path, "--batch", 257], ["--set", path, "--limit", 0], ["--set", path, "--temp", "-1"],
                     ["--set", path, "--temp", "hot"], ["--set", path, "--calibrate", "x"], ["--set", path, "--text", "a"], ["--set", path, "--nonsense"], ["--set", path, "more"],
                     ["--set", path, "--mode", "instant", "--budget", 5], ["--set", path, "--doubt", 0.5], ["--set", path, "--mode", "auto", "--doubt", 2], ["--set", path, "--budget", 0]):
            with self.subTest(args):
                out, err = muse("eval", "--model", TINY, *args, code=USAGE)
                self.assertEqual(out, "")
                self.assertTrue(err)

    def test_broken_lines(self):
        image = {"image": str(MEDIA / "image0.png")}
        for line in ("{", "[]", "3", "{\"task\":\"a\"}", "x" * 100, "[" * 9000, {"parts": []}, {"parts": [], "answer": "2"}, {"parts": [{"text": "a"}]}, question(answer=2), question(answer=""),
                     question(accept="two"), question(accept=[2]), question(task=4), {"parts": {"text": "a"}, "answer": "2"}, {"parts": ["a"], "answer": "2"},
                     {"parts": [{"text": "a", "image": "b"}], "answer": "2"}, {"parts": [{"video": "b"}], "answer": "2"}, {"parts": [{"text": 4}], "answer": "2"},
                     {"parts": [{**image, "budget": -1}], "answer": "2"}, {"parts": [{"text": "a", "learn": True}], "answer": "2"}, {"parts": [{"text": "a"}], "branches": []},
                     {"parts": [{"text": "a"}], "branches": [{"answer": "2"}, {"answer": 3}]}, {"parts": [{"text": "a"}], "branches": [{"parts": "a", "answer": "2"}]}, question() | {"parts": None}):
            with self.subTest(line):
                path = self.write(question(), "", line, question())
                out, err = self.eval("--set", path, code=INPUT)
                self.assertEqual([out, err.count("\n")], ["", 1])
                self.assertIn(f"{path}:3: ", err)
                out, err = self.eval("--set", path, "--skip-broken", "--json", "--quiet")
                self.assertIn(f"{path}:3: ", err)
                report = json.loads(out)
                self.assertEqual([report["all"]["n"], report["left_out"]], [2, 1])

    def test_files(self):
        for path in (self.folder, self.folder / "none.jsonl", self.write("", name="empty.jsonl")):
            with self.subTest(path):
                _, err = self.eval("--set", path, code=INPUT)
                self.assertIn(str(path), err)
        broken, empty = self.write("{", question()), self.write("", name="empty.jsonl")   # each file has to have questions
        _, err = self.eval("--set", broken, "--set", empty, "--skip-broken", code=INPUT)
        self.assertIn(str(empty), err)
        _, err = muse("eval", "--model", self.folder / "none", "--set", self.write(question()), code=INPUT)
        self.assertIn("none", err)

    def test_run_fails(self):
        """of a model that has numbers for text, and none for pictures: an error after the opening"""
        model = self.folder / "blind"
        model.mkdir()
        for name in ("config.json", "tokenizer.json"):
            (model / name).write_bytes((TINY / name).read_bytes())
        data = bytearray((TINY / "model.safetensors").read_bytes())
        head = 8 + struct.unpack("<Q", data[:8])[0]
        start, end = json.loads(data[8:head])["model.image.proj.weight"]["data_offsets"]
        data[head + start:head + end] = b"\xc0\x7f" * ((end - start) // 2)   # bf16: not a number
        (model / "model.safetensors").write_bytes(data)
        image = {"image": str(MEDIA / "image0.png")}
        path = self.write(question(), question("What?", image), question(), question("What?", image))
        for mode in (["--batch", 1], ["--batch", 3], ["--batch", 32], ["--mode", "contemplating", "--agents", 2]):
            with self.subTest(mode):
                run = ["eval", "--model", model, "--threads", 1, "--budget", 6, "--set", path, "--lines", "--json", "--quiet", *mode]
                out, err = muse(*run, "--skip-broken")
                *lines, report = objects(out)
                self.assertEqual([[x["line"] for x in lines], report["all"]["n"], report["left_out"]], [[1, 3], 2, 2])
                self.assertIn(f"{path}:2: ", err)
                self.assertIn(f"{path}:4: ", err)
                out, err = muse(*run, code=OTHER)
                self.assertEqual(objects(out)[-1]["all"]["n"], 1)
                self.assertIn(f"{path}:2: ", err)

    def test_media(self):
        (self.folder / "bad.png").write_bytes(b"no picture")
        for part in ({"image": "gone.png"}, {"image": "bad.png"}, {"audio": "gone.wav"}, {"audio": "bad.png"}):
            with self.subTest(part):
                path = self.write(question(), question("What?", part))
                _, err = self.eval("--set", path, code=INPUT)
                self.assertIn(f"{path}:2: ", err)
                self.assertIn(*part.values(), err)
                report = json.loads(self.eval("--set", path, "--skip-broken", "--json")[0])
                self.assertEqual([report["all"]["n"], report["left_out"]], [1, 1])
        for mode in (["--batch", 2], ["--mode", "contemplating", "--agents", 2]):   # a late error: what was asked is reported
            path = self.write(*[question()] * 4, question("What?", {"image": "gone.png"}), question())
            out, err = self.eval("--set", path, "--lines", "--json", *mode, code=INPUT)
            *lines, report = objects(out)
            self.assertEqual([len(lines), report["all"]["n"], report["interrupted"]], [4, 4, False])
            self.assertIn(f"{path}:5: ", report["error"])
            self.assertIn(f"{path}:5: ", err)
            self.assertRegex(self.eval("--set", path, *mode, code=INPUT)[0], r"(?m)^all +4 [\s\S]*ended by an error")
        path = self.write(question("What?", {"image": str(ROOT / "examples/media/cat.jpg")}))
        _, err = muse("eval", "--model", TEXT_ONLY, "--set", path, code=UNSUPPORTED)
        self.assertIn(f"{path}:1: ", err)


class Interrupted(Sets):
    @needs_terminal
    def test_progress_is_erased(self):
        path = self.write(question(), question("What?", {"image": "gone.png"}))
        for more, said in (([], ["muse: "]), (["--skip-broken"], ["muse: left out: "])):
            shown = on_terminal("eval", "--model", TINY, "--threads", "1", "--set", path, "--batch", "1", *more)
            left = [x.rsplit("\x1b[K", 1)[-1] for x in shown.split("\n")]
            self.assertIn("1 of 2 questions", shown)
            self.assertEqual([x[:len(y)] for x, y in zip(left, said)] + left[len(said):], [*said, ""])

    def test_partial_report(self):
        path = self.write(*[question(f"Question {i}?") for i in range(20000)])
        out = self.folder / "calibration.json"
        for mode in (["--batch", 2], ["--mode", "contemplating", "--agents", 2, "--calibrate", out]):
            err = open(self.folder / "err", "w+b")   # not a pipe: communicate() of two leaves out what the first line came with
            run = subprocess.Popen([MUSE, "eval", "--model", TINY, "--threads", "1", "--set", path, "--lines", "--json", *map(str, mode)], stdout=subprocess.PIPE, stderr=err)
            first = json.loads(run.stdout.readline())
            run.send_signal(signal.SIGINT)
            rest = run.communicate()[0].rstrip(b"\n").split(b"\n")
            self.assertEqual(run.returncode, CANCELLED)
            report = json.loads(rest[-1])
            self.assertEqual([first["line"], report["interrupted"]], [1, True])
            self.assertEqual(report["all"]["n"], len(rest))
            with err:
                err.seek(0)
                self.assertEqual(b"not calibrated: interrupted" in err.read(), out in mode)
            self.assertFalse(out.exists())


class Committed(unittest.TestCase):
    """the sets in eval/: every file that is named is there, and none that is not"""

    def test_sets(self):
        for root in (ROOT / "eval/nano", ROOT / "eval/probes"):
            if not root.exists():
                continue
            named, n = set(), 0
            for path in root.rglob("*.jsonl"):
                seen = set()
                for line in path.read_text("utf-8").splitlines():
                    q = json.loads(line)
                    n += 1
                    self.assertTrue(q["task"] and q["answer"] and q["parts"])
                    self.assertNotIn(line, seen, path)
                    seen.add(line)
                    named |= {path.parent / p[k] for p in q["parts"] for k in ("image", "audio") if k in p}
            files = {p for p in root.rglob("*") if p.suffix in (".jpg", ".png", ".flac")}
            self.assertEqual(named, files)
            self.assertGreater(n, 0)


if __name__ == "__main__":
    main()
