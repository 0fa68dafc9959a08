#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The muse program from outside: output, exit codes, messages. Standard library only.
usage: test_cli.py MUSE SOURCE_ROOT"""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from cli_help import DATA, INPUT, MEDIA, MUSE, OK, RESOURCE, ROOT, UNSUPPORTED, USAGE, main, muse, needs_terminal, on_terminal


def tokens(*args, **kw):
    return json.loads(muse("tokens", "--json", "--quiet", *args, **kw)[0])


class Usage(unittest.TestCase):
    def test_help(self):
        self.assertIn("tokens", muse("--help")[0])
        self.assertEqual(muse("help")[0], muse("--help")[0])
        self.assertEqual(muse("help", "ask")[0], muse("ask", "--help")[0])
        muse("help", "nonsense", code=USAGE)
        self.assertIn("--image-budget", muse("tokens", "--help")[0])
        for line in re.findall(r"(?m)^  (\w+) ", muse("--help")[0]):
            self.assertEqual(muse(line, "-h")[0], muse(line, "--help")[0])
        self.assertRegex(muse("--version")[0], r"muse \d+\.\d+\.\d+")

    def test_wrong_usage(self):
        for args in ([], ["nonsense"], ["tokens"], ["tokens", "--nonsense"], ["tokens", "--text"], ["tokens", "--family", "gpt9", "--ids", "1"],
                     ["tokens", "--ids", "1,x"], ["tokens", "--ids", "-4"], ["tokens", "--threads", "0", "--ids", "1"], ["tokens", "--cpu-level", "z", "--ids", "1"],
                     ["tokens", "--family", "gemma4_unified", "--image-size", "12"], ["tokens", "--family", "gemma4_unified", "--image-size", "0x5"],
                     ["tokens", "--family", "gemma4_unified", "--image-budget", "100", "--image-size", "5x5"],
                     ["tokens", "--family", "gemma4_unified", "--audio-length", "1.5x"], ["tokens", "--family", "gemma4_unified", "--image-size", "4294967396x5"],
                     ["tokens", "--family", "gemma4_unified", "--image-size=-5x10"], ["tokens", "--family", "gemma4_unified", "--audio-length", "1@4294983296"],
                     ["tokens", "--lines", "x", "--draw", "y.png"], ["tokens", "--image", "-", "--audio", "-"],
                     ["tokens", "--family", "fuyu", "--image-size", "9x9", "--image-budget", "70"], ["tokens", "--ids", "1", "--seed", "x"], ["tokens", "--image-budget", "-1", "--ids", "1"]):
            with self.subTest(args):
                out, err = muse(*args, code=USAGE)
                self.assertEqual(out, "")
                self.assertTrue(err)

    def test_ways_to_write_an_option(self):
        """--option=value is --option value; what is empty, left over, or a file without an option is told"""
        self.assertEqual(muse("tokens", "--json", "--family=gpt2", "--ids=1,2"), muse("tokens", "--json", "--family", "gpt2", "--ids", "1,2"))
        self.assertEqual(muse("run", "--model=" + str(DATA / "golden/llama3/hf"), "--raw", "--text=a=b", "--max-tokens=2", "--json")[0].count('"ids"'), 1)
        cat = MEDIA / "cat.jpg"
        for args, said in ((["tokens", "--json=yes", "--ids", "1"], "--json takes no value, and here is yes"), (["ask", "What?", "--heat=1"], "--heat takes no value"),
                           (["ask", "What?", "--image", ""], "--image needs a value, and what stands there is empty"), (["ask", "--model=", "What?"], "--model needs a value, and"),
                           (["ask", cat, "What?"], f"muse ask: {cat} is a file: "), (["ask", "What?", cat], f"{cat} is a file: "), (["tokens", cat], f"muse tokens: {cat} is a file: "),
                           (["run", cat], "is a file: "), (["chat", cat], "is a file: "), (["bench", cat], "is a file: "), (["tokens", "hello"], "muse tokens: hello stands without an option"),
                           (["inspect", ""], "muse inspect: an argument is empty"), (["ask", ""], "is empty"), (["ask", "--text", ""], "asks nothing"),
                           (["ask", "--nonsense"], "muse ask has no option --nonsense (muse ask --help lists them)"), (["ask", " \n"], "asks nothing")):
            with self.subTest(args):
                self.assertIn(said, muse(*args, code=USAGE)[1])
        for command in re.findall(r"(?m)^  (\w+) ", muse("--help")[0]):
            self.assertEqual(muse(command, "--nonsense", code=USAGE)[1], f"muse: muse {command} has no option --nonsense (muse {command} --help lists them)\n")

    def test_help_lists_the_common_options_that_are_taken(self):
        """and no others: those are refused by name, here before the model, document or picture that is not there"""
        parts = {"--text": ["hi"], "--image": ["no-such.jpg"], "--audio": ["no-such.wav"], "--ids": ["1"], "--image-size": ["8x8"],
                 "--audio-length": ["1"], "--image-budget": ["64", "--image", "no-such.jpg"], "--seed": ["1"],
                 "--threads": ["1"], "--cpu-level": ["c"], "--json": [], "--quiet": []}
        base = {"tokens": ["--ids", "1"], "ask": ["--model", "no-such", "What?"], "chat": ["--model", "no-such"], "run": ["--model", "no-such", "--raw", "--text", "a"],
                "eval": ["--set", "no-such.jsonl"], "bench": ["--model", "no-such"], "worlds": ["--task", "no-such", "--out", "no-such"],
                "convert": ["no-such", "no-such-either", "--type", "bf16"], "inspect": ["no-such"], "train": ["no-such.json"], "scaling": ["no-such.json"]}
        self.assertEqual(base.keys(), set(re.findall(r"(?m)^  (\w+) ", muse("--help")[0])))
        for command, others in base.items():
            text = muse(command, "--help")[0]
            for option, value in parts.items():
                with self.subTest(command=command, option=option):
                    run = subprocess.run([MUSE, command, *others, option, *value], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
                    self.assertEqual(run.returncode != USAGE, f"  {option} " in text, run.stderr)
                    self.assertTrue(run.returncode != USAGE or option.encode() in run.stderr, run.stderr)


class BadFiles(unittest.TestCase):
    def test_named_errors(self):
        text = ROOT / "README.md"
        for args, code in ((["--image", "no-such.jpg"], INPUT), (["--image", text], INPUT), (["--image", ROOT], INPUT), (["--audio", text], INPUT),
                           (["--audio", "no-such.wav"], INPUT), (["--tokenizer", text, "--text", "a"], INPUT), (["--tokenizer", "no-such", "--ids", "1"], INPUT)):
            with self.subTest(args):
                _, err = muse("tokens", "--family", "gemma4_unified", *args, code=code)
                self.assertIn(str(args[1]), err)
                self.assertEqual(err.count("\n"), 1)

    def test_pictures_of_other_kinds(self):
        """a kind that people do try is named: also the page that a server sends instead of a picture"""
        for head, kind in ((b"GIF89a", "GIF"), (b"\0\0\1\0\1\0", "ICO"), (b"<!DOCTYPE html>", "HTML or XML"), (b"<html>", "HTML or XML"), (b"<?xml version", "HTML or XML"), (b"<svg>", "SVG")):
            _, err = muse("tokens", "--image", "-", stdin=head + bytes(100), code=UNSUPPORTED)
            self.assertIn(f" {kind}, which is not read; JPEG, PNG,", err)
        muse("tokens", "--image", "-", stdin=b"\0\0\1\xb3" + bytes(100), code=INPUT)

    def test_a_drawing_is_called_png(self):
        for args in (["tokens", "--ids", "1", "--draw", "x.JPG"], ["ask", "--image", MEDIA / "cat.jpg", "--annotate", "x.md", "What?"]):
            self.assertIn("ends in .png, not x.", muse(*args, code=USAGE)[1])
        with tempfile.TemporaryDirectory(suffix=".d") as folder:
            for name in ("a.PNG", "a"):
                muse("tokens", "--family", "gpt2", "--ids", "1", "--draw", f"{folder}/{name}")
                self.assertEqual((pathlib.Path(folder) / name).read_bytes()[:4], b"\x89PNG")

    def test_truncated(self):
        jpeg, flac = (MEDIA / "coffee.jpg").read_bytes(), (MEDIA / "speech.flac").read_bytes()
        muse("tokens", "--family", "gemma4_unified", "--image", "-", stdin=jpeg[:len(jpeg) // 2], code=INPUT)
        muse("tokens", "--family", "gemma4_unified", "--audio", "-", stdin=flac[:len(flac) // 2], code=INPUT)
        muse("tokens", "--family", "gemma4_unified", "--image", "-", stdin=b"", code=INPUT)

    def test_unreadable_lines(self):
        for lines in (ROOT, "no-such-file"):
            _, err = muse("tokens", "--lines", lines, code=INPUT)
            self.assertIn(str(lines), err)

    def test_standard_output_that_is_full(self):
        run = subprocess.run([MUSE, "tokens", "--ids", "1", "--family", "gpt2"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"standard output: No space left", run.stderr)

    def test_unsupported(self):
        muse("tokens", "--family", "fuyu", "--audio", MEDIA / "speech.flac", code=UNSUPPORTED)
        muse("tokens", "--family", "llama", "--image", MEDIA / "cat.jpg", code=UNSUPPORTED)
        _, err = muse("tokens", "--family", "gemma4_unified", "--text", "a", code=UNSUPPORTED)
        self.assertIn("--tokenizer", err)

    def test_limit(self):
        muse("tokens", "--family", "gemma4_unified", "--audio-length", "900000000", code=RESOURCE)
        _, err = muse("ask", "--audio", MEDIA / "speech.flac", "--text", "7 " * 3000, code=RESOURCE)
        self.assertRegex(err, r"muse: text: \d+ more positions after 44 are over the limit of 2048\n$")


class Sequence(unittest.TestCase):
    def test_demo_media(self):
        out, _ = muse("tokens", "--text", "What is in this picture?", "--image", MEDIA / "coffee.jpg", "--audio", MEDIA / "speech.flac")
        self.assertIn("patch 0, pixels (0.0, 0.0)", out)
        self.assertIn("<image 1>", out)
        self.assertIn("frame 0, 0-40 ms", out)

    def test_as_a_model_gets_it(self):
        """its own budget, which may not be the family's, and its tokenizer; without a model the summary says whose budget it is"""
        nano, cat = ROOT / "models/muse-nano", MEDIA / "cat.jpg"
        own = json.loads((nano / "config.json").read_text())["image_config"]["default_budget"]
        got = tokens("--model", nano, "--image", cat, "--text", "Hi")
        self.assertEqual((got["spans"][0]["budget"], got["model"]), (own, str(nano)))
        self.assertEqual(got["spans"][0]["budget"], json.loads(muse("inspect", nano, "--json")[0])["image"]["budget"])
        self.assertEqual(got["ids"], tokens("--image", cat, "--image-budget", own, "--text", "Hi")["ids"])
        out = muse("tokens", "--summary", "--quiet", "--image", cat)[0]
        self.assertIn("; pictures by its budget of 64 patches: a model may have another (--model)\n", out)
        for args in (["--model", nano], ["--image-budget", "64"], ["--family", "fuyu"]):
            self.assertNotIn("may have another", muse("tokens", "--summary", "--quiet", *args, "--image", cat)[0], args)
        llama = DATA / "golden/llama3/hf"
        self.assertEqual(tokens("--model", llama, "--text", "Hi")["ids"], tokens("--family", "llama", "--tokenizer", llama, "--text", "Hi")["ids"])
        muse("tokens", "--model", llama, "--image", cat, code=UNSUPPORTED)
        muse("tokens", "--model", "no-such", "--text", "Hi", code=INPUT)
        for args in (["--model", nano, "--family", "muse"], ["--mmproj", "x"]):
            muse("tokens", *args, "--text", "Hi", code=USAGE)

    def test_gemma4_numbers(self):
        d = tokens("--family", "gemma4_unified", "--image", MEDIA / "coffee.jpg", "--image-budget", "70", "--image", MEDIA / "cat.jpg")
        first, second = d["spans"]
        self.assertEqual((first["used_width"], first["used_height"], first["patches"], first["budget"]), (960, 624, 260, 280))
        self.assertEqual((second["grid_width"] * second["grid_height"], second["budget"]), (second["patches"], 70))
        self.assertEqual(d["length"], 260 + 2 + second["patches"] + 2)
        self.assertEqual(d["ids"][0], 255999)
        self.assertEqual([p["kind"] for p in d["positions"][:2]], ["marker", "image"])
        self.assertEqual(len(d["hash"]), 64)

    def test_counting_equals_tokenizing(self):
        real = tokens("--family", "gemma4_unified", "--image", MEDIA / "coffee.jpg", "--audio", MEDIA / "speech.flac")
        counted = tokens("--family", "gemma4_unified", "--image-size", "600x400", "--audio-length", f"{36011 / 22050}@22050")
        self.assertEqual(real["ids"], counted["ids"])
        self.assertEqual(real["positions"], counted["positions"])

    def test_pipe(self):
        jpeg = (MEDIA / "cat.jpg").read_bytes()
        self.assertEqual(tokens("--family", "fuyu", "--image", "-", stdin=jpeg), tokens("--family", "fuyu", "--image", MEDIA / "cat.jpg"))

    def test_cpu_levels_agree(self):
        want = tokens("--family", "gemma4_unified", "--cpu-level", "c", "--threads", "1", "--image", MEDIA / "coffee.jpg")
        for level in ("avx2", "avx512", "amx"):
            args = ["--family", "gemma4_unified", "--cpu-level", level, "--threads", "2", "--image", MEDIA / "coffee.jpg"]
            run = subprocess.run([MUSE, "tokens", "--json", "--quiet", *map(str, args)], capture_output=True, timeout=300)
            self.assertIn(run.returncode, (OK, UNSUPPORTED))   # a level that is not to be had is said, not replaced
            if run.returncode == OK:
                self.assertEqual(json.loads(run.stdout), want)

    def test_downscale_is_said(self):
        _, err = muse("tokens", "--summary", "--family", "gemma4_unified", "--image-budget", "70", "--image", MEDIA / "coffee.jpg")
        self.assertIn("reduced", err)
        _, err = muse("tokens", "--summary", "--quiet", "--family", "gemma4_unified", "--image-budget", "70", "--image", MEDIA / "coffee.jpg")
        self.assertEqual(err, "")

    def test_draw(self):
        with tempfile.TemporaryDirectory() as folder:
            png = pathlib.Path(folder) / "a.png"
            muse("tokens", "--family", "gemma4_unified", "--image", MEDIA / "cat.jpg", "--audio", MEDIA / "speech.flac", "--draw", png)
            data = png.read_bytes()
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            width, height = struct.unpack(">II", data[16:24])
            self.assertEqual(width, 1600)
            self.assertGreater(height, 500)
            muse("tokens", "--ids", "1", "--draw", pathlib.Path(folder) / "no/such.png", code=INPUT)


class Inspect(unittest.TestCase):
    GOLDEN = DATA / "golden"

    def test_both_containers(self):
        a, g = self.GOLDEN / "gemma4-a/hf", self.GOLDEN / "gemma4-a/gguf"
        hf = json.loads(muse("inspect", a, "--json", "--context", 1000)[0])
        gguf = json.loads(muse("inspect", g / "text-bf16.gguf", "--mmproj", g / "mmproj-bf16.gguf", "--json", "--context", 1000)[0])
        self.assertEqual(hf["family"], "gemma4_unified")
        self.assertEqual(hf["modalities"], ["text", "image", "audio"])
        self.assertEqual(hf["parameters"], 466310)
        self.assertEqual(hf["types"], {"BF16": {"tensors": 96, "values": 466310, "bytes": 932620}})
        self.assertEqual(hf["image"], {"patch": 12, "budgets": [70], "budget": 70})
        for key in ("family", "modalities", "parameters", "layers", "width", "mlp_width", "heads", "kv_heads", "head_width", "windowed_layers", "window",
                    "vocabulary", "tied", "context_limit", "image", "audio"):
            self.assertEqual(hf[key], gguf[key], key)
        self.assertEqual(hf["memory"]["kv_bf16"], gguf["memory"]["kv_bf16"])
        self.assertEqual(set(hf["eos"]), set(gguf["eos"]))
        text = json.loads(muse("inspect", g / "text-q8_0.gguf", "--json")[0])
        self.assertEqual(text["modalities"], ["text"])

    def test_config(self):
        """the sizes that the tiers are named by, told without weights"""
        for tier, least, most in (("nano", 5.3e6, 5.4e6), ("micro", 24e6, 28e6), ("spark", 115e6, 125e6), ("blaze", 0.95e9, 1.1e9), ("inferno", 6.5e9, 7.5e9)):
            got = json.loads(muse("inspect", "--config", ROOT / f"tools/configs/tiers/{tier}.json", "--json", "--context", 1000)[0])
            self.assertTrue(least <= got["parameters"] <= most, tier)
            self.assertEqual([got["weights_bytes"], got["file_bytes"]], [2 * got["parameters"], 0])
        self.assertIn("muse", muse("inspect", "--config", ROOT / "tools/configs/tiers/nano.json", "--tensors")[0])
        for args, code in ((["--config", ROOT / "README.md"], INPUT), (["--config"], USAGE), (["x", "--config", "y"], USAGE), (["--config", "x", "y"], USAGE), (["--config", "none.json"], INPUT)):
            self.assertEqual(muse("inspect", *args, code=code)[0], "")

    def test_table_and_tensors(self):
        out, err = muse("inspect", self.GOLDEN / "qwen3/hf", "--tensors")
        self.assertIn("qwen3 (safetensors, 2 files)", out)
        self.assertIn("model.layers.0.self_attn.q_norm.weight [32]", out)
        self.assertEqual(err, "")
        listed = json.loads(muse("inspect", self.GOLDEN / "llama3/gguf/model-q8_0.gguf", "--json", "--tensors")[0])["tensor_list"]
        self.assertIn({"name": "blk.0.attn_k.weight", "type": "Q8_0", "shape": [32, 64], "bytes": 2176, "file": str(self.GOLDEN / "llama3/gguf/model-q8_0.gguf")}, listed)

    def test_errors(self):
        for args, code in (([], USAGE), (["a", "b"], USAGE), (["a", "--text", "x"], USAGE), (["a", "--context", "0"], USAGE), (["a", "--what"], USAGE), (["no-such"], INPUT),
                           ([ROOT], INPUT), ([ROOT / "README.md"], INPUT), ([self.GOLDEN / "gemma4-a/gguf/mmproj-bf16.gguf"], UNSUPPORTED)):
            with self.subTest(args):
                out, err = muse("inspect", *args, code=code)
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1)
        self.assertIn("README.md: neither a GGUF nor a safetensors file; a model is a folder", muse("inspect", ROOT / "README.md", code=INPUT)[1])


class Convert(unittest.TestCase):
    GOLDEN = DATA / "golden"

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.out = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def test_there_and_back(self):
        g = self.out / "q.gguf"
        d = json.loads(muse("convert", self.GOLDEN / "gemma4-a/hf", g, "--type", "q8_0", "--json")[0])
        written = [g, self.out / "mmproj-q.gguf"]
        self.assertEqual((d["tensors"], d["kept_tensors"], d["files"], d["type"]), (97, 0, 2, "q8_0"))
        self.assertEqual(d["bytes_out"], sum(f.stat().st_size for f in written))
        self.assertGreater(d["bytes_in"], d["bytes_out"])
        self.assertGreaterEqual(d["seconds"], 0)
        self.assertEqual(sorted(self.out.iterdir()), sorted(written))
        a = json.loads(muse("inspect", self.GOLDEN / "gemma4-a/hf", "--json")[0])
        b = json.loads(muse("inspect", g, "--mmproj", written[1], "--json")[0])
        for key in ("family", "modalities", "parameters", "layers", "width", "vocabulary", "tied", "image", "audio", "suppressed", "bos"):
            self.assertEqual(a[key], b[key], key)
        self.assertEqual(sorted(a["eos"]), sorted(b["eos"]))
        out, err = muse("convert", g, self.out / "back", "--mmproj", written[1], "--type", "bf16", "--shard", "300K")
        self.assertIn("96 tensors", out)
        self.assertEqual(err, "")
        c = json.loads(muse("inspect", self.out / "back", "--json")[0])
        self.assertEqual(c["types"].keys(), {"BF16"})
        self.assertEqual(c["parameters"], a["parameters"])
        self.assertGreater(c["files"], 2)
        ids = [muse("tokens", "--tokenizer", p, "--text", "Hello, wörld! 123\n\n", "--family", "gemma4_unified", "--json", "--quiet")[0] for p in (self.GOLDEN / "gemma4-a/hf", g, self.out / "back")]
        self.assertEqual(ids[0], ids[2])
        self.assertEqual(json.loads(ids[0])["ids"][-5:], json.loads(ids[1])["ids"][-5:])

    def test_what_is_said(self):
        _, err = muse("convert", self.GOLDEN / "qwen3/hf", self.out / "a.gguf", "--type", "q4_k")
        self.assertIn("are not Q4_K", err)
        _, err = muse("convert", self.GOLDEN / "qwen3/hf", self.out / "a.gguf", "--type", "q4_k", "--quiet")
        self.assertEqual(err, "")

    def test_errors(self):
        llama, full = self.GOLDEN / "llama3/hf", self.out / "full"
        full.mkdir()
        (full / "x").write_text("x")
        for args, code in (([], USAGE), ([llama], USAGE), ([llama, "b"], USAGE), ([llama, "b", "c", "--type", "bf16"], USAGE), ([llama, "b", "--type"], USAGE),
                           ([llama, self.out / "b", "--type", "q2_k"], USAGE), ([llama, "b", "--type", "bf16", "--shard", "5X"], USAGE), ([llama, "b", "--type", "bf16", "--what"], USAGE),
                           ([llama, "b", "--type", "bf16", "--text", "x"], USAGE), ([llama, full, "--type", "bf16"], USAGE),
                           ([self.GOLDEN / "gemma4-a/hf", self.out / "b", "--type", "bf16", "--mmproj", self.out / "p.gguf"], USAGE), ([llama, self.out / "b", "--type", "q8_0"], UNSUPPORTED),
                           (["no-such", self.out / "b", "--type", "bf16"], INPUT), ([ROOT / "README.md", self.out / "b", "--type", "bf16"], INPUT),
                           ([llama, self.out / "no/b.gguf", "--type", "bf16"], INPUT), ([DATA / "text/llama.gguf", self.out / "b", "--type", "bf16"], INPUT)):
            with self.subTest(args):
                out, err = muse("convert", *args, code=code)
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1)
        self.assertEqual(list(self.out.iterdir()), [full])


class Lines(unittest.TestCase):
    def test_published_vectors(self):
        found = sorted(DATA.glob("text/*/tokens.jsonl"))
        self.assertTrue(found)
        for path in found:
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            text = "".join(json.dumps(r["text"]) + "\n" for r in rows).encode()
            out, _ = muse("tokens", "--tokenizer", path.parent / "tokenizer.json", "--lines", "-", stdin=text)
            got = [json.loads(line) for line in out.splitlines()]
            self.assertEqual([g["ids"] for g in got], [r["ids"] for r in rows], path)

    def test_shipped_tokenizer_round_trip(self):
        texts = ["hello world", "  two  spaces ", "naïve café ☕ 你好 🧑‍🚀", "tab\tand\nnewline\r\n", "NUL \u0000 inside", "\"quoted\""]
        out, _ = muse("tokens", "--lines", "-", stdin="".join(json.dumps(t) + "\n" for t in texts).encode())
        self.assertEqual([json.loads(line)["decoded"] for line in out.splitlines()], texts)
        plain = "plain line without quotes\nsecond\n".encode()
        self.assertEqual(len(muse("tokens", "--lines", "-", stdin=plain)[0].splitlines()), 2)

    def test_options_are_values_after_text(self):
        self.assertIn('"-"', muse("tokens", "--text", "--help")[0])

    def test_bad_line(self):
        _, err = muse("tokens", "--lines", "-", stdin=b"good\n\"broken\n", code=INPUT)
        self.assertIn("line 2", err)


class Worlds(unittest.TestCase):
    def make(self, folder, *args):
        muse("worlds", "--fonts", "builtin", "--out", folder, *args)
        return [json.loads(line) for path in sorted(pathlib.Path(folder).glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]

    def test_data_set(self):
        worlds = [json.loads(line) for line in muse("worlds", "--list", "--json")[0].splitlines()]
        self.assertEqual(len(worlds), 12)
        for world in worlds:
            with self.subTest(world["world"]), tempfile.TemporaryDirectory() as folder:
                lines = self.make(folder, "--task", world["world"], "--n", 3, "--seed", 5)
                self.assertTrue(lines)
                for line in lines:
                    self.assertIn(line["task"], world["kinds"])
                    self.assertEqual("answer" in line, not any(p.get("learn") for p in line["parts"]))
                    if line["task"] in ("color", "exist", "relation", "changed"):
                        self.assertRegex(line["answer"], "^ [a-z]+$")   # as the model is to write it
                    for name in line.get("accept", []):
                        self.assertNotRegex(name, "^(a [aeio]|an [^aeio])")
                    files = [p.get("image") or p.get("audio") for p in line["parts"] if "text" not in p]
                    self.assertTrue(all((pathlib.Path(folder) / name).stat().st_size > 100 for name in files))
                    thought = line.get("thought", "").encode()
                    for view in line.get("views", []):
                        self.assertRegex(thought[:view["at"]].decode(), r"<look>[^<]*<box>(<x[0-9]+><y[0-9]+>){2}$")
                first = lines[0]["parts"][0]
                if "image" in first:
                    tokens("--image", pathlib.Path(folder) / first["image"])
                if "audio" in first:
                    tokens("--audio", pathlib.Path(folder) / first["audio"])

    def test_says_what_it_wrote(self):
        with tempfile.TemporaryDirectory() as folder:
            args = ["worlds", "--fonts", "builtin", "--out", folder, "--task", "pairs", "--n", 2]
            lines = "%d lines about 2 samples; 4 pictures"
            _, err = muse(*args)
            n = len((pathlib.Path(folder) / "pairs.jsonl").read_text("utf-8").splitlines())
            self.assertEqual(err, f"muse: wrote {folder}/pairs.jsonl: {lines % n} beside it\n")
            self.assertIn(f"{lines % n}; 4 pictures with boxes beside it", muse(*args, "--draw")[1])
            self.assertEqual(muse(*args, "--quiet"), ("", ""))
            self.assertEqual(json.loads(muse(*args, "--json")[0]), {"file": f"{folder}/pairs.jsonl", "samples": 2, "lines": n, "pictures": 4, "sounds": 0, "pictures_with_boxes": 0})
            self.assertRegex(muse("worlds", "--fonts", "builtin", "--out", folder, "--task", "drills", "--n", 2)[1], r"drills\.jsonl: \d+ lines about 2 samples\n$")

    def test_same_again(self):
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            self.assertEqual(self.make(a, "--task", "pairs", "--n", 4)[-1], self.make(b, "--task", "pairs", "--n", 2, "--first", 2)[-1])
            name = "pairs-000003-1.png"
            self.assertEqual((pathlib.Path(a) / name).read_bytes(), (pathlib.Path(b) / name).read_bytes())

    def test_errors(self):
        with tempfile.TemporaryDirectory() as folder:
            out = ["--out", folder, "--fonts", "builtin"]
            for args, code in (([], USAGE), (["--task", "scenes"], USAGE), (["--task", "scenes", "--what", *out], USAGE), (["--task", "nonsense", *out], UNSUPPORTED),
                               (["--task", "scenes", "--split", "x", *out], USAGE), (["--task", "scenes", "--n", "-1", *out], USAGE), (["--task", "scenes", "--min-side", "5", *out], USAGE),
                               (["--task", "scenes", "--text", "a", *out], USAGE), (["--task", "print", "--max-side", "64", *out], RESOURCE), (["--task", "scenes", "--n"], USAGE), (["--list", "--n", "3"], USAGE), (["--list", "--seed", "3"], USAGE),
                               (["--task", "scenes", "--fonts", "builtin", "--out", ROOT / "README.md"], INPUT)):
                with self.subTest(args):
                    out_text, err = muse("worlds", *args, code=code)
                    self.assertEqual(out_text, "")
                    self.assertEqual(err.count("\n"), 1)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])
class Train(unittest.TestCase):
    """A toy run from zero: it learns, it survives kill -9 and an interrupt with the same curve, its folder opens."""
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.at = pathlib.Path(self.dir.name)
        subprocess.run([sys.executable, ROOT / "tools/configs/make_toy.py", self.at / "toy", "60"], check=True)
        doc = json.loads((ROOT / "tools/configs/toy.json").read_text())
        doc["tokenizer"] = str(ROOT / "models/muse-nano/tokenizer.json")
        doc["steps"], doc["batch"]["samples"], doc["checkpoint"]["every"] = 24, 4, 3
        (self.at / "toy.json").write_text(json.dumps(doc))

    def tearDown(self):
        self.dir.cleanup()

    def run_toy(self, out, *args, **kw):
        return muse("train", self.at / "toy.json", "--threads", "1", "--out", self.at / out, *args, **kw)

    def curve(self, out):
        rows = (self.at / out / "step-00000024/log.csv").read_text().splitlines()[1:]
        return [row.split(",")[:9] for row in rows]   # all but the seconds

    def test_learns_and_opens(self):
        out, err = self.run_toy("plain", "--json")
        done = json.loads(out)
        self.assertEqual((done["step"], done["interrupted"], done["skipped"]), (24, False, 0))
        self.assertGreater(done["positions_per_s"], 0)
        self.assertIn("24/24", err)
        self.assertIn(f"is in {done['folder']}\n  ask it:       muse ask --model {done['folder']} ...   (--mode instant if it saw no thoughts)\n", err)
        self.assertIn(f"--resume --out {self.at / 'plain'}", err)
        curve = [float(row[2]) for row in self.curve("plain")]
        self.assertEqual(len(curve), 24)
        self.assertLess(curve[-1], curve[0] / 2)
        info = json.loads(muse("inspect", "--json", done["folder"])[0])
        self.assertEqual((info["family"], info["modalities"], info["unused_tensors"]), ("muse", ["text", "image"], 0))
        self.assertEqual(sorted(p.name for p in (self.at / "plain").iterdir()), ["step-00000021", "step-00000024"])
        _, err = self.run_toy("plain", code=1)
        self.assertIn("resume", err)
        out, err = self.run_toy("plain", "--resume", "--json")   # nothing left to do
        self.assertIn("the model of step 24 is in", err)
        self.assertEqual([json.loads(out)[key] for key in ("step", "loss", "accuracy")], [24, None, None])
        doc = json.loads((self.at / "toy.json").read_text())
        del doc["out"]
        (self.at / "lost.json").write_text(json.dumps(doc))
        _, err = muse("train", self.at / "lost.json", "--threads", "1", "--steps", "1")
        self.assertTrue(err.startswith(f"muse: warning: {self.at / 'lost.json'} has no \"out\": nothing will be saved"), err)
        self.assertNotIn("is in", err)

    @needs_terminal
    def test_progress_fits_the_terminal(self):
        """a line that is drawn anew and longer than the terminal would stay as two; those that stay are whole"""
        for columns in (40, 80, 200):
            anew, kept = [], []
            for line in on_terminal("train", self.at / "toy.json", "--threads", "1", columns=columns).split("\n"):
                first, *parts = line.split("\r\x1b[K")
                self.assertTrue(not first or not parts, line)
                anew += parts[:-1]
                kept += parts[-1:]
            self.assertTrue(anew)
            self.assertLess(max(map(len, anew)), columns)
            self.assertEqual([line.startswith("[") for line in anew], [columns >= 100] * len(anew))
            self.assertTrue(all("left " in line for line in anew if columns > 40), anew)
            self.assertTrue(all(line.endswith("  saved") for line in kept), kept)
            for path in (self.at / "toy-run").iterdir():
                shutil.rmtree(path)
        shown = on_terminal("train", self.at / "toy.json", "--threads", "1", columns=40, term="dumb")
        self.assertNotRegex(shown, r"[\r\x1b]")
        self.assertRegex(shown, r"(?m)^24/24  .*  saved$")

    def test_killed_and_interrupted(self):
        self.run_toy("whole", "--quiet")
        import random, signal, time
        rng = random.Random(5)
        command = [MUSE, "train", self.at / "toy.json", "--threads", "1", "--out", self.at / "cut", "--quiet"]
        for i in range(4):
            resume = ["--resume"] if list(self.at.glob("cut/step-????????")) else []
            run = subprocess.Popen([str(c) for c in command + resume], stderr=subprocess.DEVNULL)
            time.sleep(0.05 + rng.random() * 0.4)
            run.send_signal(signal.SIGKILL if i < 3 else signal.SIGINT)
            run.wait(timeout=120)
        resume = ["--resume"] if list(self.at.glob("cut/step-????????")) else []
        self.run_toy("cut", "--quiet", *resume)
        self.assertEqual(self.curve("whole"), self.curve("cut"))
        for name in ("model.safetensors", "train.safetensors"):
            self.assertEqual((self.at / "whole/step-00000024" / name).read_bytes(), (self.at / "cut/step-00000024" / name).read_bytes())

    @needs_terminal
    def test_progress_on_a_terminal(self):
        """What is drawn anew keeps to one row of it; warnings and errors stand in rows of their own."""
        lines = (self.at / "toy/train.jsonl").read_text().splitlines()
        odd = json.loads(lines[50])
        odd["branches"][0]["thougt"] = "x"
        (self.at / "toy/train.jsonl").write_text("\n".join(lines[:50] + [json.dumps(odd)] + lines[51:] + ["broken"]) + "\n")
        doc = json.loads((self.at / "toy.json").read_text())
        doc["tasks"] += [f"another one {i}" for i in range(5)]
        doc["data"][0]["shuffle"], doc["loaders"], doc["checkpoint"]["every"] = False, 0, 1000
        (self.at / "wide.json").write_text(json.dumps(doc))
        rows = on_terminal("train", self.at / "wide.json", "--threads", "1", "--out", self.at / "wide", columns=50, code=INPUT).split("\n")
        self.assertIn("1/24  loss", rows[0])
        drawn = [text for row in rows for text in row.split("\r\x1b[K") if "/24  loss" in text]
        self.assertTrue(drawn and all(len(text) < 50 and text.endswith(" ...") for text in drawn), rows)
        left = [row.rsplit("\x1b[K", 1)[-1] for row in rows]
        self.assertEqual(len([row for row in left if row.startswith("muse: warning: ") and "thougt" in row]), 1, rows)
        self.assertTrue(left[-2].startswith("muse: ") and "train.jsonl:61: " in left[-2], rows)

    def test_ended_by_the_system(self):
        """The end of a job's time, or of a terminal, saves like Ctrl-C; what nohup ignores stays ignored."""
        import signal, time
        doc = json.loads((self.at / "toy.json").read_text())
        doc["steps"], doc["checkpoint"]["every"] = 1000000, 1000000
        (self.at / "long.json").write_text(json.dumps(doc))
        for end, ignored in ((signal.SIGTERM, None), (signal.SIGHUP, None), (signal.SIGTERM, signal.SIGHUP)):
            out = self.at / f"end-{end}-{ignored}"
            run = subprocess.Popen([str(MUSE), "train", str(self.at / "long.json"), "--threads", "1", "--out", str(out)], stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: signal.signal(ignored, signal.SIG_IGN) if ignored else None)
            while "loss" not in run.stderr.readline():
                self.assertIsNone(run.poll())
            if ignored:
                run.send_signal(ignored)
                time.sleep(0.2)
                self.assertIsNone(run.poll())
            run.send_signal(end)
            self.assertIn("interrupted; saved", run.communicate(timeout=120)[1])
            self.assertEqual((run.returncode, len(list(out.glob("step-????????")))), (6, 1))

    def test_refusals(self):
        for args in ([], ["a.json", "b.json"], ["a.json", "--steps", "0"], ["a.json", "--nonsense"], ["a.json", "--seed", "3"], ["a.json", "--text", "x"]):
            muse("train", *args, code=USAGE)
        muse("train", self.at / "none.json", code=INPUT)
        for args in ([], ["--help"], [self.at / "toy2", "many"]):
            run = subprocess.run([sys.executable, ROOT / "tools/configs/make_toy.py", *args], capture_output=True, text=True)
            self.assertTrue(run.returncode == 1 and "usage: make_toy.py" in run.stderr and "Traceback" not in run.stderr, run.stderr)
        (self.at / "bad.json").write_text('{"steps": 3, "modle": {}}')
        _, err = muse("train", self.at / "bad.json", code=INPUT)
        self.assertIn("modle", err)
        lines = (self.at / "toy/train.jsonl").read_text()
        (self.at / "toy/train.jsonl").write_text("broken\n")
        _, err = self.run_toy("broken", code=INPUT)
        self.assertIn("train.jsonl:1", err)
        (self.at / "toy/train.jsonl").write_text("broken\n" + lines)   # 61 lines, 31 steps of 4: twice round
        doc = json.loads((self.at / "toy.json").read_text())
        doc["data"][0]["broken"], doc["steps"] = "skip", 31
        (self.at / "skip.json").write_text(json.dumps(doc))
        out, err = muse("train", self.at / "skip.json", "--threads", "1", "--out", self.at / "skip", "--json")
        self.assertEqual(json.loads(out)["skipped"], 2)
        self.assertIn('muse: 2 samples were left out: broken, or longer than "positions"', err)

    def test_folders_that_cannot_be(self):
        (self.at / "file").write_text("in the way")
        for out in (self.at / "file", self.at / "file/below"):
            _, err = self.run_toy(out, "--steps", "1", code=INPUT)
            self.assertIn(f"{self.at / 'file'}: can't make the folder: Not a directory", err)
            self.assertNotIn("loss", err)   # before the first step
            _, err = muse("worlds", "--task", "count", "--n", "1", "--out", out, code=INPUT)
            self.assertIn("Not a directory", err)
        _, err = self.run_toy("/proc/none", "--steps", "1", code=INPUT)   # of root too
        self.assertIn("/proc/none: can't make the folder", err)
        self.run_toy("new/below/here", "--steps", "1", "--quiet")
        self.assertTrue((self.at / "new/below/here/step-00000001/config.json").exists())
        muse("worlds", "--task", "count", "--n", "1", "--out", self.at / "some/where")
        self.assertTrue((self.at / "some/where/count.jsonl").exists())
        ladder = {"train": "toy.json", "out": "climb/here", "sizes": [{}, {"seed": 2}], "steps": [2, 4, 8]}
        (self.at / "ladder.json").write_text(json.dumps(ladder))
        for path in ("climb/here/size-2-steps-8", "climb/here/scaling.png"):   # the last of what is written
            (self.at / "climb/here").mkdir(parents=True, exist_ok=True)
            (self.at / path).mkdir() if path.endswith("png") else (self.at / path).write_text("")
            _, err = muse("scaling", self.at / "ladder.json", "--threads", "1", code=INPUT)
            self.assertIn(path, err)
            self.assertNotIn("loss", err)
            (self.at / path).rmdir() if path.endswith("png") else (self.at / path).unlink()

    def test_trial_and_reward(self):
        doc = json.loads((self.at / "toy.json").read_text())
        doc["steps"], doc["optimizer"] = 3, {}
        doc["rl"] = {"stage": "grpo", "worlds": {"fonts": "builtin", "mix": [{"task": "count", "max_side": 64}, {"task": "exist", "max_side": 64}]},
                     "prompts": 2, "samples": 2, "thought_tokens": 6, "answer_tokens": 4, "guard": {"prompts": 4, "every": 2},
                     "supervised": {"every": 3}}
        doc["tasks"] += ["count", "exist"]
        (self.at / "rl.json").write_text(json.dumps(doc))
        out, err = muse("train", self.at / "rl.json", "--threads", "1", "--out", self.at / "rl", "--json")
        done = json.loads(out)
        self.assertEqual(sorted(done["held_out"]), ["count", "exist"])
        self.assertEqual({m: done["held_out"]["count"][m]["tokens"] > 0 for m in ("think", "free", "direct")}, {"think": True, "free": True, "direct": True})
        self.assertIn("held out, after step 3", err)
        lines = [line for line in err.splitlines() if re.match(r"[123]/3  loss", line)]
        self.assertEqual((lines[0][0], lines[-1][0]), ("1", "3"))
        for line in lines:   # the first step has data; of the others no share of right tokens is told, since there are none
            self.assertRegex(line, r" 4 answers: right \d+\.\d %, reward -?\d+\.\d+, \d+\.\d tokens, thinks \d+ %  ")
            self.assertEqual("tokens right" in line, line[0] == "1", line)
        rows = (self.at / "rl/step-00000003/rl.csv").read_text().splitlines()
        self.assertEqual([row.split(",")[:3] for row in rows[1:]], [[str(s), t, "2"] for s in (0, 2, 3) for t in ("count", "exist")])
        self.assertEqual(sorted(json.loads((self.at / "rl/step-00000003/rl.json").read_text())), ["measured_at", "names", "number", "tasks"])
        doc["rl"]["worlds"]["mix"][0]["task"] = "nothing"
        (self.at / "rl.json").write_text(json.dumps(doc))
        _, err = muse("train", self.at / "rl.json", "--threads", "1", "--out", self.at / "bad", code=INPUT)
        self.assertIn("nothing", err)

    def test_scaling(self):
        small = {"model": {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 1, "num_key_value_heads": 1}}
        ladder = {"train": "toy.json", "out": "ladder", "sizes": [small, {}], "steps": [2, 4, 8], "tail": 0.5, "next": {"size": {}, "steps": 16}}
        (self.at / "ladder.json").write_text(json.dumps(ladder))
        out, err = muse("scaling", self.at / "ladder.json", "--threads", "1", "--json")
        first = json.loads(out)
        self.assertEqual([run["steps"] for run in first["runs"]], [2, 4, 8, 2, 4, 8])
        self.assertEqual(sorted(first["fit"]), ["A", "B", "E", "a", "b", "error"])
        self.assertEqual(first["next"]["parameters"], first["runs"][5]["parameters"])
        self.assertAlmostEqual(first["next"]["positions"], 2 * first["runs"][5]["positions"], delta=0.02 * first["next"]["positions"])
        self.assertLessEqual(first["next"]["low"], first["next"]["high"])
        self.assertIn("run 6/6", err)
        best = min(first["runs"], key=lambda run: run["loss"])
        self.assertIn(f"muse: the runs are in {first['folder']}, drawn in {first['folder']}/scaling.png\n  ask the best: muse ask --model {best['folder']} ...   (--mode instant if it saw no thoughts)\n", err)
        self.assertTrue((pathlib.Path(best["folder"]) / "config.json").exists())
        self.assertTrue((self.at / "ladder/scaling.png").exists())
        log = (self.at / "ladder/size-2-steps-8/step-00000008/log.csv").read_text().splitlines()[5:]
        self.assertAlmostEqual(first["runs"][5]["loss"], sum(float(row.split(",")[3]) for row in log) / 4, places=6)
        again, _ = muse("scaling", self.at / "ladder.json", "--threads", "1", "--json")   # nothing is trained again
        self.assertEqual(json.loads(again), first)
        self.assertIn("next:", muse("scaling", self.at / "ladder.json", "--threads", "1", "--quiet")[0])
        self.assertFalse((self.at / "ladder/next.json").exists())
        ladder["sizes"] = [{}, small]   # size 1 is another model now
        (self.at / "ladder.json").write_text(json.dumps(ladder))
        _, err = muse("scaling", self.at / "ladder.json", "--threads", "1", code=INPUT)
        self.assertIn("ladder/size-1-steps-2", err)
        small["seed"] = 9   # and of another document
        ladder["sizes"] = [small, {}]
        (self.at / "ladder.json").write_text(json.dumps(ladder))
        _, err = muse("scaling", self.at / "ladder.json", "--threads", "1", code=1)
        self.assertIn("another document", err)
        ladder.update(out="fresh", next={"size": {"model": {"head_dim": 0}}, "steps": 16})   # told before a run is made
        (self.at / "ladder.json").write_text(json.dumps(ladder))
        _, err = muse("scaling", self.at / "ladder.json", "--threads", "1", code=INPUT)
        self.assertEqual([path.name for path in (self.at / "fresh").iterdir()], [])

    def test_scaling_refusals(self):
        good = {"train": "toy.json", "out": "ladder", "sizes": [{}, {}], "steps": [2, 4, 8]}
        for change, said in (({"step": 1}, "not known"), ({"sizes": []}, "sizes"), ({"steps": [2]}, "fewer than 6"), ({"steps": [1, 2, "x"]}, "steps"), ({"next": {}}, "next"),
                             ({"tail": 0}, "tail"), ({"out": ""}, "out"), ({"train": 1}, "train")):
            (self.at / "bad.json").write_text(json.dumps({**good, **change}))
            _, err = muse("scaling", self.at / "bad.json", code=INPUT)
            self.assertIn(said, err)
        (self.at / "bad.json").write_text("{")
        muse("scaling", self.at / "bad.json", code=INPUT)
        muse("scaling", self.at / "none.json", code=INPUT)
        muse("scaling", code=USAGE)
        (self.at / "same.json").write_text(json.dumps(good))   # one number of parameters
        _, err = muse("scaling", self.at / "same.json", "--threads", "1", code=USAGE)
        self.assertIn("parameters", err)


if __name__ == "__main__":
    main()
