import pytest

from bot.errors import BadRequest
from bot.safety import check


def is_refused(prompt: str, *blocked: str) -> bool:
    try:
        check(prompt, blocked)
    except BadRequest:
        return True
    return False


@pytest.mark.parametrize(
    "prompt", ["", "   ", "\n\t", "...", "?!", "--- ~ ---", "\u200b\u2060\ufeff", "\u3164", "\u2800"]
)
def test_a_prompt_that_says_nothing_is_refused(prompt: str) -> None:
    with pytest.raises(BadRequest, match=r"says nothing\. .*nothing was charged"):
        check(prompt, [])


@pytest.mark.parametrize(
    "prompt",
    [
        "a",
        "360",
        "🌊🔥",
        "カメラがゆっくりズームする",
        "镜头慢慢拉近",
        "कैमरा धीरे-धीरे घूमता है",
        "กล้องค่อยๆ ซูมเข้า",
        "الكاميرا تقترب ببطء",
        "המצלמה מתקרבת",
        "카메라가 천천히 다가간다",
        "Камера медленно приближается",
    ],
)
def test_a_prompt_in_any_script_passes(prompt: str) -> None:
    check(prompt, ["nude", "裸体", "गंदा"])


@pytest.mark.parametrize(
    "prompt",
    [
        "nude",
        "a nude figure",
        "NUDE!",
        "Nude, at dawn",
        "(nude)",
        "nude's",
        "semi-nude",
        "nu\u200bde",
        "n\u00adu\u2060d\ufeffe",
        "nu\ufe0fde",
        "n\u034fude",
        "núdé",
        "nu\u0336d\u0336e",
        "n\u20ddude",
        "\uff4e\uff55\uff44\uff45",
        "\U0001d4f7\U0001d4fe\U0001d4ed\U0001d4ee",
        "ⓝⓤⓓⓔ",
        "zoom\nnude\nzoom",
    ],
)
def test_a_blocked_word_is_found_however_it_is_written(prompt: str) -> None:
    assert is_refused(prompt, "Nude")


@pytest.mark.parametrize("prompt", ["denuded hills", "nudes", "nudé1", "nu de", "un de nu", "noodle"])
def test_a_blocked_word_is_not_found_inside_another(prompt: str) -> None:
    assert not is_refused(prompt, "nude")


@pytest.mark.parametrize(
    ("prompt", "blocked", "refused"),
    [
        ("in the real  Madrid", "real madrid", True),
        ("a really mad rider", "real mad", False),
        ("real-madrid wins", "real madrid", True),
        ("C'est la fête", "FETE", True),
        ("Die Straße", "strasse", True),
        ("ДЕТИ играют", "дети", True),
        ("美しい裸体の絵", "裸体", True),
        ("裸の体", "裸体", False),
        ("お墓まいり はか", "ばか", False),
        ("ばかだ", "ばか", True),
        ("ﾊﾞｶ", "バカ", True),
        ("काला", "कल", False),
        ("गंदा है", "गंदा", True),
        ("ภาพโป๊มาก", "โป๊", True),
        ("مَمْنُوع", "ممنوع", True),
        ("ممـــنوع", "ممنوع", True),
        ("a 🍆 grows", "🍆", True),
        ("a 🖕🏽", "🖕", True),
        ("🌊", "🔥", False),
    ],
)
def test_blocked_phrases_scripts_and_signs(prompt: str, blocked: str, *, refused: bool) -> None:
    assert is_refused(prompt, blocked) is refused


@pytest.mark.parametrize("blocked", ["", "  ", "...", "\u200b"])
def test_a_blocked_word_without_letters_blocks_nothing(blocked: str) -> None:
    assert not is_refused("a slow zoom", blocked)


def test_any_of_the_blocked_words_is_enough_and_none_of_them_is_named() -> None:
    with pytest.raises(BadRequest, match="nothing was charged") as caught:
        check("a gory scene", ["nude", "gory"])
    assert "gory" not in str(caught.value)


def test_the_longest_prompt_is_read_in_full() -> None:
    assert is_refused("a " * 3000 + "nude", "nude")
