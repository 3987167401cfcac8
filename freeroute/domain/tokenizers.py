"""How many tokens a text is to each family of tokenizers: a weighted count of its kinds of characters.

No vocabulary is at hand, so what a text consists of stands for it. The weights are fitted to the tokenizers
themselves over prose in 20 languages, program text and JSON; ``docs/limits.md`` tells how far they are off.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import mul

from msgspec import Struct

# A text longer than this, in bytes, is judged by as many bytes, taken evenly from all of it. Own design: the
# count takes 100 to 200 µs at most, however long the prompt.
SAMPLED = 16 * 1024
_SLICES = 64
# Estimates are meant to be a little high: a few tokens too many cost room, too few a refused call.
MARGIN = 1.05

# What each byte of UTF-8 counts as: letters a to z, capitals A, digits 0, blanks s, line ends and tabs n,
# punctuation p; by its first byte a character beyond ASCII: accented Latin l, Greek g, Cyrillic c, Hebrew and
# Armenian h, Arabic r, India's and Thailand's i, further Asian ones and Vietnamese v, typography and symbols
# u, kana k, Chinese characters j, Korean o, full-width f, pictures e. What follows a first byte is no more.
_BANDS = (
    (b"\t\n\r", "n"),
    (b" ", "s"),
    (range(0x21, 0x7F), "p"),
    (range(0x30, 0x3A), "0"),
    (range(0x41, 0x5B), "A"),
    (range(0x61, 0x7B), "a"),
    (range(0xC2, 0xCE), "l"),
    (range(0xCE, 0xD0), "g"),
    (range(0xD0, 0xD4), "c"),
    (range(0xD4, 0xD8), "h"),
    (range(0xD8, 0xE0), "r"),
    (range(0xE0, 0xE1), "i"),
    (range(0xE1, 0xE2), "v"),
    (range(0xE2, 0xE3), "u"),
    (range(0xE3, 0xE4), "k"),
    (range(0xE4, 0xEA), "j"),
    (range(0xEA, 0xEE), "o"),
    (range(0xEE, 0xF0), "f"),
    (range(0xF0, 0xF5), "e"),
)


def _classes() -> bytes:
    table = bytearray(b"-" * 256)
    for codes, kind in _BANDS:
        for code in codes:
            table[code] = ord(kind)
    return bytes(table)


_CLASSES = _classes()
# Letters are most of any text, and what follows a first byte is known by it: both are told by what is left.
_COMMON = bytes(range(0x61, 0x7B)) + bytes(range(0x80, 0xC0))
_ASCII = b"A0snp-"
# By how many bytes a character has.
_TWO = (b"l", b"g", b"c", b"h", b"r")
_THREE = (b"i", b"v", b"u", b"k", b"j", b"o", b"f")

# Of what rules and indents a page one token holds 16 (Gemma) to 64 (most) in a row, of blanks 31 to 128: each
# 16 count as so few that they come to about one token.
_RUN = 16
_RULES = tuple([bytes([mark]) * _RUN for mark in b"-=*_#.~"])
_LINE = "\u2500".encode() * _RUN
_ENDS = (b"\n" * _RUN, b"\t" * _RUN)
_BLANKS = b" " * _RUN
_RUN_OF_ENDS, _RUN_OF_MARKS = b"n" * _RUN, b"p" * _RUN  # of kinds
_LEFT_OF_RULE = 2
_LEFT_OF_ENDS = 1
_LEFT_OF_BLANKS = 4

# Tokens for a hundred of each: a A 0 s, two blanks in a row, n p, l g c h r, Devanagari, Thai, the rest of i,
# Vietnamese, the rest of v, u k j o f e. By least squares on the relative error, none below zero.
# fmt: off
_WEIGHTS = {
    "gpt": (
        19, 22, 100, 20, 0, 110, 44, 133, 39, 30, 41, 36,
        35, 42, 37, 16, 52, 177, 76, 83, 72, 75, 229,
    ),
    "llama": (
        21, 23, 105, 19, 0, 100, 39, 140, 41, 33, 111, 43,
        61, 49, 145, 10, 198, 235, 67, 84, 76, 89, 353,
    ),
    "qwen": (
        24, 24, 164, 9, 10, 87, 36, 45, 101, 42, 40, 46,
        114, 59, 123, 73, 135, 294, 74, 63, 86, 89, 159,
    ),
    "gemma": (
        18, 27, 132, 21, 0, 158, 60, 103, 39, 27, 50, 37,
        26, 32, 25, 22, 47, 126, 43, 67, 64, 76, 141,
    ),
    "deepseek": (
        21, 38, 89, 12, 2, 106, 51, 182, 52, 36, 50, 45,
        67, 37, 53, 80, 102, 172, 71, 56, 84, 76, 241,
    ),
    "mistral": (
        19, 37, 147, 20, 0, 108, 47, 167, 42, 32, 47, 34,
        41, 53, 45, 10, 137, 160, 64, 95, 67, 64, 541,
    ),
}
# fmt: on
TOKENIZERS = (*_WEIGHTS, "other")
OTHER = len(_WEIGHTS)
"""The place of tokenizers that nobody measured: the mean of those that were."""

# In whole numbers, which are multiplied in a third of the time: those of the mean are the sums of all.
_SCALE = MARGIN / (100 * OTHER)
_ROWS = (
    *[tuple([OTHER * weight for weight in row]) for row in _WEIGHTS.values()],
    tuple(map(sum, zip(*_WEIGHTS.values(), strict=True))),
)
MOST_APART = max(OTHER * max(kind) / sum(kind) for kind in zip(*_WEIGHTS.values(), strict=True))
"""Times the mean of all tokenizers that any of them may count at most, whatever the text."""
_KINDS_OF_ASCII = 7
_OF_ASCII = [row[:_KINDS_OF_ASCII] for row in _ROWS]
_BEYOND = [row[_KINDS_OF_ASCII:] for row in _ROWS]

# Names that tell a family; the first one found counts. Nemotron speaks Mistral's, unless made from a Llama.
_NAMED = (
    ("deepseek", "deepseek"),
    ("llama", "llama"),
    ("qwen", "qwen"),
    ("qwq", "qwen"),
    ("gemma", "gemma"),
    ("gemini", "gemma"),
    ("nemotron", "mistral"),
    ("stral", "mistral"),
    ("mixtral", "mistral"),
    ("gpt", "gpt"),
)


_Ascii = tuple[int, int, int, int, int, int, int]
_NONE_BEYOND: Sequence[int] = ()


@lru_cache(maxsize=4096)
def tokenizer_of(model: str) -> int:
    """Return the place in ``TOKENIZERS`` of the tokenizer of *model*, told by its name."""
    name = model.lower()
    told = next((family for part, family in _NAMED if part in name), "other")
    return TOKENIZERS.index(told)


class Sizes(Struct):
    """The tokens that a text is to each of ``TOKENIZERS``, by its place, worked out as they are asked for.

    A call needs those of one or two; whose they will be is not known when its text is read. Of the text
    there are the counts of its kinds of characters, *ascii* and those *beyond*, to be taken times *scale*;
    so many tokens are *around* it.
    """

    ascii: _Ascii
    beyond: Sequence[int]
    scale: float
    around: int = 0
    known: dict[int, int] = {}

    def of(self, tokenizer: int) -> int:
        """Return all tokens by the *tokenizer* at that place."""
        size = self.known.get(tokenizer)
        if size is None:
            size = self.known[tokenizer] = self.anew(tokenizer)
        return size

    def anew(self, tokenizer: int) -> int:
        """Return the same, for who asks but once."""
        small, capitals, digits, blanks, pairs, ends, marks = self.ascii
        a, b, c, d, e, f, g = _OF_ASCII[tokenizer]  # written out: every call comes here
        tokens = small * a + capitals * b + digits * c + blanks * d + pairs * e + ends * f + marks * g
        if self.beyond:
            tokens += sum(map(mul, self.beyond, _BEYOND[tokenizer]))
        return int(self.scale * tokens) + 1 + self.around

    def every(self) -> tuple[int, ...]:
        """Return the tokens by each tokenizer."""
        return tuple([self.of(place) for place in range(len(_ROWS))])

    def longer(self, tokens: int) -> "Sizes":
        """Return the same with so many *tokens* more around the text."""
        return Sizes(self.ascii, self.beyond, self.scale, self.around + tokens)


def sizes_of(text: bytes, around: int = 0) -> Sizes:
    """Count the kinds of characters of *text*, in UTF-8; so many tokens are *around* it.

    It takes a few passes over ever less of it.
    """
    scale = _SCALE
    if len(text) > SAMPLED:
        scale *= len(text) / SAMPLED
        text = _sample(text)
    marked = text.translate(_CLASSES, _COMMON)
    count = marked.count
    capitals, marks, single, pairs = count(b"A"), count(b"p"), count(b"s"), text.count(b"  ")
    digits = ends = 0
    if capitals + marks + single < len(marked):  # a short text often has nothing else
        digits, ends = count(b"0"), count(b"n")
    if pairs:
        wide = (_RUN - _LEFT_OF_BLANKS) * text.count(_BLANKS)
        pairs -= wide // 2
        single -= wide + pairs
    if ends >= _RUN and _RUN_OF_ENDS in marked:
        ends -= (_RUN - _LEFT_OF_ENDS) * sum(map(text.count, _ENDS))
    if marks >= _RUN and _RUN_OF_MARKS in marked:
        marks -= (_RUN - _LEFT_OF_RULE) * sum(map(text.count, _RULES))
    small, beyond = len(text) - len(marked), _NONE_BEYOND
    if not text.isascii():
        small, beyond = _beyond(text, marked)
    return Sizes((small, capitals, digits, single, pairs, ends, marks), beyond, scale, around)


def _sample(text: bytes) -> bytes:
    size = SAMPLED // _SLICES
    step = (len(text) - size) / (_SLICES - 1)
    return b"".join([text[start : start + size] for start in [round(i * step) for i in range(_SLICES)]])


def _beyond(text: bytes, marked: bytes) -> tuple[int, Sequence[int]]:
    """Return how many small letters *text* has, and how many characters of each kind beyond ASCII.

    *marked* are the kinds of its bytes, those of the common ones left out.
    """
    beyond = marked.translate(None, _ASCII)
    latin, greek, cyrillic, hebrew, arabic = two = [beyond.count(kind) for kind in _TWO]
    indic, other, symbols, kana, chinese, korean, full = three = [beyond.count(kind) for kind in _THREE]
    pictures = beyond.count(b"e")
    hindi = thai = vietnamese = 0
    if indic:
        hindi = text.count(b"\xe0\xa4") + text.count(b"\xe0\xa5")
        thai = text.count(b"\xe0\xb8") + text.count(b"\xe0\xb9")
    if other:
        vietnamese = text.count(b"\xe1\xba") + text.count(b"\xe1\xbb")
    small = max(0, len(text) - len(marked) - sum(two) - 2 * sum(three) - 3 * pictures)
    if symbols >= _RUN:
        symbols -= (_RUN - _LEFT_OF_RULE) * text.count(_LINE)
    return small, (
        *(latin, greek, cyrillic, hebrew, arabic),
        *(hindi, thai, max(0, indic - hindi - thai), vietnamese, max(0, other - vietnamese)),
        *(symbols, kana, chinese, korean, full, pictures),
    )
