#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lines of text, made from a seed, that try a tokenizer: scripts, marks, emoji, white space, digits, code, controls, URLs,
long words, added tokens. A line that starts with a double quote is a JSON string (so that it can hold newlines).
Left out are characters on which the peer's Unicode version and ours may differ: what this Python's Unicode (14.0 as in
PCRE2 10.42) does not know. docs/text.md says which others, and why.

usage: make_lines.py [COUNT [SEED]] > lines.txt"""
import json
import random
import sys
import unicodedata

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 6000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 20250
rng = random.Random(SEED)

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you "
         "were her all she there would their we him been has when who will more no if out so said what up its about into than them can "
         "only other new some could time these two may then do first any my now such like our over man me even most made after also did "
         "many before must through back years where much your way well down should because each just those people how too little state "
         "good very make world still own see men work long get here between both life being under never day same another know while last "
         "might us great old year off come since against go came right used take three quick brown foxes tokenizer straight "
         "internationalization unbelievably HTTP JSON parseFile getElementById snake_case_name __init__ x86_64 UTF-8").split()
CONTRACTIONS = "don't I'm we'll they've he'd it's you're I'VE HE'LL She'S 'tis rock'n'roll o'clock ''s '''re 'S 'LL' l'été d'accord n't".split()
SCRIPTS = {
    "latin": (0xC0, 0x24F), "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x52F), "armenian": (0x531, 0x58F), "hebrew": (0x591, 0x5F4),
    "arabic": (0x600, 0x6FF), "syriac": (0x700, 0x74F), "devanagari": (0x900, 0x97F), "bengali": (0x980, 0x9FE), "tamil": (0xB82, 0xBFA),
    "thai": (0xE01, 0xE5B), "lao": (0xE81, 0xEDF), "tibetan": (0xF00, 0xFDA), "myanmar": (0x1000, 0x109F), "georgian": (0x10A0, 0x10FF),
    "jamo": (0x1100, 0x11FF), "ethiopic": (0x1200, 0x139F), "cherokee": (0x13A0, 0x13FD), "khmer": (0x1780, 0x17F9),
    "mongolian": (0x1800, 0x18AA), "phonetic": (0x1D00, 0x1DFF), "greek extended": (0x1F00, 0x1FFE), "hiragana": (0x3041, 0x309F),
    "katakana": (0x30A0, 0x30FF), "bopomofo": (0x3105, 0x312F), "cjk": (0x4E00, 0x9FFC), "cjk a": (0x3400, 0x4DBF), "yi": (0xA000, 0xA48C),
    "hangul": (0xAC00, 0xD7A3), "compatibility": (0xF900, 0xFAD9), "presentation": (0xFB00, 0xFDFD), "fullwidth": (0xFF01, 0xFFEE),
    "gothic": (0x10330, 0x1034A), "math": (0x1D400, 0x1D7FF), "cjk b": (0x20000, 0x2A6DD), "tags": (0xE0020, 0xE007F),
}
SYMBOLS = [(0x2010, 0x2027), (0x2030, 0x205E), (0x20A0, 0x20C0), (0x2100, 0x214F), (0x2150, 0x218B), (0x2190, 0x22FF), (0x2460, 0x24FF),
           (0x2500, 0x257F), (0x2600, 0x27BF), (0x3001, 0x303F), (0xA1, 0xBF), (0x1F300, 0x1F64F), (0x1F680, 0x1F6FC), (0x1F900, 0x1F9FF)]
SPACES = [" ", "  ", "   ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u2000", "\u2003", "\u2009",
          "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff", "\u200b", "\u180e", "\u2060", " \n ", "\n  ", "  \r\n\t"]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓", "ⅠⅡⅢⅣⅤ", "①②③④", "¼½¾²³¹", "〇一二三", "௧௨௩", "༠༡༢"]
EMOJI = ["🙂", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "❤️", "☕", "👨🏿‍🚀", "🧑‍🦰", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🤷🏻‍♀️", "⛹️‍♂️", "🫠", "☺︎"]
CODE = ["def f(x):\n    return x ** 2  # squared\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }", "SELECT * FROM t WHERE a >= 3.14 AND b LIKE '%x%';",
        "<div class=\"a b\">&nbsp;text</div>", "\tif err != nil {\n\t\treturn err\n\t}\n", "#include <stdio.h>\r\nint main(void){return 0;}\r\n",
        "{\"key\": [1, 2.5e-3, null, true], \"k2\": \"v\\n\"}", "$x = @{a=1; b='two'} | % { $_ }", "λx. x → ∀y∈S: f(y)≠∅", "a=b?c:d;/*x*/ //y", "--flag=value -x 0xFF ~/.config && ls -la | grep 'foo'"]
ADDED = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n", "<|im_start|>system\n", "<|im_end|>\n",
         "<|endoftext|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|reserved_special_token_17|>", "<|python_tag|>", "<|vision_start|>",
         "<|", "|>", "<|im_start", "im_end|>", "<|eot_id|><|eot_id|>", "<<|im_end|>>"]


def known(c):
    return unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")


POOLS = {name: [chr(c) for c in range(a, b + 1) if known(c)] for name, (a, b) in SCRIPTS.items()}
SYMBOL_POOL = [chr(c) for a, b in SYMBOLS for c in range(a, b + 1) if known(c)]
MARKS = [chr(c) for c in range(0x300, 0x370)] + [chr(c) for c in range(0x1AB0, 0x1AFF) if known(c)] + [chr(c) for c in range(0x20D0, 0x20F1)]
ANYTHING = [chr(c) for c in range(0x80, 0x30000) if known(c)]
PRINTABLE = [chr(c) for c in range(0x20, 0x7F)]


def some(pool, low, high):
    return "".join(rng.choice(pool) for _ in range(rng.randint(low, high)))


def sentence():
    out = []
    for _ in range(rng.randint(1, 18)):
        w = rng.choice(WORDS) if rng.random() < 0.85 else rng.choice(CONTRACTIONS)
        r = rng.random()
        out.append(w.upper() if r < 0.05 else w.capitalize() if r < 0.2 else w)
        if rng.random() < 0.15:
            out[-1] += rng.choice([",", ".", "!", "?", ";", ":", "...", "!?", ")", "'s", "'LL", "-", "—"])
    return " ".join(out)


def script():
    pool = POOLS[rng.choice(list(POOLS))]
    return " ".join(some(pool, 1, 9) for _ in range(rng.randint(1, 6)))


def marks():
    base = rng.choice(["e", "a", "o", "i", "u", "c", "n", "s", "A", "क", "あ", "ㄱ", "х", "ש", "가", " ", "1", "'", ""])
    return some([base, some(MARKS, 1, 4), "́", "̧", "̣", "゙"], 1, 12)


def spaces():
    return "".join(rng.choice([rng.choice(SPACES), rng.choice(SPACES), rng.choice(WORDS), "1", "!", "é", ""]) for _ in range(rng.randint(1, 10)))


def digits():
    return "".join(rng.choice([some(rng.choice(DIGITS), 1, 8), rng.choice([" ", ".", ",", "-", "x", "e", "年", "'"])]) for _ in range(rng.randint(1, 8)))


def url():
    return rng.choice(["https://", "http://", "ftp://", "www."]) + some("abcdefghijklmnopqrstuvwxyz0123456789-.", 3, 20) + rng.choice(
        [".com", ".org", ".de", ".co.jp"]) + "/" + some("abcABC0123%20_-~/?&=#+é", 0, 40)


def long_word():
    return rng.choice([some("abcdefghijklmnopqrstuvwxyz", 30, 600), "a" * rng.randint(20, 900), some(["ha", "ba", "lo"], 20, 300), some("ACGT", 50, 500),
                       some("=-*#_", 20, 300), "=" * rng.randint(10, 200), " " * rng.randint(5, 300) + "x", "\n" * rng.randint(3, 60), some(POOLS["cjk"], 30, 200),
                       "é" * rng.randint(10, 200), "0" * rng.randint(10, 200), "\t" * rng.randint(2, 80)])


def mixed():
    makers = [sentence, script, marks, spaces, digits, lambda: some(EMOJI, 1, 4), lambda: some(SYMBOL_POOL, 1, 6), url, lambda: rng.choice(CODE),
              lambda: some(PRINTABLE, 1, 20), lambda: rng.choice(ADDED)]
    return "".join(rng.choice(makers)() + rng.choice(["", "", " ", "\n"]) for _ in range(rng.randint(2, 5)))


MAKERS = [sentence, sentence, script, script, script, marks, spaces, spaces, digits, url, long_word, mixed, mixed, mixed,
          lambda: some(EMOJI + [" ", "\u200d", "\ufe0f"], 1, 12), lambda: some(SYMBOL_POOL, 1, 20), lambda: rng.choice(CODE), lambda: some(PRINTABLE, 1, 60),
          lambda: some(ANYTHING, 1, 20), lambda: some([chr(c) for c in range(32)] + [" ", "a"], 1, 12), lambda: some(ADDED + [" ", "x", "\n"], 1, 8)]

lines = 0
while lines < COUNT:
    text = MAKERS[lines % len(MAKERS)]()
    if not text:
        continue
    plain = text[0] != '"' and not any(c in text for c in "\n\r") and "\u2028" not in text and rng.random() < 0.6
    sys.stdout.buffer.write((text if plain else json.dumps(text, ensure_ascii=rng.random() < 0.3)).encode() + b"\n")
    lines += 1
