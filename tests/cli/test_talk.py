#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""muse chat from outside: scripted conversations with a tiny random model, commands, interruption, a terminal. Standard library only.
usage: test_talk.py MUSE SOURCE_ROOT"""
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from cli_help import CANCELLED, DATA, INPUT, MEDIA, MUSE, OK, OTHER, UNSUPPORTED, USAGE, main, muse, needs_terminal

TINY, GEMMA, LLAMA = DATA / "reason/muse", DATA / "golden/gemma4-a/hf", DATA / "golden/llama3/hf"
CAT, COFFEE, VOICE = MEDIA / "cat.jpg", MEDIA / "coffee.jpg", MEDIA / "speech.flac"
SHORT = ["--budget", 8, "--answer-tokens", 5]


def talk(*lines, args=(), model=TINY, code=OK, history="keep"):
    return muse("chat", "--model", model, "--history", history, *SHORT, *args, stdin="".join(line + "\n" for line in lines).encode(), code=code)


def in_json(*lines, **kw):
    kw["args"] = ["--json", *kw.get("args", ())]
    return [json.loads(line) for line in talk(*lines, **kw)[0].splitlines()]


class Conversation(unittest.TestCase):
    def test_turns(self):
        got = in_json(f"/image {CAT}", "What is this?", "And what else?", f"/image {COFFEE}", "Compare them.")
        self.assertEqual([len(g["images"]) for g in got], [1, 1, 2])
        self.assertEqual([p["name"] for p in got[2]["images"]], ["cat.jpg", "coffee.jpg"])
        self.assertEqual([g["question"] for g in got], ["What is this?", "And what else?", "Compare them."])
        for before, after in zip(got, got[1:]):   # one session: what was said stays
            self.assertGreater(after["tokens"]["prompt"], before["tokens"]["prompt"] + before["tokens"]["thought"] + before["tokens"]["look"])
        self.assertLess(got[1]["tokens"]["prompt"], in_json(f"/image {CAT}", "What is this?" * 20)[0]["tokens"]["prompt"] + 100)

    def test_pictures_in_json(self):
        """as muse ask has them, of all pictures of the conversation"""
        def asked(*files):
            return json.loads(muse("ask", "--model", TINY, *SHORT, "--json", *[x for f in files for x in ("--image", f)], "What?")[0])["pictures"]
        lines = (f"/image {CAT}", "What?", "And?", f"/image {COFFEE}", "What?")
        self.assertEqual([g["pictures"] for g in in_json(*lines)], [asked(CAT)] * 2 + [asked(CAT, COFFEE)])
        self.assertEqual([g["pictures"] for g in in_json(*lines, history="none")], [asked(CAT)] * 2 + [asked(COFFEE)])
        self.assertEqual(in_json("Hi")[0]["pictures"], [])
        budget = in_json("What?", args=["--image", COFFEE, "--image-budget", 20])[0]["pictures"]
        self.assertGreater(budget[0]["patches"], asked(COFFEE)[0]["patches"])

    def test_places(self):
        """people get pixels, with --raw what was written; --json has both"""
        lines = (f"/image {CAT}", "What is this?", "Where?", "And there?")
        got = in_json(*lines, args=["--answer-tokens", 40])
        self.assertTrue(any("<x" in g["answer"] for g in got))
        shown, raw = (talk(*lines, args=["--answer-tokens", 40, *more])[0] for more in ([], ["--raw"]))
        self.assertEqual(raw, "".join(g["answer"] + "\n" for g in got))
        self.assertEqual(shown, "".join(g["trace"][-1]["text"] + "\n" for g in got))
        self.assertNotIn("<x", shown)
        self.assertEqual([g["agents"][0]["answer"] for g in got], [g["answer"] for g in got])

    def test_first_message_from_options(self):
        got = in_json("What?", "/reset", "What?", args=["--image", CAT])
        self.assertEqual([len(g["images"]) for g in got], [1, 0])

    def test_reset_begins_anew(self):
        got = in_json("Hello", "/reset", "Hello", "Hello")
        self.assertEqual((got[0]["answer"], got[0]["tokens"]), (got[1]["answer"], got[1]["tokens"]))
        self.assertGreater(got[2]["tokens"]["prompt"], got[1]["tokens"]["prompt"])

    def test_modes(self):
        got = in_json("/mode instant", "Hi", "/mode thinking", "Hi")
        self.assertEqual([g["mode"] for g in got], ["instant", "thinking"])
        self.assertEqual(got[0]["tokens"]["prompt"], in_json("Hi")[0]["tokens"]["prompt"] + 1)   # the thought is closed in the prompt
        self.assertGreater(got[1]["tokens"]["thought"], 0)
        auto = in_json("/mode auto", "Hi", "Hi", args=["--doubt", 1, "--compute", "f32"])
        self.assertEqual([g["mode"] for g in auto], ["auto", "auto"])
        self.assertTrue(all(g["tokens"]["thought"] > 0 for g in auto))
        thinking, instant = (in_json(*lines, args=["--compute", "f32"])[0]["answer"] for lines in (["Hi"], ["/mode instant", "Hi"]))
        self.assertEqual(auto[0]["answer"], thinking)
        self.assertTrue(instant.startswith(auto[0]["agents"][0]["direct"]["answer"].rstrip("\ufffd")))
        out, _ = talk("Hi", args=["--mode", "auto", "--raw", "--compute", "f32"])   # what is taken back is not shown as an answer
        self.assertEqual(out, auto[0]["answer"] + "\n")
        got = in_json("Hi", "/budget 3", "Hi")
        self.assertLessEqual(got[1]["tokens"]["thought"], 3)

    def test_spoken(self):
        got = in_json(f"/audio {VOICE}", "")
        self.assertGreater(got[0]["tokens"]["prompt"], 40)
        self.assertEqual(in_json(""), [])   # nothing was said

    def test_files_as_in_a_shell(self):
        """from home on, or in quotes"""
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, HOME=folder):
            shutil.copy(CAT, pathlib.Path(folder) / "my cat.jpg")
            for name in ("~/my cat.jpg", f'"{folder}/my cat.jpg"', f"'{folder}/my cat.jpg'"):
                got, = in_json(f"/image {name}", "What?")
                self.assertEqual(got["images"][0]["name"], "my cat.jpg")
            self.assertIn(f"{folder}/none.jpg: can't open", talk("/image ~/none.jpg", code=INPUT)[1])

    def test_look(self):
        got, = in_json(f"/image {CAT}", "/look 1 10 20 60 70", "What?")
        look = next(s for s in got["trace"] if s["kind"] == "look")
        x0, y0, x1, y1 = look["box"]
        self.assertTrue(x0 <= 10 and y0 <= 20 and x1 >= 60 and y1 >= 70)
        for lines, words in ((["/look 1 10 20 60 70"], "no picture yet"), ([f"/image {CAT}", "/look 9 1 2 3 4"], "no picture 9, the last is 1"),
                             ([f"/image {CAT}", "/look 1 900 900 950 950"], "nothing of [900, 900, 950, 950] lies in picture 1, which has 451 x 300 pixels"),
                             ([f"/image {CAT}", "/mode instant", "/look 1 10 20 60 70"], "/mode thinking"),
                             ([f"/image {CAT}", "/look 1 10 20 60 70", "/mode instant"], "not shown: an instant answer")):
            with self.subTest(lines):
                _, err = talk(*lines, "What?", code=USAGE)   # said, and the question is asked all the same
                self.assertIn(words, err)
                self.assertIn("tokens: prompt", err)
        got = in_json(f"/image {CAT}", "What?", f"/image {COFFEE}", "/look 2 10 20 60 70", "And here?")
        self.assertIn(2, [s.get("image") for s in got[1]["trace"] if s["kind"] == "look"])

    def test_other_formats(self):
        for model in (GEMMA, LLAMA):
            got = in_json("Hello", "And?", model=model, history="auto")
            self.assertGreater(got[1]["tokens"]["prompt"], got[0]["tokens"]["prompt"])
        self.assertIn("part 0", talk(f"/image {CAT}", "What?", model=LLAMA, code=UNSUPPORTED)[1])

    def test_text(self):
        out, err = talk("Hello", "//quit is a word", args=["--raw"])
        answers = [g["answer"] for g in in_json("Hello", "//quit is a word")]
        self.assertEqual(out, "".join(a + "\n" for a in answers if a))
        self.assertNotIn("> ", err.replace("<|", ""))   # no prompt for a script
        self.assertEqual(in_json("//quit")[0]["question"], "/quit")
        self.assertEqual(talk("Hello", args=["--quiet"])[1].count("tokens:"), 0)


class Contemplating(unittest.TestCase):
    EXACT = ["--compute", "f32", "--answer-tokens", 20, "--seed", 3]
    FOUR = ["--mode", "contemplating", "--agents", 4, *EXACT]

    def test_single_questions_as_ask_does(self):
        for picture, views in ((CAT, 8), (None, 1)):
            with self.subTest(picture):
                chat = in_json(*[f"/image {picture}"] * bool(picture), "What is this?", "And this?", args=self.FOUR, history="auto")
                for line, question in zip(chat, ("What is this?", "And this?")):
                    ask = json.loads(muse("ask", "--model", TINY, *SHORT, *self.FOUR, "--json", *(["--image", picture] if picture else []), question)[0])
                    for name in "answer", "confidence", "mode", "agents", "vote", "pictures":
                        self.assertEqual(line[name], ask[name], name)
                    self.assertEqual(line["vote"]["agents"], 4)

    def test_over_the_conversation(self):
        got = in_json(f"/image {CAT}", "What is this?", f"/image {COFFEE}", "And this?", "/mode thinking", "So?", "/mode contemplating", "/agents 3", "And so?", args=self.FOUR)
        self.assertEqual([g["mode"] for g in got], ["contemplating", "contemplating", "thinking", "contemplating"])
        self.assertEqual([g.get("vote", {}).get("agents") for g in got], [4, 4, None, 3])
        self.assertEqual([len(g["agents"]) for g in got], [4, 4, 1, 3])
        self.assertEqual([len(g["images"]) for g in got], [1, 2, 2, 2])
        for g in got:
            several = g["mode"] == "contemplating"
            self.assertEqual(set(s.get("agent", 0) for s in g["trace"]) - {0}, set(range(1, len(g["agents"]) + 1)) if several else set())
            if several:
                self.assertFalse(g["vote"]["calibrated"])
                self.assertAlmostEqual(g["confidence"], g["vote"]["agreement"], 4)
        for before, after in zip(got, got[1:]):   # what was said stays, of one of them
            self.assertLess(before["tokens"]["prompt"], after["tokens"]["prompt"])
            self.assertLess(after["tokens"]["prompt"], before["tokens"]["prompt"] + 100)

    def test_goes_on_from_the_chosen_one(self):
        lines = ("Hello", "And?", "So?")
        alone = [g["answer"] for g in in_json(*lines, args=self.EXACT)]
        one = ["--mode", "contemplating", "--agents", 1, *self.EXACT]   # the first takes the most probable tokens
        self.assertEqual([g["answer"] for g in in_json(*lines, args=one)], alone)
        self.assertEqual([g["answer"] for g in in_json("Hello", "/mode thinking", "And?", "/mode contemplating", "So?", args=one)], alone)
        self.assertEqual([g["answer"] for g in in_json("Hello", "/mode contemplating", "And?", "/mode thinking", "So?", args=[*self.EXACT, "--agents", 1])], alone)
        others = 0
        for seed in range(1, 9):   # of answers of one token another than the first wins most often
            first, second = in_json("Hello", "/mode thinking", "And?", args=[*one[:3], 3, "--compute", "f32", "--answer-tokens", 1, "--seed", seed])
            others += first["vote"]["candidates"][0]["agent"] > 1
            self.assertEqual((len(second["agents"]), {step.get("agent", 0) for step in second["trace"]}), (1, {0}))
            self.assertGreater(second["tokens"]["prompt"], first["tokens"]["prompt"])
        self.assertGreater(others, 0)

    def test_the_vote_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            out, err = talk("Hello", f"/trace {folder}/t.json", f"/trace {folder}/t.html", f"/save {folder}/s", args=self.FOUR)
            self.assertIn("of 4 agents answered, agreement", err)
            self.assertIn("agent 4   ", err)
            self.assertIn("muse: 1 of 4 for", err)
            got = json.loads(pathlib.Path(folder, "t.json").read_text("utf-8"))
            self.assertEqual(out, got["trace"][-1]["text"] + "\n")
            self.assertIn("agent 4", pathlib.Path(folder, "t.html").read_text("utf-8").lower())
        self.assertEqual(talk("Hello", args=[*self.FOUR, "--quiet"])[0::1][1].count("agents answered"), 0)
        self.assertEqual(talk("Hello", args=[*self.FOUR, "--raw"])[1].count("written by agent"), 4)

    def test_other_formats(self):
        for model in (GEMMA, LLAMA):
            got = in_json("Hello", "And?", model=model, history="auto", args=self.FOUR)
            self.assertEqual([len(g["agents"]) for g in got], [4, 4])
            self.assertGreater(got[1]["tokens"]["prompt"], got[0]["tokens"]["prompt"])

    def test_wrong(self):
        for lines, words, args in ((["/agents 0"], "from 1 to 256, not 0", []), (["/agents"], "how many contemplate", []),
                                   (["/views 9"], "from 1 to 8, not 9", []), (["/views 2"], "--history none", []), (["/mode contemplating"], "would say the same", ["--temp", 0])):
            with self.subTest(lines):
                self.assertIn(words, talk(*lines, code=USAGE, args=args)[1])
        _, err = talk(f"/image {CAT}", "/look 1 10 20 60 70", "/look 1 0 0 9 9", "/mode contemplating", "What?", code=USAGE, args=["--agents", 2])   # said, and asked all the same
        self.assertIn("/look: 1 of 2 not shown", err)
        self.assertIn("of 2 agents answered", err)
        self.assertIn("--history none", muse("chat", "--model", TINY, "--history", "keep", "--views", 2, code=USAGE)[1])
        self.assertEqual(muse("chat", "--model", TINY, "--mode", "contemplating", "--temp", 0, code=USAGE)[0], "")

    def test_looks(self):
        """agents after the first begin with those that were asked for"""
        for history in ("keep", "none"):
            got = in_json(f"/image {CAT}", f"/image {COFFEE}", "What?", "/look 1 10 20 60 70", "/look 2 0 0 30 40", "And here?", "And now?", history=history, args=[*self.FOUR, "--agents", 5, "--views", 1])
            looks = [next(((s["image"], s["box"]) for s in got[1]["trace"] if s["kind"] == "look" and s["agent"] == agent), None) for agent in (2, 3, 4, 5)]
            self.assertEqual(looks[:2], looks[2:])
            self.assertEqual([image for image, _ in looks[:2]], [1, 2])
            x0, y0, x1, y1 = looks[0][1]
            self.assertTrue(x0 <= 10 and y0 <= 20 and x1 >= 60 and y1 >= 70)
            self.assertNotIn(looks[0][1], [s.get("box") for s in got[2]["trace"]])   # of one message

    def test_views(self):
        """as muse ask has them: a prompt is computed for each"""
        prompts = [in_json(f"/image {CAT}", *lines, "What?", history="none", args=[*self.FOUR[:2], "--agents", 8, *args])[0]["tokens"]["prompt"]
                   for lines, args in ([["/views 1"], []], [["/views 2"], ["--views", 1]], [[], ["--views", 2]], [[], []], [["/look 1 0 0 9 9"], []])]
        self.assertEqual(prompts[1], prompts[2])
        self.assertEqual(prompts[0], prompts[4])
        self.assertTrue(prompts[0] < prompts[1] < prompts[3], prompts)

    def test_refused_message(self):
        got = in_json("Hello", f"/image {CAT}", "What?", "And?", model=LLAMA, args=self.FOUR, code=UNSUPPORTED)   # no pictures: the conversation stays as it was
        self.assertEqual([(g["question"], len(g["images"])) for g in got], [("Hello", 0), ("And?", 0)])


class SingleQuestions(unittest.TestCase):
    """models of the family muse are trained on single questions: unless told otherwise each message is one"""
    EXACT = ["--compute", "f32", "--answer-tokens", 20]

    def test_each_is_asked_by_itself(self):
        got = in_json(f"/image {CAT}", "What is this?", "And what else?", f"/image {COFFEE}", "Where?", history="auto", args=self.EXACT)
        alone = [in_json(f"/image {picture}", text, args=self.EXACT)[0] for picture, text in ((CAT, "What is this?"), (CAT, "And what else?"), (COFFEE, "Where?"))]
        for name in "answer", "question", "images":
            self.assertEqual([g[name] for g in got], [a[name] for a in alone])
        self.assertEqual([g["tokens"] for g in got], [a["tokens"] for a in alone])
        self.assertEqual(in_json("Hi", "Hi", history="none", model=LLAMA)[1]["tokens"], in_json("Hi", model=LLAMA)[0]["tokens"])

    def test_pictures_of_the_newest_message(self):
        got = in_json(f"/image {CAT}", f"/image {COFFEE}", "Which?", f"/audio {VOICE}", "", f"/image {CAT}", "/look 1 10 20 60 70", "This?", history="auto")
        self.assertEqual([[p["name"] for p in g["images"]] for g in got], [["cat.jpg", "coffee.jpg"]] * 2 + [["cat.jpg"]])
        self.assertIn("look", [s["kind"] for s in got[2]["trace"]])
        err = talk(f"/image {CAT}", "What?", f"/image {COFFEE}", "/look 2 10 20 60 70", "This?", history="auto", code=USAGE)[1]
        self.assertIn("there is no picture 2, the last is 1", err)

    def test_a_look_stays_with_its_picture(self):
        before = [f"/image {CAT}", "What?", "/look 1 10 20 60 70"]
        _, err = talk(*before, f"/image {COFFEE}", "This?", history="none", code=USAGE)   # said, and the question is asked all the same
        self.assertIn("/look: not shown: the next message is about coffee.jpg", err)
        for lines, history, looks in (([f"/image {COFFEE}", "This?"], "none", []), ([f"/image {COFFEE}", "/look 1 10 20 60 70", f"/image {CAT}", "This?"], "none", [1]),
                                      (["/image no-such.png", "This?"], "none", [1]), ([f"/image {COFFEE}", "This?"], "keep", [1])):
            with self.subTest(lines=lines, history=history):
                code = INPUT if "/image no-such.png" in lines else USAGE if history == "none" else OK
                got = in_json(*before, *lines, history=history, args=["--looks", 1], code=code)
                self.assertEqual([s["image"] for s in got[1]["trace"] if s["kind"] == "look"][:1], looks)

    def test_budgets_stay(self):
        got = in_json("What?", "What?", history="auto", args=["--image", COFFEE, "--image-budget", 20])
        self.assertEqual([g["tokens"]["prompt"] for g in got], [in_json("What?", args=["--image", COFFEE, "--image-budget", 20])[0]["tokens"]["prompt"]] * 2)

    def test_it_is_said_once(self):
        words = "each message is a question by itself"
        for args, history, times in (([], "auto", 1), ([], "none", 0), ([], "keep", 0), (["--quiet"], "auto", 0), (["--json"], "auto", 1)):
            with self.subTest(args=args, history=history):
                self.assertEqual(talk("Hi", "Hi", "Hi", args=args, history=history)[1].count(words), times)
        self.assertNotIn(words, talk("Hi", history="auto")[1])
        err = talk(f"/image {CAT}", "Hi", "Hi", "Hi", history="auto")[1]
        self.assertEqual((err.count("are reduced"), err.count("times more")), (1, 0), err)   # of one picture: once
        with tempfile.TemporaryDirectory() as folder:   # what came again before that stays told
            shutil.copytree(TINY, folder, dirs_exist_ok=True)
            config = (TINY / "config.json").read_text("utf-8")
            pathlib.Path(folder, "config.json").write_text(config.replace('"patch_size"', '"extra": 1, "extra": 1, "extra": 1, "patch_size"'), "utf-8")
            err = talk("Hi", "Hi", model=folder, history="auto")[1]
            self.assertIn('2 times more: image_config: key "extra"', err)

    def test_sounds_are_not_given_again(self):
        words = "the sound of the message before is not given again"
        for history, args, lines, times in (("none", [], ["And?"], 1), ("none", [], ["And?", "And?"], 1), ("none", ["--json"], ["And?"], 1), ("none", ["--quiet"], ["And?"], 0),
                                            ("none", [], ["/reset", "And?"], 0), ("none", [], [f"/audio {VOICE}", "And?"], 0), ("keep", [], ["And?"], 0)):
            with self.subTest(history=history, args=args, lines=lines):
                self.assertEqual(talk(f"/audio {VOICE}", "What?", *lines, history=history, args=args)[1].count(words), times)
        again, alone = in_json(f"/audio {VOICE}", "What?", "And?", history="none")[1], in_json("And?")[0]
        self.assertEqual(again["tokens"], alone["tokens"])

    def test_what_fails_leaves_the_pictures(self):
        got = in_json(f"/image {CAT}", "What?", "/image no-such.png", "And?", history="auto", code=INPUT)
        self.assertEqual([len(g["images"]) for g in got], [1, 1])


class Commands(unittest.TestCase):
    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            f = pathlib.Path(folder)
            talk(f"/image {CAT}", "What?", *[f"/trace {f}/t.{end}" for end in ("png", "html", "json")], f"/save {f}/session", "/quit", "/nothing")
            self.assertEqual((f / "t.png").read_bytes()[:4], b"\x89PNG")
            self.assertIn("<html", (f / "t.html").read_text("utf-8"))
            self.assertEqual(json.loads((f / "t.json").read_text("utf-8"))["question"], "What?")
            muse("run", "--model", TINY, "--raw", "--restore", f / "session", "--max-tokens", 2)

    def test_wrong(self):
        for lines, code in ((["/what"], USAGE), (["/image"], USAGE), (["/quit now"], USAGE), (["/mode fast"], USAGE), (["/budget 0"], USAGE),
                            (["/budget 99999999999"], USAGE), (["/trace a.png"], USAGE), (["Hi", "/trace a.txt"], USAGE), (["Hi", "/trace /dev/null/a.json"], INPUT), (["/save a"], USAGE),
                            (["Hi", "/save /dev/null/a"], INPUT), (["/look 1 2 3"], USAGE), (["/look 0 0 0 9 9"], USAGE), (["/look 1 0 0 9 nan"], USAGE), (["/look 1 0 0 9 9 9"], USAGE),
                            (["/image no-such.png"], INPUT), ([f"/image {VOICE}"], INPUT), ([f"/audio {CAT}"], INPUT)):
            with self.subTest(lines):
                _, err = talk(*lines, code=code)
                self.assertIn("muse: ", err)
                talk(*lines, "/help", code=code)   # said, and the conversation goes on
        self.assertIn("/image FILE", talk("/help")[1])

    def test_wrong_is_explained(self):
        for line, words in (("/budget", "/budget N: tokens that a thought may have"), ("/budget many", "from 1 to 1048576, not many; it stays at 8"), ("/image", "/image FILE: a picture"),
                            ("/mode fast", "not fast"), ("/trace a.txt", "not a.txt"), ("/look 1 2", "K X0 Y0 X1 Y1, not 1 2"), ("/quit now", "takes nothing behind it")):
            with self.subTest(line):
                self.assertIn(words, talk(line, code=USAGE)[1])

    def test_standard_output_that_is_full(self):
        """it is the end, with the first answer: the second message names a file that is not there"""
        for args in ([], ["--answer-tokens", "40"], ["--json"]):
            with open("/dev/full", "w") as full:
                run = subprocess.run([MUSE, "chat", "--model", str(TINY), *map(str, SHORT), *args], input=f"/image {CAT}\nWhat is this?\n/image nothing.png\n".encode(), stdout=full, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(run.returncode, OTHER)
            self.assertIn(b"standard output", run.stderr)
            self.assertNotIn(b"nothing.png", run.stderr)

    def test_usage(self):
        for args in (["--what"], ["--mode", "fast"], ["--text", "a"], ["--image", "-"], ["--ids", "1"], ["--agents", 0], ["--no-look", "--looks", 2], ["hello"], ["--budget", 0]):
            with self.subTest(args):
                self.assertEqual(muse("chat", "--model", TINY, *args, code=USAGE)[0], "")
        self.assertIn("/trace", muse("chat", "--help")[0])
        muse("chat", "--model", TINY, "--image", "no-such.png", code=INPUT)
        muse("chat", "--model", "no-such", code=INPUT)


class Interrupted(unittest.TestCase):
    SLOW = ["--cpu-level", "c", "--threads", "1", "--answer-tokens", "1000000"]

    def test_answer_not_program(self):
        p = subprocess.Popen([MUSE, "chat", "--model", str(GEMMA), "--mode", "instant", *self.SLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"Hello\n")
        p.stdin.flush()
        p.stdout.read(1)
        p.send_signal(signal.SIGINT)
        for line in p.stderr:
            if line == b"muse: stopped\n":
                break
        p.stdin.write(b"/reset\n/quit\n")
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, OK, err)

    def test_stopped_turn_is_in_the_trace(self):
        with tempfile.TemporaryDirectory() as folder:
            p = subprocess.Popen([MUSE, "chat", "--model", str(GEMMA), "--mode", "instant", *self.SLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            p.stdin.write(b"Hello\n")
            p.stdin.flush()
            p.stdout.read(1)
            p.send_signal(signal.SIGINT)
            p.communicate(f"/trace {folder}/t.json\n".encode(), timeout=60)
            got = json.loads(pathlib.Path(folder, "t.json").read_text("utf-8"))
            self.assertTrue(any("stopped" in step["text"] for step in got["trace"]), got)
            self.assertEqual((got["trace"][-1]["kind"], got["trace"][-1]["text"]), ("answer", got["answer"]))

    def test_between_lines_of_a_script(self):
        p = subprocess.Popen([MUSE, "chat", "--model", str(TINY), *map(str, SHORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"/help\n")
        p.stdin.flush()
        p.stderr.read(1)
        p.send_signal(signal.SIGINT)   # it waits for a line, or reads the next one first
        p.stdin.write(b"/help\n")
        p.communicate(timeout=60)
        self.assertIn(p.returncode, (CANCELLED, OK))

    def test_several(self):
        """stopped while they answer; the conversation goes on from the question"""
        p = subprocess.Popen([MUSE, "chat", "--model", str(GEMMA), "--history", "keep", "--budget", "1", "--mode", "contemplating", "--agents", "3", *self.SLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"Hello\n")
        p.stdin.flush()
        while b"thought" not in p.stderr.readline():   # of one of them has ended
            pass
        p.send_signal(signal.SIGINT)
        for line in p.stderr:
            if line == b"muse: stopped\n":
                break
        with tempfile.TemporaryDirectory() as folder:
            out, err = p.communicate(f"/trace {folder}/t.json\n/reset\n/quit\n".encode(), timeout=60)
            got = json.loads(pathlib.Path(folder, "t.json").read_text("utf-8"))
        self.assertEqual((p.returncode, out), (OK, b""), err)
        self.assertEqual([step["agent"] for step in got["trace"] if step["kind"] == "end" and "stopped" in step["text"]], [1, 2, 3], got)

    @needs_terminal
    def test_terminal(self):
        self.in_terminal((b"half a line", b"half a line"), (b"\x03", b"> "), (b"/what\n", b"there is no command"), (b"", b"> "))   # \x03: gone, the program stays

    @needs_terminal
    def test_several_in_a_terminal(self):
        self.in_terminal((b"/mode contemplating\n", b"> "), (b"/agents 2\n", b"> "), (b"Hello\n", b"2 of 2 agents answered"), (b"", b"confidence"), (b"", b"> "))

    def in_terminal(self, *dialogue):
        """what is typed, and what is waited for then"""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(MUSE, [MUSE, "chat", "--model", str(TINY), *map(str, SHORT)])
        seen = b""

        def wait_for(text):
            nonlocal seen
            end = time.monotonic() + 60
            while text not in seen:
                self.assertLess(time.monotonic(), end, seen)
                if select.select([fd], [], [], 1)[0]:
                    seen += os.read(fd, 4096)
            seen = seen[seen.index(text) + len(text):]

        wait_for(b"> ")
        for typed, expected in dialogue:
            os.write(fd, typed)
            wait_for(expected)
        os.write(fd, b"/quit\n")
        try:
            while os.read(fd, 4096):
                pass
        except OSError:
            pass   # the terminal is gone
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), OK)
        os.close(fd)


if __name__ == "__main__":
    main()
