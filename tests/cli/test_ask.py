#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""muse ask from outside: the form of what a tiny random model says, files, exit codes. Standard library only.
usage: test_ask.py MUSE SOURCE_ROOT"""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest
import wave

from cli_help import CANCELLED, DATA, INPUT, MEDIA, MUSE, ROOT, UNSUPPORTED, USAGE, main, muse

TINY = DATA / "reason/muse"   # with <look> and places; random weights
CAT, COFFEE, VOICE = MEDIA / "cat.jpg", MEDIA / "coffee.jpg", MEDIA / "speech.flac"
SHORT = ["--budget", 12, "--answer-tokens", 6]


def ask(*args, **kw):
    return muse("ask", "--model", TINY, *args, **kw)


def in_json(*args):
    out, _ = ask("--json", *SHORT, *args, code=None)
    assert out.count("\n") == 1, out
    return json.loads(out)


class Form(unittest.TestCase):
    def check(self, got, pictures):
        self.assertLessEqual({"answer", "confidence", "trace", "tokens", "seconds", "images", "question", "mode"}, set(got))
        self.assertLessEqual({"prompt", "thought", "answer"}, set(got["tokens"]))
        self.assertEqual([p["image"] for p in got["images"]], list(range(1, pictures + 1)))
        for i, step in enumerate(got["trace"], 1):
            self.assertEqual(step["step"], i)
            self.assertLessEqual({"kind", "text", "seconds"}, set(step))
            for mark in step.get("marks", [step] if "image" in step else []):
                rect = got["images"][mark["image"] - 1]["rect"]
                x, y = mark.get("box", mark.get("point"))[:2]
                self.assertTrue(0 <= x <= rect[2] and 0 <= y <= rect[3])

    def test_shapes(self):
        """any shape: the trace is in pixels of the original, and what had to be reduced is said"""
        with tempfile.TemporaryDirectory() as folder:
            for w, h in ((1, 1), (1, 3000), (3000, 1), (20000, 3), (640, 160), (80, 640)):
                with self.subTest(f"{w}x{h}"):
                    ppm, png = pathlib.Path(folder) / "a.ppm", pathlib.Path(folder) / "a.png"
                    ppm.write_bytes(b"P6 %d %d 255\n" % (w, h) + bytes(range(251)) * (w * h * 3 // 251) + bytes(w * h * 3 % 251))
                    out, err = ask("--json", *SHORT, "--image", ppm, "--annotate", png, "What?", code=None)
                    got = json.loads(out)
                    self.check(got, 1)
                    self.assertEqual(got["images"][0]["rect"], [0, 0, w, h])
                    self.assertEqual(f"{w} x {h} pixels are reduced" in err, w * h > 1)
                    self.assertEqual(png.read_bytes()[:4], b"\x89PNG")

    def test_kinds_of_files(self):
        """turned as the file says, first picture of an animation, 16 bits, CMYK: one picture; damage is refused and named"""
        for name, w, h in (("jpeg-exif6.jpg", 23, 37), ("png-exif8.png", 23, 37), ("jpeg-cmyk.jpg", 61, 47), ("png-grey16.png", 23, 17), ("png-la8.png", 23, 17), ("webp-animated.webp", 40, 30)):
            with self.subTest(name):
                got = in_json("--image", DATA / "image/good" / name, "What?")
                self.check(got, 1)
                self.assertEqual(got["images"][0]["rect"], [0, 0, w, h])
        for name, code in (("jpeg-half.jpg", INPUT), ("png-half.png", INPUT), ("webp-half.webp", INPUT), ("gif.png", UNSUPPORTED)):
            with self.subTest(name):
                out, err = ask(*SHORT, "--image", DATA / "bad/image" / name, "What?", code=code)
                self.assertEqual(out, "")
                self.assertIn(name + ": ", err)

    def test_modes(self):
        for mode in ("instant", "thinking", "contemplating", "auto"):
            with self.subTest(mode):
                args = SHORT[2:] if mode == "instant" else SHORT
                out, _ = muse("ask", "--model", TINY, "--json", "--mode", mode, *args, "--image", CAT, "What is this?", code=None)
                got = json.loads(out)
                self.check(got, 1)
                self.assertEqual((got["mode"], got["question"], got["images"][0]["name"]), (mode, "What is this?", "cat.jpg"))
                self.assertEqual(got["images"][0]["rect"], [0, 0, 451, 300])
                agents = {s.get("agent", 0) for s in got["trace"]}
                self.assertEqual(mode == "contemplating", max(agents) > 1)
                self.assertLessEqual(got["tokens"]["thought"], 12 * 8)

    def test_auto(self):
        """of random words, cut off, none is sure: it thinks; what was taken back is told"""
        def both(how, *args):
            return json.loads(muse("ask", "--model", TINY, "--json", "--mode", how, *args, "--answer-tokens", 6, "--compute", "f32", "--image", CAT, "What is this?", code=None)[0])
        instant, thinking, auto = both("instant"), both("thinking", "--budget", 12), both("auto", "--budget", 12)
        self.assertEqual((auto["answer"], auto["agents"][0]["thought"]), (thinking["answer"], thinking["agents"][0]["thought"]))
        direct = auto["agents"][0]["direct"]
        self.assertTrue(instant["answer"].startswith(direct["answer"].rstrip("\ufffd")))
        self.assertLess(direct["probability"], 1)
        self.assertGreater(auto["tokens"]["answer"], thinking["tokens"]["answer"])
        self.assertEqual((auto["trace"][0]["kind"], auto["trace"][-1]["kind"]), ("end", "answer"))
        self.assertNotIn("direct", thinking["agents"][0])
        _, err = ask("--mode", "auto", "--raw", *SHORT, "--image", CAT, "What is this?")
        self.assertIn("%), taken back: ", err)
        self.assertIn("muse: written at once, taken back: ", err)

    def test_taken_at_once(self):
        """the shipped model, whatever it says"""
        def said(*args):
            return json.loads(muse("ask", "--model", ROOT / "models/muse-nano", "--json", *args, "--image", MEDIA / "shapes.png", "How many red squares are there?")[0])
        instant, auto = said("--mode", "instant"), said("--mode", "auto", "--doubt", 0.001)
        self.assertEqual([auto[k] for k in ("answer", "confidence", "tokens")], [instant[k] for k in ("answer", "confidence", "tokens")])
        self.assertEqual(auto["tokens"]["thought"], 0)
        self.assertNotIn("direct", auto["agents"][0])

    def test_views(self):
        """a prompt is computed for each way of seeing"""
        one, three = (in_json("--mode", "contemplating", "--agents", 3, "--views", n, "--image", CAT, "What?")["tokens"]["prompt"] for n in (1, 3))
        self.assertGreater(three, 2 * one)

    def test_vote(self):
        args = ["--mode", "contemplating", "--agents", 5, "--temp", "1.5", "--image", CAT, "What?"]
        got = in_json(*args)
        vote, agents = got["vote"], got["agents"]
        self.assertEqual([a["agent"] for a in agents], [1, 2, 3, 4, 5])
        self.assertEqual((vote["agents"], vote["answered"]), (5, sum(c["votes"] for c in vote["candidates"])))
        self.assertAlmostEqual(sum(c["weight"] for c in vote["candidates"]), 1 if vote["candidates"] else 0, places=6)
        for c in vote["candidates"]:
            self.assertEqual(agents[c["agent"] - 1]["answer"], c["answer"])
        for a in agents:   # who was stopped has neither an answer in the trace nor a thought that says so
            mine = [s for s in got["trace"] if s.get("agent") == a["agent"]]
            self.assertEqual("answer" in [s["kind"] for s in mine], a["finish"] in ("answered", "length", "full") and a["answer"] != "")
            self.assertTrue(a["finish"] != "stopped" or mine[-1]["kind"] == "end")
        _, err = ask(*SHORT, *args, code=None)
        self.assertIn(f"muse: {vote['answered']} of 5 agents answered, agreement {100 * vote['agreement']:.0f} %", err)
        self.assertFalse(vote["calibrated"])   # the built-in table is of eight
        self.assertEqual(got["confidence"], vote["agreement"])
        self.assertIn("; no calibration was measured with such agents: confidence is the share that gave this answer\n", err)
        self.assertEqual(err.count(f" of {vote['answered']} for "), len(vote["candidates"]))

    def test_not_begun(self):
        """three of eight ways of seeing agree"""
        args = ["--mode", "contemplating", "--budget", 1, "--answer-tokens", 1, "--compute", "f32", "--image", CAT, "Why?"]
        got = json.loads(ask("--json", *args)[0])
        answers = [a["answer"] for a in got["agents"]]
        if len(set(answers)) > 1 or answers[0] == "":
            self.fail(f"these three should agree: {answers}")
        self.assertEqual([got["vote"][k] for k in ("agents", "not_begun", "answered")], [8, 5, 3])
        err = ask(*args)[1]
        self.assertIn("muse: 3 of 8 agents answered, agreement 100 %; 5 were not begun, since these agree; agents 1, 2, 3: the tokens of the answer are spent\n", err)
        self.assertIn("  (weight 100 %)\n", err)   # a single answer is not scored

    def test_stopped(self):
        """all but greedy over one prompt: five agree, which settles it"""
        args = ["--mode", "contemplating", "--agents", 8, "--views", 1, "--temp", 0.05, "--budget", 1, "--answer-tokens", 4, "--compute", "f32", "--image", CAT, "What?"]
        got = json.loads(ask("--json", *args)[0])
        stopped = [a["agent"] for a in got["agents"] if a["finish"] == "stopped"]
        self.assertEqual((got["vote"]["stopped_early"], got["vote"]["answered"], stopped), (True, 5, [6, 7, 8]))
        self.assertIn("muse: 5 of 8 agents answered, agreement 100 %; agents 6, 7, 8: stopped, since the answer was settled; agents 1, 2, 3, 4, 5: the tokens of the answer are spent\n",
                      ask(*args)[1])

    def test_pictures(self):
        """the scale that stderr warns of, picture by picture"""
        args = ["--image", CAT, "--budget", 4, "--answer-tokens", 4, "--image", COFFEE, "Compare them."]
        out, err = ask("--json", *args, code=None)
        got = json.loads(out)["pictures"]
        self.assertEqual([p["image"] for p in got], [1, 2])
        self.assertEqual((got[0]["width"], got[0]["height"]), (451, 300))
        for p in got:
            self.assertIn(f"picture {p['image']}: {p['width']} x {p['height']} pixels are reduced to {p['used_width']} x {p['used_height']} (scale {p['scale_x']:.3g} x {p['scale_y']:.3g})", err)
            self.assertAlmostEqual(p["scale_x"] * p["width"], p["used_width"], 6)
            self.assertAlmostEqual(p["scale_y"] * p["height"], p["used_height"], 6)
        self.assertEqual(in_json("Hello")["pictures"], [])

    def test_parts(self):
        self.check(in_json("--image", CAT, "--image", COFFEE, "--text", "Compare them.", "What changed?"), 2)
        self.assertEqual(in_json("--text", "One", "--image", CAT, "two?")["question"], "One two?")
        spoken = in_json("--image", CAT, "--audio", VOICE)
        self.assertEqual(spoken["question"], "(spoken: speech.flac)")
        self.assertGreater(spoken["tokens"]["prompt"], in_json("--image", CAT, "--text", "a")["tokens"]["prompt"])
        with open(CAT, "rb") as f:
            out, _ = ask("--json", *SHORT, "--image", "-", "a", stdin=f.read(), code=None)
        self.assertEqual(json.loads(out)["images"][0]["rect"], [0, 0, 451, 300])

    def test_many_sounds_without_words(self):
        with tempfile.TemporaryDirectory() as folder:
            with wave.open(folder + "/a.wav", "wb") as w:
                w.setnchannels(1), w.setsampwidth(2), w.setframerate(16000)
                w.writeframes(bytes(3200))
            run = subprocess.run([MUSE, "ask", "--model", str(TINY), "--json", *map(str, SHORT), *["--audio", "a.wav"] * 20], cwd=folder, capture_output=True, timeout=60)
            self.assertIn(run.returncode, (0, 1), run.stderr)
            self.assertEqual(json.loads(run.stdout)["question"], " ".join(["(spoken: a.wav)"] * 20))

    def test_same_seed_same_chain(self):
        def chain(*args):
            got = in_json("--image", CAT, "--temp", "1.5", *args, "What?")
            return [(s["kind"], s["text"], s.get("box"), s.get("point")) for s in got["trace"]], got["answer"]
        self.assertEqual(chain("--seed", 5), chain("--seed", 5))
        self.assertNotEqual(chain("--seed", 5), chain("--seed", 6))

    def test_text(self):
        out, err = ask("--image", CAT, *SHORT, "What?", code=None)
        got = in_json("--image", CAT, "What?")
        self.assertEqual(out, got["trace"][-1]["text"] + "\n" if out else "")   # places in pixels
        self.assertNotRegex(out, "<[xy][0-9]")
        raw, said = ask("--image", CAT, *SHORT, "--raw", "What?", code=None)
        self.assertEqual(raw, got["answer"] + "\n" if out else "")
        self.assertEqual([(a["answer"], "agent" in a) for a in got["agents"]], [(got["answer"], False)])
        self.assertIn("muse: written: ", said)
        self.assertIn("tokens: prompt ", err)
        self.assertIn("   1 ", err)   # the chain
        self.assertEqual(ask("--image", CAT, *SHORT, "--quiet", "What?", code=None)[0], out)
        self.assertNotIn("tokens:", ask("--image", CAT, *SHORT, "--quiet", "What?", code=None)[1])

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            png, html = pathlib.Path(folder) / "a.png", pathlib.Path(folder) / "a.html"
            got = in_json("--image", CAT, "--annotate", png, "--html", html, "--heat", "--heat-at", "1,0", "<script>?")
            self.assertEqual(png.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            page = html.read_text("utf-8")
            self.assertIn("&lt;script&gt;?", page)
            self.assertNotIn("<script>?", page)
            heats = [h for s in got["trace"] for h in s.get("heat", [])]
            for h in heats:
                self.assertEqual(len(h["values"]), h["grid"][0] * h["grid"][1])
            if got["answer"]:
                self.assertTrue(heats)
            _, err = ask(*SHORT, "--image", CAT, "--annotate", "/dev/null/a.png", "a", code=INPUT)
            self.assertIn("/dev/null/a.png", err)
            ask(*SHORT, "--image", CAT, "--html", "/dev/null/a.html", "a", code=INPUT)
            html.unlink()   # one file fails: the answer and the other file are there
            out, _ = ask("--json", *SHORT, "--image", CAT, "--annotate", "/dev/null/a.png", "--html", html, "a", code=INPUT)
            self.assertEqual(json.loads(out)["question"], "a")
            self.assertTrue(html.exists())

    def test_no_room_for_a_file(self):
        """what was there stays, and nothing is left that was not; here the limit of a file's size stands for a full disk"""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with tempfile.TemporaryDirectory() as folder:
            old, new = pathlib.Path(folder) / "old.html", pathlib.Path(folder) / "new.html"
            old.write_text("before")
            for path in (old, new):
                run = subprocess.run([MUSE, "ask", "--model", str(TINY), *map(str, SHORT), "--html", str(path), "a"], preexec_fn=limit, restore_signals=False, capture_output=True, timeout=60)   # SIGXFSZ stays ignored
                self.assertEqual(run.returncode, INPUT, run.stderr)
                self.assertIn(f"{path}: can't write: File too large".encode(), run.stderr)
            self.assertEqual([(path, path.read_text()) for path in pathlib.Path(folder).iterdir()], [(old, "before")])
            old.chmod(0o640)
            ask(*SHORT, "--html", old, "a", code=None)
            self.assertEqual((old.stat().st_mode & 0o777, old.read_text()[:15]), (0o640, "<!doctype html>"))
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [old])
            new.symlink_to(old)
            ask(*SHORT, "--html", new, "b", code=None)
            self.assertTrue(new.is_symlink())
            twin = pathlib.Path(folder) / "twin.html"   # a second name of the file stays one
            twin.hardlink_to(old)
            twin.write_text("before")
            ask(*SHORT, "--html", old, "b", code=None)
            self.assertTrue(twin.samefile(old) and twin.read_text().startswith("<!doctype html>"))


class WhichModel(unittest.TestCase):
    def run_with(self, codes, program=MUSE, **env):
        base = {k: v for k, v in os.environ.items() if not k.startswith("MUSE_")}
        base["LD_LIBRARY_PATH"] = str(pathlib.Path(MUSE).parent.parent / "libmuse")   # a copied program lies elsewhere
        run = subprocess.run([program, "ask", "--json", "--budget", "4", "--answer-tokens", "4", "a"], env={**base, **{k: str(v) for k, v in env.items()}}, capture_output=True, timeout=60)
        self.assertIn(run.returncode, codes, run.stderr)
        return run.stdout.decode(), run.stderr.decode()

    def test_named(self):
        out, _ = self.run_with((0, 1), MUSE_MODEL=TINY)
        self.assertEqual(json.loads(out)["model"], "muse")
        self.run_with((INPUT,), MUSE_MODEL="/nowhere")

    def test_shipped(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            nano, program = folder / "models/muse-nano", folder / "b/tools/muse"
            program.parent.mkdir(parents=True)
            shutil.copy(MUSE, program)
            self.assertIn(str(folder), self.run_with((INPUT,), program)[1])   # the places are named
            nano.mkdir(parents=True)
            shutil.copy(TINY / "tokenizer.json", nano)
            self.assertIn("no weights", self.run_with((INPUT,), program)[1])
            other = folder / "other/models/muse-nano"
            shutil.copytree(TINY, other)
            for env in ({"MUSE_DATA": folder / "other"}, {"MUSE_MODELS": folder / "other/models"}):   # gone on to where the weights are
                self.assertEqual(json.loads(self.run_with((0, 1), program, **env)[0])["model"], "muse-nano")
            shutil.copytree(TINY, nano, dirs_exist_ok=True)
            self.assertEqual(json.loads(self.run_with((0, 1), program)[0])["model"], "muse-nano")


class Budgets(unittest.TestCase):
    def test_another_than_the_default_is_warned_of(self):
        words = "warning: --image-budget: the model's default is 12 patches"
        for command, more in (("ask", ["--answer-tokens", 2, "What?"]), ("run", ["--text", "What?", "--max-tokens", 2]), ("chat", [])):
            for budget, times in ((["--image-budget", 20], 1), (["--image-budget", "auto"], 1), (["--image-budget", 12], 0), ([], 0), (["--quiet", "--image-budget", 20], 0)):
                with self.subTest(command=command, budget=budget):
                    self.assertEqual(muse(command, "--model", TINY, *budget, "--image", CAT, "--image", CAT, *more)[1].count(words), times)
        self.assertNotIn("--image-budget", muse("run", "--model", DATA / "golden/gemma4-a/hf", "--image-budget", 70, "--image", CAT, "--text", "a", "--max-tokens", 1)[1])   # trained with all of them

    def test_a_model_without_pictures_has_no_default(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(TINY, folder, dirs_exist_ok=True)
            config = json.loads((TINY / "config.json").read_text("utf-8"))
            del config["image_config"]
            pathlib.Path(folder, "config.json").write_text(json.dumps(config), "utf-8")
            _, err = muse("ask", "--model", folder, "--image-budget", 20, "--image", CAT, "What?", code=UNSUPPORTED)
            self.assertNotIn("the model's default", err)


class ExitCodes(unittest.TestCase):
    def test_usage(self):
        for args in ([], ["--image", CAT], ["a", "b"], ["a", "--budget", 0], ["a", "--budget", 10**12], ["a", "--agents", 2], ["a", "--views", 2], ["a", "--mode", "contemplating", "--views", 9], ["a", "--mode", "contemplating", "--views", 0], ["a", "--mode", "contemplating", "--agents", 0],
                     ["a", "--mode", "contemplating", "--agents", 999], ["a", "--mode", "fast"], ["a", "--doubt", 0.5], ["a", "--mode", "auto", "--doubt", 0], ["a", "--mode", "auto", "--doubt", 1.1], ["a", "--mode", "auto", "--agents", 2], ["a", "--mode", "instant", "--budget", 5], ["a", "--mode", "instant", "--looks", 3], ["a", "--no-look", "--looks", 3], ["a", "--looks", 0],
                     ["a", "--temp", "x"], ["a", "--temp", -1], ["a", "--mode", "contemplating", "--temp", 0], ["a", "--heat"], ["a", "--html", "x.html", "--heat-at", "4"],
                     ["a", "--annotate", "x.png"], ["a", "--annotate", "x.png", "--json"], ["a", "--annotate", "x.png", "--html", "x.html"], ["a", "--what"], ["a", "--model"], [""], ["--ids", "1", "a"], ["--image-size", "5x5", "a"], ["a", "--image-budget", 64],
                     ["--image", "-", "--audio", "-"], ["a", "--image", CAT, "--image-budget", 7]):
            with self.subTest(args):
                out, err = ask(*args, code=USAGE)
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1)
        self.assertIn("--annotate", muse("ask", "--help")[0])

    def test_inputs_are_not_written_over(self):
        with tempfile.TemporaryDirectory() as folder:
            picture, link, page = (pathlib.Path(folder) / name for name in ("mine.png", "also.png", "page.html"))
            shutil.copy(CAT, picture)
            link.symlink_to(picture)
            page.write_text("before")
            before = picture.read_bytes()
            for name, args in (("ask", ["--annotate", picture, "What?"]), ("ask", ["--annotate", link, "What?"]), ("ask", ["--html", picture, "What?"]), ("ask", ["--annotate", page, "--html", page, "What?"]),
                               ("ask", ["--annotate", pathlib.Path(folder) / "new", "--html", pathlib.Path(folder) / "new", "What?"]), ("tokens", ["--draw", link]), ("run", ["--save", picture])):
                with self.subTest(args):
                    _, err = muse(name, "--image", picture, *args, code=USAGE)
                    self.assertEqual(err.count("\n"), 1)
                    self.assertTrue(picture.read_bytes() == before and page.read_text() == "before", "written over")
            ask("--image", picture, "--annotate", "/dev/null", "--html", "/dev/null", "--answer-tokens", 1, "What?", code=None)   # a device may be both

    def test_files(self):
        with tempfile.NamedTemporaryFile(suffix=".jpg") as f:
            f.write(CAT.read_bytes()[:2000])
            f.flush()
            for args, code in ((["--image", "no-such.png", "a"], INPUT), (["--image", VOICE, "a"], INPUT), (["--audio", "no-such.wav"], INPUT), (["--audio", CAT], INPUT), (["--image", f.name, "a"], INPUT)):
                with self.subTest(args):
                    out, err = ask(*args, code=code)
                    self.assertEqual(out, "")
                    self.assertEqual(err.count("\n"), 1)
                    self.assertIn(str(args[1]), err)
        muse("ask", "--model", "no-such", "a", code=INPUT)
        muse("ask", "--model", ROOT, "a", code=INPUT)

    def test_model_without(self):
        llama = DATA / "golden/llama3/hf"
        for part in (["--image", CAT], ["--audio", VOICE]):
            out, err = muse("ask", "--model", llama, *part, "a", code=UNSUPPORTED)
            self.assertEqual(out, "")
            self.assertIn("part 0", err)
        muse("ask", "--model", llama, "--mode", "instant", "--answer-tokens", 4, "Some words")   # text alone works
        ask("--image", CAT, "--annotate", "x.png", "--heat-at", "99,0", "a", code=USAGE)

    def test_interrupted(self):
        slow = ["--cpu-level", "c", "--threads", "1", "--budget", "1000000", "--mode", "contemplating", "--agents", "64"]
        p = subprocess.Popen([MUSE, "ask", "--model", str(TINY), *slow, "--image", str(CAT), "What?"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stderr.read(1)   # it has begun
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, out), (CANCELLED, b""), err)
        self.assertIn(b"cancelled", err)


if __name__ == "__main__":
    main()
