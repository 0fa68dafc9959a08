#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""muse run from outside: golden continuations, dumped stages, endings, exit codes. Standard library only.
usage: test_run.py MUSE SOURCE_ROOT"""
import array
import ast
import json
import pathlib
import re
import signal
import struct
import subprocess
import tempfile
import unittest

from cli_help import CANCELLED, DATA, INPUT, MEDIA, MUSE, OK, OTHER, RESOURCE, ROOT, UNSUPPORTED, USAGE, main, muse

GOLDEN = DATA / "golden"
LLAMA, GEMMA = GOLDEN / "llama3/hf", GOLDEN / "gemma4-a/hf"


def safetensors(path):
    """name -> (shape, values), i32 and f32"""
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    out = {}
    for name, t in json.loads(data[8:8 + n]).items():
        if name != "__metadata__" and t["dtype"] in ("F32", "I32"):
            begin, end = (8 + n + x for x in t["data_offsets"])
            out[name] = t["shape"], array.array("f" if t["dtype"] == "F32" else "i", data[begin:end])
    return out


def npy(path):
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    n, = struct.unpack("<H", data[8:10])
    assert (10 + n) % 64 == 0 and data[9 + n:10 + n] == b"\n", path
    head = ast.literal_eval(data[10:10 + n].decode())
    assert not head["fortran_order"]
    return list(head["shape"]), array.array({"<f4": "f", "<i4": "i"}[head["descr"]], data[10 + n:])


def parts(folder):
    """the options that say a case's prompt"""
    case = json.loads((folder / "case.json").read_text("utf-8"))
    media = iter(case["media"])
    out = ["--image-budget", case["max_soft_tokens"]] if any(m.startswith("image") for m in case["media"]) else []
    for piece in re.split(r"(<\|image\|>|<\|audio\|>)", case["prompt"]):
        if piece in ("<|image|>", "<|audio|>"):
            out += ["--" + piece[2:7], folder / next(media)]
        elif piece:
            out += ["--text", piece]
    return out


def run(model, *args, **kw):
    return json.loads(muse("run", "--model", model, "--json", *args, **kw)[0])


class Golden(unittest.TestCase):
    def check(self, model, checkpoint, case, variant="", extra=()):
        folder = GOLDEN / checkpoint / "cases" / case
        want = safetensors(folder / "expect.safetensors")
        mask = ["--image-mask", variant] if variant else []
        for compute in ("f32", "auto"):
            with self.subTest(f"{model} {case} {variant} {compute}"):
                got = run(model, "--raw", "--max-tokens", 16, "--compute", compute, "--kv", "f32", *mask, *extra, *parts(folder))
                self.assertEqual(got["prompt_ids"], want["input_ids"][1].tolist())
                if compute == "f32":   # the fast modes may turn round what lies closer than they round: test_golden holds them to that
                    self.assertEqual(got["ids"], want["greedy." + variant if variant else "greedy"][1].tolist())
                self.assertEqual(len(got["ids"]), 16)
                self.assertEqual(got["finish"], "length")

    def test_text(self):
        for checkpoint in ("gemma4-a", "gemma4-b", "llama3", "qwen2", "qwen3"):
            for case in ("text-short", "text-long"):
                self.check(GOLDEN / checkpoint / "hf", checkpoint, case)

    def test_text_gguf(self):
        for checkpoint, name in (("gemma4-a", "text-bf16"), ("llama3", "model-bf16"), ("qwen2", "model-f32"), ("qwen3", "model-bf16")):
            for case in ("text-short", "text-long"):
                self.check(GOLDEN / checkpoint / "gguf" / (name + ".gguf"), checkpoint, case)

    def test_pictures_and_sounds(self):
        projector = ["--mmproj", GOLDEN / "gemma4-a/gguf/mmproj-bf16.gguf"]
        for variant in "AB":
            self.check(GEMMA, "gemma4-a", "image-wide", variant)
            self.check(GEMMA, "gemma4-a", "image-audio-text", variant)
            self.check(GOLDEN / "gemma4-a/gguf/text-bf16.gguf", "gemma4-a", "image-wide", variant, projector)
            self.check(GOLDEN / "gemma4-b/hf", "gemma4-b", "image-exact", variant)
        self.check(GEMMA, "gemma4-a", "audio-mono")
        self.check(GOLDEN / "gemma4-b/hf", "gemma4-b", "audio-stereo")


class Dump(unittest.TestCase):
    """stages against the reference, tolerances of tests/data/golden/README.md for the f32 path"""

    def check(self, model, folder, variant, chunk):
        want = safetensors(folder / "expect.safetensors")
        other = {"A": ".B", "B": ".A", "": ".none"}[variant]
        expected = {k.removesuffix("." + variant): v for k, v in want.items() if not k.endswith(other) and "greedy" not in k and "bf16" not in k}
        with tempfile.TemporaryDirectory() as dir:
            mask = ["--image-mask", variant] if variant else []
            got = run(model, "--raw", "--compute", "f32", "--max-tokens", 0, "--chunk", chunk, "--dump", dir, *mask, *parts(folder))
            self.assertEqual(got["ids"], [])
            written = {p.name[:-4]: npy(p) for p in pathlib.Path(dir).iterdir()}
        self.assertEqual(written["logits"][0], [len(got["prompt_ids"]), len(written["logits_last"][1])])
        self.assertLessEqual(set(expected), set(written))
        for name, (shape, values) in expected.items():
            self.assertEqual(written[name][0], shape, name)
            scale = 1e-3 if name.startswith("layers") else 2e-3 if name == "final_norm" else 1e-7 if name.endswith(("patches", "frames")) else 1e-4
            for a, b in zip(written[name][1], values):
                limit = 2e-3 if name.startswith("logits") else 0 if name == "input_ids" else scale * max(1, abs(b))
                self.assertLessEqual(abs(a - b), limit, name)

    def test_text(self):
        for checkpoint in ("gemma4-a", "llama3", "qwen2", "qwen3"):
            for chunk in (512, 5):   # rows of chunks are joined
                self.check(GOLDEN / checkpoint / "hf", GOLDEN / checkpoint / "cases/text-short", "", chunk)
        self.check(GOLDEN / "llama3/gguf/model-bf16.gguf", GOLDEN / "llama3/cases/text-short", "", 512)

    def test_picture_and_sound(self):
        full = [f.parent for f in sorted((GOLDEN / "gemma4-a/cases").glob("*/expect.safetensors")) if "layers.0.A" in safetensors(f)]
        self.assertTrue(full)
        for variant in "AB":
            self.check(GEMMA, full[0], variant, 512)
            self.check(GEMMA, GOLDEN / "gemma4-a/cases/image-audio-text", variant, 40)
        self.check(GEMMA, GOLDEN / "gemma4-a/cases/audio-mono", "", 512)

    def test_folder_that_cant_be(self):
        _, err = muse("run", "--model", LLAMA, "--raw", "--text", "a", "--dump", "/dev/null/x", code=INPUT)
        self.assertIn("/dev/null/x", err)


class Text(unittest.TestCase):
    def test_stream_equals_json(self):
        args = ["--model", LLAMA, "--raw", "--text", "Some words", "--max-tokens", 40]
        raw = subprocess.run([MUSE, "run", *map(str, args)], capture_output=True, timeout=60)
        self.assertEqual(raw.returncode, OK)
        self.assertEqual(raw.stdout.decode("utf-8", "replace"), run(LLAMA, *args[2:])["text"])
        self.assertIn("ended by length", raw.stderr.decode())
        self.assertEqual(muse("run", "--quiet", *args)[1], "")

    def test_status_has_a_line_of_its_own(self):
        args = ["run", "--model", LLAMA, "--raw", "--text", "I", "--max-tokens", 3]
        text = run(LLAMA, "--raw", "--text", "I", "--max-tokens", 3)["text"]
        self.assertFalse(text.endswith("\n"))
        out, err = muse(*args)
        self.assertEqual(out, text)   # in a pipe as it is
        self.assertRegex(err, r"^\nmuse: prompt of")
        both = subprocess.run([MUSE, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout.decode("utf-8", "replace")
        self.assertIn(text + "\nmuse: prompt of", both)
        self.assertEqual(muse(*args, "--quiet"), (text, ""))

    def test_stop_string_is_not_written(self):
        args = ["--raw", "--compute", "f32", "--text", "Some words"]
        whole = run(LLAMA, *args, "--max-tokens", 40)["text"]
        stop = next(whole[i:i + 2] for i in range(5, len(whole)) if whole[i:i + 2].isascii() and len(whole[i:i + 2]) == 2)   # random weights write broken characters too
        cut = run(LLAMA, *args, "--max-tokens", 40, "--stop", "never", "--stop", stop)
        self.assertEqual((cut["text"], cut["finish"], cut["stop"]), (whole[:whole.index(stop)], "stop string", stop))
        self.assertEqual(muse("run", "--model", LLAMA, *args, "--stop", stop)[0], cut["text"])

    def test_sampling_repeats_with_its_seed(self):
        args = [LLAMA, "--raw", "--text", "a", "--temp", "1.5", "--top-k", "50", "--top-p", "0.95", "--min-p", "0.01", "--max-tokens", 30, "--seed"]
        self.assertEqual(run(*args, 7)["ids"], run(*args, 7)["ids"])
        self.assertNotEqual(run(*args, 7)["ids"], run(*args, 8)["ids"])

    def test_penalty(self):
        plain = run(GOLDEN / "qwen2/hf", "--raw", "--text", "a b c", "--max-tokens", 30)["ids"]
        apart = run(GOLDEN / "qwen2/hf", "--raw", "--text", "a b c", "--max-tokens", 30, "--presence", "1000")["ids"]
        self.assertLess(len(set(plain)), 30)
        self.assertEqual(len(set(apart)), len(apart))

    def test_grammar(self):
        got = run(LLAMA, "--raw", "--text", "a", "--regex", "[0-9]{3}-[xy]")
        self.assertRegex(got["text"], r"^[0-9]{3}-[xy]$")
        schema = '{"type":"object","properties":{"a":{"enum":[1,22]},"b":{"type":"boolean"}},"required":["a","b"]}'
        got = run(LLAMA, "--raw", "--text", "a", "--json-schema", schema)
        self.assertIn(json.loads(got["text"])["a"], (1, 22))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            f.write(schema)
            f.flush()
            self.assertEqual(run(LLAMA, "--raw", "--text", "a", "--json-schema", f.name)["ids"], got["ids"])
        self.assertIn(got["finish"], ("grammar", "stop id"))

    def test_logprobs(self):
        got = run(LLAMA, "--raw", "--text", "a", "--max-tokens", 5, "--logprobs")
        self.assertEqual(len(got["logprobs"]), 5)
        self.assertTrue(all(p < 0 for p in got["logprobs"]))
        self.assertNotIn("logprobs", run(LLAMA, "--raw", "--text", "a", "--max-tokens", 1))


class Saved(unittest.TestCase):
    def test_goes_on(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "session"
            for model, prompt in ((LLAMA, ["--text", "Some words"]), (GEMMA, ["--text", "Look: ", "--image", MEDIA / "cat.jpg", "--text", " and"])):
                whole = run(model, "--raw", *prompt, "--max-tokens", 12)["ids"]
                first = run(model, "--raw", *prompt, "--max-tokens", 5, "--save", file)
                rest = run(model, "--raw", "--restore", file, "--max-tokens", 7)
                self.assertEqual(first["ids"] + rest["ids"], whole)
                self.assertEqual(rest["prompt_ids"], first["prompt_ids"] + first["ids"])
                more = run(model, "--raw", "--restore", file, "--text", " more", "--max-tokens", 3)
                self.assertGreater(len(more["prompt_ids"]), len(rest["prompt_ids"]))
            said = {n: muse("run", "--model", GEMMA, "--raw", "--restore", file, "--max-tokens", n, *more)[1] for n, more in ((0, ["--text", "more"]), (1, []), (3, []))}
            self.assertRegex(said[0], r"muse: prompt of \d+ positions, \d+ of them restored, the others in [\d.]+ s \([\d.]+/s\)\n$")
            self.assertRegex(said[1], r"muse: prompt of (\d+) positions, \d+ of them restored(, the others in \S+ s \(\S+\))?; 1 token in [\d.]+ s; ended by")   # no rate of one
            self.assertRegex(said[3], r"; \d tokens in [\d.]+ s \([\d.]+/s\); ended by")
            muse("run", "--model", LLAMA, "--raw", "--restore", file, code=UNSUPPORTED)   # another model's
            muse("run", "--model", GEMMA, "--restore", file, code=USAGE)
            muse("run", "--model", GEMMA, "--raw", "--restore", file, "--dump", folder, code=USAGE)
            file.write_bytes(file.read_bytes()[:-1])
            muse("run", "--model", GEMMA, "--raw", "--restore", file, code=INPUT)
        muse("run", "--model", GEMMA, "--raw", "--restore", "no-such", code=INPUT)
        muse("run", "--model", GEMMA, "--raw", "--text", "a", "--max-tokens", 1, "--save", "/dev/null/x", code=INPUT)
        tell = ["run", "--model", GEMMA, "--raw", "--text", "a", "--max-tokens", 3]
        out, err = muse(*tell, "--save", "/dev/null/x", code=INPUT)   # the text is there, whole, before what could not be saved
        self.assertEqual(out, muse(*tell)[0])
        self.assertTrue(err.endswith("ended by length\nmuse: /dev/null/x: can't make a file in its folder: Not a directory\n"), err)
        self.assertEqual(len(json.loads(muse(*tell, "--json", "--save", "/dev/null/x", code=INPUT)[0])["ids"]), 3)

    def test_saved_without_text(self):
        """what can't be said on standard output does not take the session away"""
        with tempfile.TemporaryDirectory() as folder, open("/dev/full", "w") as full:
            file = pathlib.Path(folder) / "s"
            run = subprocess.run([MUSE, "run", "--model", LLAMA, "--raw", "--text", "b", "--max-tokens", "3", "--save", file], stdout=full, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(run.returncode, OTHER, run.stderr)
            self.assertIn(b"standard output", run.stderr)
            muse("run", "--model", LLAMA, "--raw", "--restore", file, "--max-tokens", 1)

    def test_no_text(self):
        tell = ["run", "--model", LLAMA, "--raw", "--text", "b", "--max-tokens", 3]
        first = muse(*tell)[0][0]
        self.assertTrue(muse(*tell, "--stop", first)[1].endswith("; ended by stop string: the model wrote no text\n"))


class Chat(unittest.TestCase):
    def test_parts_become_one_message(self):
        got = run(GEMMA, "--text", "What is ", "--image", MEDIA / "cat.jpg", "--text", " this?", "--max-tokens", 2)
        same = run(GEMMA, "--raw", "--text", "<bos><|turn>user\nWhat is ", "--image", MEDIA / "cat.jpg", "--text",
                   " this?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", "--max-tokens", 2)
        self.assertEqual(got["prompt_ids"][0], same["prompt_ids"][0])
        self.assertIn(len(got["prompt_ids"]), range(80, 110))

    def test_text_stays_text(self):
        plain, tricky = (run(LLAMA, "--text", t, "--max-tokens", 0)["prompt_ids"] for t in ("hi", "hi<|eot_id|>"))
        ends = [i for i in set(plain) if plain.count(i) < tricky.count(i) and i >= 440]
        self.assertEqual(ends, [])   # an added token spelled out in a message is no token
        self.assertGreater(len(run(LLAMA, "--system", "Be brief.", "--text", "hi", "--max-tokens", 0)["prompt_ids"]), len(plain))

    def test_tokenizer_without_the_format(self):
        with tempfile.TemporaryDirectory() as folder:
            for file in (DATA / "tiny/muse/hf").iterdir():
                data = file.read_bytes()
                (pathlib.Path(folder) / file.name).write_bytes(data.replace(b"think>", b"thonk>") if file.name == "tokenizer.json" else data)
            _, err = muse("run", "--model", folder, "--text", "a", "--max-tokens", 1)
            self.assertIn("no chat format", err)
            muse("run", "--model", folder, "--text", "a", "--system", "b", code=USAGE)

    def test_think(self):
        on, off = (run(GOLDEN / "qwen3/hf", "--text", "hi", "--max-tokens", 0, "--think", t)["prompt_ids"] for t in ("on", "off"))
        self.assertLess(len(on), len(off))   # off: an empty thought stands in the prompt
        muse("run", "--model", LLAMA, "--text", "hi", "--think", "on", code=UNSUPPORTED)

    def test_thought_is_no_answer(self):
        nano, ask = ROOT / "models/muse-nano", ["--threads", 1, "--compute", "f32", "--image", MEDIA / "shapes.png", "--text", "Is the triangle above the white circle?"]
        done = run(nano, *ask)
        self.assertEqual(done["text"], done["thought"] + "</think>" + done["answer"])
        out, err = muse("run", "--model", nano, *ask)
        self.assertEqual(out, done["answer"])
        self.assertIn(f"thought: {done['thought']}\n", err)
        self.assertEqual(muse("run", "--model", nano, *ask, "--quiet"), (done["answer"], ""))
        cut = run(nano, *ask, "--max-tokens", 2)
        self.assertEqual((cut["answer"], cut["thought"]), ("", cut["text"]))
        self.assertEqual(muse("run", "--model", nano, *ask, "--max-tokens", 2, "--quiet")[0], "")
        direct = run(nano, *ask, "--think", "off")
        self.assertEqual((direct["answer"], direct["thought"]), (direct["text"], ""))
        digits = run(nano, *ask, "--regex", "[0-9]{3}")   # a grammar holds for all of the text
        self.assertNotIn("answer", digits)
        self.assertRegex(muse("run", "--model", nano, *ask, "--regex", "[0-9]{3}")[0], "^[0-9]{3}$")


class Bench(unittest.TestCase):
    KEYS = {"prefill_tps", "decode_tps", "load_s", "peak_rss_bytes", "weights_bytes", "kv_bytes"}
    LIMITS = {"read_bandwidth_gbs", "amx_bf16_gflops", "amx_int8_gops", "fma_f32_gflops", "dot_bf16_gflops", "dot_int8_gops", "decode_read_share", "step_bytes", "cache_bytes"}

    def test_keys(self):
        args = ["bench", "--model", LLAMA, "--prompt", 8, "--new", 2, "--runs", 1, "--json"]
        plain = json.loads(muse(*args)[0])
        self.assertLessEqual(self.KEYS, set(plain))
        self.assertFalse(self.LIMITS & set(plain))
        got = json.loads(muse(*args, "--limits")[0])
        self.assertLessEqual(self.KEYS | self.LIMITS, set(got))
        self.assertGreater(got["read_bandwidth_gbs"], 0)
        self.assertEqual(json.loads(muse(*args, "--limits", "--cpu-level", "c")[0])["fma_f32_gflops"], 0)
        text = muse(*args[:-1], "--limits")[0]
        self.assertIn("memory bandwidth", text)
        self.assertEqual("fit into the cache" in text, got["step_bytes"] <= got["cache_bytes"])   # a tiny model: so it does, where the system tells of its caches

    def test_config(self):
        got = json.loads(muse("bench", "--config", LLAMA / "config.json", "--prompt", 8, "--new", 2, "--runs", 1, "--json")[0])
        self.assertLessEqual(self.KEYS, set(got))
        self.assertGreater(got["decode_tps"], 0)
        muse("bench", "--config", "none.json", code=INPUT)
        context = json.loads((LLAMA / "config.json").read_text("utf-8"))["max_position_embeddings"]
        for prompt, said in ((8, False), (context, True)):
            err = muse("bench", "--model", LLAMA, "--prompt", prompt, "--new", 1, "--runs", 1)[1]
            self.assertEqual(f"more than the {context} positions" in err, said, err)
        muse("bench", "--config", LLAMA / "config.json", "--model", LLAMA, code=USAGE)

    def test_usage(self):
        for args in (["--compute", "f64"], ["--runs", "0"], ["--prompt", "-1"], ["--what", "1"]):
            self.assertEqual(muse("bench", "--model", LLAMA, *args, code=USAGE)[0], "")


class ExitCodes(unittest.TestCase):
    def test_usage(self):
        for args in ([], ["--text", "a", "--temp", "x"], ["--text", "a", "--temp", "-1"], ["--text", "a", "--top-p", "2"], ["--text", "a", "--max-tokens", "-1"], ["--text", "a", "--what"],
                     ["--text", "a", "--compute", "f64"], ["--text", "a", "--kv", "f16"], ["--text", "a", "--image-mask", "C"], ["--text", "a", "--think", "maybe"],
                     ["--text", "a", "--chunk", "0"], ["--ids", "1"], ["--raw", "--ids", "1,x"], ["--raw", "--ids", "100000"], ["--raw", "--image-size", "5x5"],
                     ["--raw", "--text", "a", "--system", "b"], ["--raw", "--text", "a", "--think", "on"], ["--text", "a", "--stop", ""], ["--text", "a", "--stop"],
                     ["--text", "a", "--logprobs"], ["--text", "a", "--regex", "a", "--json-schema", "{}"], ["--text", "a", "--image-budget", "70"]):
            with self.subTest(args):
                out, err = muse("run", "--model", LLAMA, *args, code=USAGE)
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1)
        self.assertIn("--json-schema", muse("run", "--help")[0])

    def test_files(self):
        for args, code in ((["no-such"], INPUT), ([ROOT], INPUT), ([LLAMA, "--image", "no-such.png"], INPUT), ([LLAMA, "--image", MEDIA / "cat.jpg"], UNSUPPORTED),
                           ([LLAMA, "--raw", "--image", MEDIA / "cat.jpg"], UNSUPPORTED), ([LLAMA, "--raw", "--audio", MEDIA / "speech.flac"], UNSUPPORTED),
                           ([LLAMA, "--text", "a", "--json-schema", "no-such.json"], INPUT), ([LLAMA, "--text", "a", "--regex", "("], INPUT),
                           ([LLAMA, "--text", "a", "--json-schema", '{"type":"object","patternProperties":{"a":{}}}'], UNSUPPORTED),
                           ([GOLDEN / "gemma4-a/gguf/text-bf16.gguf", "--raw", "--image", MEDIA / "cat.jpg"], UNSUPPORTED)):
            with self.subTest(args):
                out, err = muse("run", "--model", *args, *([] if len(args) > 2 else ["--raw", "--text", "a"]), code=code)
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1)

    def test_full(self):
        limit = json.loads(muse("inspect", LLAMA, "--json")[0])["context_limit"]
        prompt = ["--raw", "--ids", ",".join(["5"] * (limit - 3))]
        got = run(LLAMA, *prompt, "--max-tokens", 100)
        self.assertIn((len(got["ids"]), got["finish"]), [(3, "full"), *((i, "stop id") for i in range(1, 4))])
        muse("run", "--model", LLAMA, "--raw", "--ids", ",".join(["5"] * (limit + 1)), code=RESOURCE)

    def test_standard_output_that_is_full(self):
        with open("/dev/full", "w") as full:
            run = subprocess.run([MUSE, "run", "--model", LLAMA, "--raw", "--text", "a"], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(run.returncode, OTHER)
        self.assertIn(b"standard output", run.stderr)

    def test_interrupted(self):
        slow = ["--cpu-level", "c", "--threads", "1", "--max-tokens", "1000000"]   # some seconds, till the context is full
        p = subprocess.Popen([MUSE, "run", "--model", str(GEMMA), "--raw", "--text", "Some words", *slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = p.stdout.read(1)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, CANCELLED, err)
        self.assertEqual(len(first), 1)
        self.assertIn(b"ended by cancelled", err)


if __name__ == "__main__":
    main()
