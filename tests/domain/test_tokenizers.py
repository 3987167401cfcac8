"""Estimates of tokens: near the tokenizers themselves, whatever the script, however long the text."""

import math
import re
from operator import mul

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from freeroute.domain import tokenizers
from freeroute.domain.tokenizers import MARGIN, MOST_APART, OTHER, SAMPLED, TOKENIZERS, tokenizer_of
from freeroute.domain.usage import TOKENS_PER_IMAGE, Demand, demand_of

# What the tokenizers of gpt-oss, Llama 3, Qwen 3, Gemma 3, DeepSeek V3 and Mistral (Tekken) count.
COUNTED = [
    (
        (
            "Everyone is entitled to all the rights and freedoms set forth in this Declaration, "
            "without distinction of any kind, such as race, colour, sex, language, religion, "
            "political or other opinion, national "
        ),
        (40, 40, 40, 40, 40, 41),
    ),
    (
        (
            "Jeder hat Anspruch auf die in dieser Erklärung verkündeten Rechte und Freiheiten ohne "
            "irgendeinen Unterschied, etwa nach Rasse, Hautfarbe, Geschlecht, Sprache, Religion, "
            "politischer oder sonstiger Übe"
        ),
        (44, 54, 54, 43, 51, 45),
    ),
    (
        (
            "Каждый человек должен обладать всеми правами и всеми свободами, провозглашенными "
            "настоящей Декларацией, без какого бы то ни было различия, как-то в отношении расы, "
            "цвета кожи, пола, языка, религии, по"
        ),
        (54, 64, 67, 55, 60, 60),
    ),
    (
        (
            "人人有思想、良心和宗教自由的权利;此项权利包括改变他的宗教或信仰的自由,以及单独或集体、公"
            "开或秘密地以教义、实践、礼拜和戒律表示他的宗教或信仰的自由。"
        ),
        (63, 63, 48, 52, 46, 67),
    ),
    (
        (
            "وفضلاً عما تقدم فلن يكون هناك أي تمييز أساسه الوضع السياسي أو القانوني أو الدولي لبلد "
            "أو البقعة التي ينتمي إليها الفرد سواء كان هذا البلد أو تلك البقعة مستقلاً أو تحت "
            "الوصاية أو غير متمتع بالحكم الذات"
        ),
        (59, 69, 68, 62, 68, 50),
    ),
    (
        (
            "सभी को इस घोषणा में सन्निहित सभी अधिकारों और आज़ादियों को प्राप्त करने का हक़ है और इस "
            "मामले में जाति, वर्ण, लिंग, भाषा, धर्म, राजनीति या अन्य विचार-प्रणाली, किसी देश या समाज "
            "विशेष में जन्म, सम्पत्ति या"
        ),
        (61, 102, 187, 54, 106, 67),
    ),
    (
        (
            "อนึ่งจะไม่มีความแตกต่างใด ๆ ตามมูลฐานแห่งสถานะทางการเมือง ทางการศาล "
            "หรือทางการระหว่างประเทศของประเทศหรือดินแดนที่บุคคลสังกัด ไม่ว่าดินแดนนี้จะเป็นเอกราช "
            "อยู่ในความพิทักษ์มิได้ปกครองตนเอง หรืออยู่ภายใต"
        ),
        (78, 80, 95, 61, 63, 94),
    ),
    (
        (
            "すべての人は、憲法又は法律によって与えられた基本的権利を侵害する行為に対し、権限を有する"
            "国内裁判所による効果的な救済を受ける権利を有する。"
        ),
        (64, 50, 53, 34, 44, 52),
    ),
    (
        (
            "모든 사람은 헌법 또는 법률이 부여한 기본적 권리를 침해하는 행위에 대하여 권한있는 "
            "국내법정에서 실효성 있는 구제를 받을 권리를 가진다."
        ),
        (45, 47, 48, 41, 50, 36),
    ),
    (
        (
            'def sliding(events: list[float], span: float, now: float) -> int:\n    """Count the '
            'events of the last *span* seconds."""\n    while events and events[0] <= now - '
            "span:\n        events.pop(0)\n    return len(events)\n"
        ),
        (56, 55, 55, 64, 58, 58),
    ),
    (
        (
            '[{"id": 481516, "name": "Alice", "score": 97.25, "ok": true, "at": '
            '"2026-11-21T09:00:00Z"}, {"id": 234, "name": "Bob", "score": 3.5, "ok": false, "at": '
            '"2026-11-22T10:30:00Z"}]'
        ),
        (89, 89, 111, 111, 89, 111),
    ),
]


def sizes_of(text: bytes) -> list[int]:
    return [size - 1 for size in tokenizers.sizes_of(text).every()]


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_each_tokenizers_count_is_met_within_a_third(text: str, counted: tuple[int, ...]):
    for estimate, real in zip(sizes_of(text.encode()), counted, strict=False):
        assert 2 / 3 < estimate / real < 3 / 2
    mean = sum(sizes_of(text.encode())[:OTHER]) / OTHER
    assert sizes_of(text.encode())[OTHER] == pytest.approx(mean, abs=1)


def test_pictures_and_rare_scripts_take_some_tokens_a_character():
    for text in ("😀🎉👍", "ქართული", "தமிழ்", "ελληνικά", "עברית"):
        assert len(text) / 4 < sizes_of(text.encode())[OTHER] < len(text) * 4


@pytest.mark.parametrize(
    "text", ["The quick brown fox jumps. ", "Привет, мир! ", "世界人权宣言。", "a" * 5 + "é"]
)
def test_a_long_text_is_judged_by_parts_of_all_of_it(text: str):
    short, long = sizes_of((text * 40).encode()), sizes_of((text * 40_000).encode())
    assert len(text.encode()) * 40_000 > SAMPLED
    for few, many in zip(short, long, strict=True):
        assert many / few == pytest.approx(1000, rel=0.1)


def test_a_text_that_changes_half_way_is_judged_by_both_halves():
    one, other = b"plain words of prose " * 50_000, "世界人权宣言".encode() * 50_000
    whole = sizes_of(one + other)[0]
    assert whole == pytest.approx(sizes_of(one)[0] + sizes_of(other)[0], rel=0.1)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_there_are_neither_less_than_none_nor_many_more_tokens_than_bytes(text: bytes):
    assert all(0 <= size <= 6 * len(text) and math.isfinite(size) for size in sizes_of(text))


@given(st.one_of(st.text(max_size=300).map(str.encode), st.binary(max_size=300)))
def test_weighed_in_whole_numbers_a_text_is_what_it_is_in_hundredths(text: bytes):
    sizes = tokenizers.sizes_of(text)
    for place, weights in enumerate(tokenizers._WEIGHTS.values()):
        tokens = MARGIN * sum(map(mul, (*sizes.ascii, *sizes.beyond), weights)) / 100
        assert tokens - 1e-6 < sizes.of(place) <= tokens + 1 + 1e-6


@given(st.one_of(st.text(max_size=300).map(str.encode), st.binary(max_size=300)), st.integers(0, 500))
def test_no_tokenizer_counts_more_than_so_many_times_the_mean(text: bytes, around: int):
    sizes = tokenizers.sizes_of(text, around)
    assert max(sizes.every()) <= MOST_APART * (sizes.of(OTHER) + 1)


# What the tokenizers of gpt-oss, Llama 3, Qwen 3 and Gemma 3 count.
RULED = [
    ("=" * 4000, (62, 63, 63, 250)),
    ("-" * 80, (1, 1, 1, 5)),
    ("." * 4000, (63, 63, 63, 250)),
    (" " * 4000, (32, 32, 32, 130)),
    ("\n" * 4000, (250, 125, 125, 130)),
    ("\t" * 4000, (250, 250, 250, 130)),
    ("\u2500" * 4000, (250, 500, 500, 250)),
    (("|" + "-" * 100) * 60, (180, 180, 180, 480)),
    (("=" * 80 + "\n") * 60, (120, 120, 120, 360)),
    (("|" + " " * 30 + "|" + " " * 30 + "|\n") * 60, (300, 300, 300, 360)),
    ((" " * 64 + "return x\n") * 60, (240, 240, 240, 360)),
]


@pytest.mark.parametrize(("text", "counted"), RULED)
def test_what_rules_and_indents_a_page_is_few_tokens(text: str, counted: tuple[int, ...]):
    estimates = sizes_of(text.encode())
    for estimate, real in zip(estimates, counted, strict=False):
        assert 2 / 3 * real < estimate < max(4 * real, len(text) / 10)


@given(st.text(max_size=100), st.text(max_size=100))
def test_more_text_is_no_fewer_tokens(text: str, more: str):
    assume(not re.search(r"(.)\1{15}", text + more, re.DOTALL))  # a run is less than its beginning
    for few, many in zip(sizes_of(text.encode()), sizes_of((text + more).encode()), strict=True):
        assert many >= few - 1  # two blanks that meet count as one


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [
        ("gpt-oss-120b", "gpt"),
        ("Llama-3.3-70b", "llama"),
        ("llama-3.1-nemotron-70b", "llama"),
        ("nemotron-3-super", "mistral"),
        ("deepseek-r1-distill-qwen-32b", "deepseek"),
        ("qwen3.8-27b", "qwen"),
        ("gemini-3.8-flash", "gemma"),
        ("gemma-4-31b", "gemma"),
        ("ministral-8b", "mistral"),
        ("codestral-2508", "mistral"),
        ("glm-5", "other"),
    ],
)
def test_a_models_name_tells_its_tokenizer(model: str, tokenizer: str):
    assert TOKENIZERS[tokenizer_of(model)] == tokenizer


def test_a_demand_knows_the_prompt_by_each_tokenizer():
    demand = demand_of(b"Hello there, how are you today?", messages=2, images=1, max_output=7)
    assert demand.prompt == demand.prompt_of(OTHER)
    assert len(demand.every()) == len(TOKENIZERS)
    assert TOKENS_PER_IMAGE + 8 + 6 < demand.prompt < TOKENS_PER_IMAGE + 8 + 14
    assert demand.max_output == 7
    assert Demand(5).prompt_of(OTHER) == 5
    assert Demand(5).every() == (5,) * len(TOKENIZERS)
    assert demand.longer(3).prompt_of(0) == demand.prompt_of(0) + 3
    assert demand.longer(3).prompt == demand.prompt + 3
