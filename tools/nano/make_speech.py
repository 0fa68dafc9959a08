#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speaks the questions of muse worlds once, for training: FOLDER/clips.bin (docs/worlds.md, "Speech").

usage: make_speech.py FOLDER [--nano-clips PROGRAM] [--questions 8000] [--pairs 5000] [--samples 4000] [--seed 1] [--voices train|held-out]
The commonest questions of so many samples of each world, each by one voice and the first fifth by three more; of those that name
two things, which are too many to be common, so many by lot; words and names by several. Voices, pace and pitch are those of tools/worlds/speak.py. libespeak-ng is called as a library: a program a clip would take
twice as long or more. The same library, worlds and seed give the same file."""
import argparse
import collections
import ctypes
import ctypes.util
import importlib.util
import pathlib
import random
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MARKS = ".?!"
# Class of a sound: 1 + where the first letter of espeak-ng's name of it stands; all else is silence. At most 47.
PHONES = "pbtdkgfvTDszSZhmnNlLrRwjxaAeEiIoOuUV@03&C?qyYQW"


def load_speak():
    spec = importlib.util.spec_from_file_location("speak", HERE.parent / "worlds" / "speak.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- espeak-ng's library: speak_lib.h ----

class Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("id", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int), ("ms", ctypes.c_int),
                ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("name", ctypes.c_char * 8)]


class Voice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("languages", ctypes.c_char_p), ("identifier", ctypes.c_char_p), ("gender", ctypes.c_ubyte),
                ("age", ctypes.c_ubyte), ("variant", ctypes.c_ubyte), ("x", ctypes.c_ubyte), ("score", ctypes.c_int), ("spare", ctypes.c_void_p)]


FILLED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
SYNCHRONOUS, PHONEME_EVENTS, UTF8, RATE, PITCH, PHONEME = 2, 1, 1, 1, 3, 7


class Speaker:
    def __init__(self):
        try:
            self.lib = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        except OSError as e:
            sys.exit(f"make_speech.py: libespeak-ng is needed (package espeak-ng): {e}")
        self.rate = self.lib.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS)
        if self.rate <= 0:
            sys.exit("make_speech.py: espeak-ng does not start: its data are missing")
        self.pcm, self.sounds = bytearray(), []
        self.filled = FILLED(self.take)
        self.lib.espeak_SetSynthCallback(self.filled)

    def take(self, samples, n, events):
        if n > 0:
            self.pcm += ctypes.string_at(samples, 2 * n)
        i = 0
        while events[i].type:
            if events[i].type == PHONEME:
                self.sounds.append((events[i].ms, bytes(events[i].name).decode(errors="replace")))
            i += 1
        return 0

    def say(self, text, voice, pace, pitch):
        """samples, and the class of the sound at each 10 ms"""
        self.pcm.clear()
        self.sounds.clear()
        name = voice.encode()
        if self.lib.espeak_SetVoiceByName(name) and self.lib.espeak_SetVoiceByProperties(ctypes.byref(Voice(languages=name))):
            sys.exit(f"make_speech.py: espeak-ng has no voice {voice}")
        self.lib.espeak_SetParameter(RATE, pace, 0)
        self.lib.espeak_SetParameter(PITCH, pitch, 0)
        said = text.encode() + b"\0"
        self.lib.espeak_Synth(said, len(said), 0, 1, 0, UTF8, None, None)
        self.lib.espeak_Synchronize()
        if len(self.pcm) < 200:
            sys.exit(f"make_speech.py: espeak-ng can't say {text!r} as {voice}")
        columns = bytearray(len(self.pcm) * 100 // (2 * self.rate) + 1)
        for (ms, name), (end, _) in zip(self.sounds, self.sounds[1:] + [(10 * len(columns), "")]):
            kind = PHONES.find(name[:1]) + 1 if name else 0
            for t in range((ms + 5) // 10, min(len(columns), (end + 5) // 10)):
                columns[t] = kind
        return bytes(self.pcm), bytes(columns)


# ---- what is said ----

def key(text):
    """as nano_clip_key() in clips.c"""
    return text.strip().rstrip(MARKS + " ").lower().replace("grey", "gray").replace("colour", "color")


def proper(text):
    """one spelling, first letter large, a mark at the end"""
    text = text.strip().replace("grey", "gray").replace("Grey", "Gray").replace("colour", "color").replace("Colour", "Color")
    return text[:1].upper() + text[1:] + ("" if text[-1:] in MARKS else "?")


def name_pattern():
    """names such as small red star, green letter K"""
    colors = "red green blue yellow orange purple cyan pink gray black white".split()
    kinds = "circle square triangle star cross diamond hexagon heart thing object disc bar slice".split()
    return re.compile(rf"\b(?:(?:small|medium|large|big|little|medium-sized) )?(?:(?:{'|'.join(colors)}) )?(?:{'|'.join(k + 's?' for k in kinds)}|(?:letter|digit) \w)(?![\w-])")


def names_in(questions):
    """words, and names"""
    name = name_pattern()
    words, names = collections.Counter(), collections.Counter()
    for q, n in questions.items():
        bare = q.rstrip(MARKS)
        words.update(w if w.isupper() or w.isdigit() else w.lower() for w in re.findall(r"[\w'-]+", bare[:1].lower() + bare[1:]))
        names.update(name.findall(bare))
    return [w for w, _ in words.most_common() if w != "a"], [t for t, _ in names.most_common()]


def clips(questions, pairs, rng, voices):
    """(text, voice) of every clip"""
    order = [q for q, _ in questions.most_common()]
    words, names = names_in(questions)
    words += [str(n) for n in range(21) if str(n) not in words]
    jobs = [(q, n) for k, q in enumerate(order) for n in range(4 if k < len(order) // 5 else 1)] + [(q, 0) for q in pairs]
    jobs += [(w, n) for w in words for n in range(6)] + [(t, n) for t in names[:1200] for n in range(2)]
    rng.shuffle(jobs)
    return [(text, rng.choice(voices)) for text, _ in jobs]


def read_questions(program, wanted, pairs, samples, seed, rng):
    """the commonest, counted; some of the others that name two things"""
    made = subprocess.run([program, "texts", str(samples), str(seed)], capture_output=True, text=True)
    if made.returncode:
        sys.exit(f"make_speech.py: {made.stderr.strip()}")
    heard, shown = collections.Counter(), {}
    for line in made.stdout.splitlines():
        heard[key(line)] += 1
        shown.setdefault(key(line), collections.Counter())[proper(line)] += 1
    best = sorted(heard, key=lambda k: (-heard[k], k))[:wanted]
    print(f"{len(heard)} different questions; the {len(best)} commonest are {100 * sum(heard[k] for k in best) / sum(heard.values()):.1f} % of all asked", file=sys.stderr)
    text = {k: max(sorted(shown[k]), key=shown[k].__getitem__) for k in heard}
    name = name_pattern()
    others = [k for k in sorted(heard.keys() - set(best)) if len(name.findall(text[k])) > 1]
    print(f"{len(others)} others name two things", file=sys.stderr)
    return collections.Counter({text[k]: heard[k] for k in best}), [text[k] for k in rng.sample(others, min(pairs, len(others)))]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("--nano-clips", default="build/tools/nano/nano_clips")
    args.add_argument("--questions", type=int, default=8000)
    args.add_argument("--pairs", type=int, default=5000)
    args.add_argument("--samples", type=int, default=4000)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--voices", choices=["train", "held-out"], default="train")
    o = args.parse_args()
    speak = load_speak()
    rng = random.Random(f"{o.seed}/{o.voices}")
    voices = [f"{a}+{v}" for a in speak.ACCENTS for v in speak.VARIANTS[o.voices]]
    jobs = clips(*read_questions(o.nano_clips, o.questions, o.pairs, o.samples, o.seed, rng), rng, voices)
    o.folder.mkdir(parents=True, exist_ok=True)
    part = o.folder / "clips.bin.part"
    speaker = Speaker()
    with subprocess.Popen([o.nano_clips, "pack", str(part)], stdin=subprocess.PIPE) as packer:
        try:
            for text, voice in jobs:
                pcm, sounds = speaker.say(text, voice, rng.randint(120, 210), rng.randint(25, 75))
                packer.stdin.write(f"{speaker.rate} {len(pcm) // 2} {len(sounds)} {text}\n".encode() + pcm + sounds)
        except BrokenPipeError:   # it says why
            pass
        packer.stdin.close()
    if packer.returncode:
        sys.exit("make_speech.py: packing failed")
    part.rename(o.folder / "clips.bin")


main()
