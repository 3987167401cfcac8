"""How many tokens a text is to each family of tokenizers: a weighted count of its kinds of characters.

No vocabulary is at hand, so what a text consists of stands for it. The weights are fitted to the tokenizers
themselves over prose in 20 languages, program text and JSON; ``docs/limits.md`` tells how far they are off.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import mul

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

# Tokens for each of: a A 0 s, two blanks in a row, n p, l g c h r, Devanagari, Thai, the rest of i,
# Vietnamese, the rest of v, u k j o f e. By least squares on the relative error, none below zero.
# fmt: off
_WEIGHTS = {
    "gpt": (
        0.19, 0.22, 1.00, 0.20, 0.00, 1.10, 0.44, 1.33, 0.39, 0.30, 0.41, 0.36,
        0.35, 0.42, 0.37, 0.16, 0.52, 1.77, 0.76, 0.83, 0.72, 0.75, 2.29,
    ),
    "llama": (
        0.21, 0.23, 1.05, 0.19, 0.00, 1.00, 0.39, 1.40, 0.41, 0.33, 1.11, 0.43,
        0.61, 0.49, 1.45, 0.10, 1.98, 2.35, 0.67, 0.84, 0.76, 0.89, 3.53,
    ),
    "qwen": (
        0.24, 0.24, 1.64, 0.09, 0.10, 0.87, 0.36, 0.45, 1.01, 0.42, 0.40, 0.46,
        1.14, 0.59, 1.23, 0.73, 1.35, 2.94, 0.74, 0.63, 0.86, 0.89, 1.59,
    ),
    "gemma": (
        0.18, 0.27, 1.32, 0.21, 0.00, 1.58, 0.60, 1.03, 0.39, 0.27, 0.50, 0.37,
        0.26, 0.32, 0.25, 0.22, 0.47, 1.26, 0.43, 0.67, 0.64, 0.76, 1.41,
    ),
    "deepseek": (
        0.21, 0.38, 0.89, 0.12, 0.02, 1.06, 0.51, 1.82, 0.52, 0.36, 0.50, 0.45,
        0.67, 0.37, 0.53, 0.80, 1.02, 1.72, 0.71, 0.56, 0.84, 0.76, 2.41,
    ),
    "mistral": (
        0.19, 0.37, 1.47, 0.20, 0.00, 1.08, 0.47, 1.67, 0.42, 0.32, 0.47, 0.34,
        0.41, 0.53, 0.45, 0.10, 1.37, 1.60, 0.64, 0.95, 0.67, 0.64, 5.41,
    ),
}
# fmt: on
TOKENIZERS = (*_WEIGHTS, "other")
OTHER = len(_WEIGHTS)
"""The place of tokenizers that nobody measured: the mean of those that were."""

_ROWS = (*_WEIGHTS.values(), tuple(sum(column) / OTHER for column in zip(*_WEIGHTS.values(), strict=True)))

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


@lru_cache(maxsize=4096)
def tokenizer_of(model: str) -> int:
    """Return the place in ``TOKENIZERS`` of the tokenizer of *model*, told by its name."""
    name = model.lower()
    told = next((family for part, family in _NAMED if part in name), "other")
    return TOKENIZERS.index(told)


class Sizes:
    """The tokens that a text is to each of ``TOKENIZERS``, worked out as they are asked for.

    A call needs those of one or two; whose they will be is not known when its text is read.
    """

    __slots__ = ("_around", "_counts", "_known", "_scale")

    def __init__(self, text: bytes, around: int = 0) -> None:
        """Count the kinds of characters of *text*, in UTF-8; so many tokens are *around* it."""
        if len(text) <= SAMPLED:
            self._counts, self._scale = _counted(text), MARGIN
        else:
            self._counts, self._scale = _counted(_sample(text)), MARGIN * len(text) / SAMPLED
        self._around = around
        self._known: dict[int, int] = {}

    def of_text(self, tokenizer: int) -> float:
        """Return the tokens of the text by the *tokenizer* at that place: likely a little less."""
        tokens: float = sum(map(mul, self._counts, _ROWS[tokenizer]))
        return self._scale * tokens

    def __getitem__(self, tokenizer: int) -> int:
        """Return all tokens by the *tokenizer* at that place."""
        known = self._known.get(tokenizer)
        if known is None:
            known = self._known[tokenizer] = int(self.of_text(tokenizer)) + 1 + self._around
        return known

    def __iter__(self) -> Iterator[int]:
        """Return the tokens by each tokenizer."""
        return map(self.__getitem__, range(len(_ROWS)))


def _sample(text: bytes) -> bytes:
    size = SAMPLED // _SLICES
    step = (len(text) - size) / (_SLICES - 1)
    return b"".join([text[round(i * step) : round(i * step) + size] for i in range(_SLICES)])


def _counted(text: bytes) -> Sequence[int]:
    """Return how often each kind of character occurs in *text*: a few passes over ever less of it."""
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
    if text.isascii():
        small = len(text) - len(marked)
        return small, capitals, digits, single, pairs, ends, marks
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
    return (
        *(small, capitals, digits, single, pairs, ends, marks),
        *(latin, greek, cyrillic, hebrew, arabic),
        *(hindi, thai, max(0, indic - hindi - thai), vietnamese, max(0, other - vietnamese)),
        *(symbols, kana, chinese, korean, full, pictures),
    )
