import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.quota.allowances import Allowance, WindowKind
from bot.settings import GivenSettings, Settings, complaints
from providers import discover
from tests.helpers import OWN_SETTINGS, PROVIDER_SETTINGS

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Read settings in a folder and an environment of one's own."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.lower() in OWN_SETTINGS | PROVIDER_SETTINGS:
            monkeypatch.delenv(name)

    def read(*dotenv: str, environment: dict[str, str] | None = None, **values: Any) -> Settings:
        Path(".env").write_text("\n".join(dotenv), encoding="utf-8")
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        return Settings(**values)

    return read


def wrong(load: Load, *dotenv: str, **values: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        load(*dotenv, **values)
    return complaints(caught.value)


def test_nothing_has_to_be_set(load: Load) -> None:
    settings = load()
    assert settings.discord_token is None
    assert settings.allowance == Allowance(amount=5, kind=WindowKind.DAY)
    assert settings.database == f"sqlite:///{Path('data') / 'stillmotion.db'}"
    assert settings.default_provider is None
    assert settings.log_level == "INFO"
    assert [name for name, config in settings.providers.items() if config.enabled] == ["local"]


def test_every_provider_has_its_settings_whether_enabled_or_not(load: Load) -> None:
    settings = load()
    assert settings.providers == {name: provider.Config() for name, provider in discover().items()}


def test_a_setting_comes_from_the_environment_before_the_file_and_from_the_call_before_both(
    load: Load,
) -> None:
    assert load("MEMBER_JOBS=3").member_jobs == 3
    assert load("MEMBER_JOBS=3", environment={"MEMBER_JOBS": "4"}).member_jobs == 4
    assert load("MEMBER_JOBS=3", member_jobs=5).member_jobs == 5


def test_a_providers_variables_are_found_in_the_file(load: Load) -> None:
    eigenai = load("EIGENAI_API_KEY=key", "EIGENAI_MAX_JOBS=3").providers["eigenai"]
    assert eigenai.enabled
    assert eigenai.max_jobs == 3


def test_a_providers_variables_are_found_in_the_environment_first(load: Load) -> None:
    eigenai = load("EIGENAI_MAX_JOBS=3", environment={"EIGENAI_MAX_JOBS": "4"}).providers["eigenai"]
    assert eigenai.max_jobs == 4


def test_a_providers_variables_can_be_given_in_the_call(load: Load) -> None:
    settings = load(eigenai_api_key="key", local_on=False, default_provider="eigenai")
    assert [name for name, config in settings.providers.items() if config.enabled] == ["eigenai"]
    assert settings.default_provider == "eigenai"


def test_an_empty_value_is_unset(load: Load) -> None:
    settings = load(
        "DISCORD_TOKEN=",
        "DATABASE_URL=",
        "MEMBER_JOBS=",
        "DEFAULT_PROVIDER=",
        "BLOCKED_WORDS=",
        "LOCAL_RESOLUTIONS=",
        "EIGENAI_API_KEY=from-the-file",
        environment={"EIGENAI_API_KEY": "", "EIGENAI_MAX_JOBS": "", "MAX_IMAGE_MB": ""},
    )
    assert settings == load("EIGENAI_API_KEY=from-the-file")
    assert settings.providers["eigenai"].enabled


def test_a_key_of_spaces_is_no_key(load: Load) -> None:
    assert not load(environment={"EIGENAI_API_KEY": "  "}).providers["eigenai"].enabled


def test_a_secret_read_from_a_file_may_end_in_a_newline(load: Load) -> None:
    token = load(environment={"DISCORD_TOKEN": "token\n"}).discord_token
    assert token is not None
    assert token.get_secret_value() == "token"


@pytest.mark.parametrize("in_file", [True, False])
def test_an_old_name_is_read_and_said_to_be_old(
    load: Load, caplog: pytest.LogCaptureFixture, *, in_file: bool
) -> None:
    settings = load("FALL_OVER=no") if in_file else load(environment={"FALL_OVER": "no"})
    assert not settings.fallback
    assert "FALL_OVER is now called FALLBACK" in caplog.text
    assert load("FALL_OVER=no", "FALLBACK=yes").fallback, "the new name wins"


def test_lists_are_written_with_commas(load: Load) -> None:
    settings = load("BLOCKED_WORDS=one, two words ,,", "LOCAL_RESOLUTIONS=720p,480p")
    assert settings.blocked_words == ("one", "two words")
    assert settings.providers["local"].resolutions == ("720p", "480p")  # type: ignore[attr-defined]
    assert load(blocked_words=["one"]).blocked_words == ("one",)
    assert load(local_resolutions=("288p",)).providers["local"].resolutions == ("288p",)  # type: ignore[attr-defined]


def test_hosts_that_the_operator_names_may_be_private(load: Load) -> None:
    hosts = "TRUSTED_HOSTS=files.lan", "EIGENAI_BASE_URL=http://gpu.lan:8000/api"
    assert load(*hosts, "EIGENAI_API_KEY=key").hosts == {"files.lan", "gpu.lan:8000"}
    assert load(*hosts).hosts == {"files.lan"}, "of a provider that is not enabled, nothing is believed"


def test_the_database_lies_in_the_data_folder_unless_it_is_somewhere_else(load: Load, tmp_path: Path) -> None:
    assert load(f"DATA_DIR={tmp_path}").database == f"sqlite:///{tmp_path / 'stillmotion.db'}"
    assert load("DATABASE_URL=postgresql://host/bot").database == "postgresql://host/bot"


def test_words_to_choose_from_may_be_written_in_any_case(load: Load) -> None:
    lines = ("LOG_LEVEL=Warning", "DEFAULT_WINDOW=Week", "DEFAULT_PROVIDER=LOCAL", "FALLBACK=No")
    theirs = (
        "ETERNALAI_FLAVOUR=Image-To-Video",
        "LOCAL_RESOLUTIONS=720P, 480p",
        "TRUSTED_HOSTS=Venice@files.lan",
    )
    settings = load(*lines, *theirs)
    assert (settings.log_level, settings.default_window, settings.fallback) == (
        "WARNING",
        WindowKind.WEEK,
        False,
    )
    assert (settings.default_provider, settings.trusted_hosts) == ("local", ("venice@files.lan",))
    assert settings.providers["eternalai"].flavour == "image-to-video"  # type: ignore[attr-defined]
    assert settings.providers["local"].resolutions == ("720p", "480p")  # type: ignore[attr-defined]


AMOUNT = "an amount in US dollars up to 1,000,000, with 6 decimals at most, such as `10`."
ADDRESS = "an http or https address without a user, a query or a fragment, such as `"
KEY = "EIGENAI_API_KEY should be the key alone, "


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("LOCAL_ON=perhaps", "LOCAL_ON should be true or false, such as `true`."),
        ("MEMBER_JOBS=0", "MEMBER_JOBS should be a whole number of at least 1, such as `2`."),
        ("KEEP_DAYS=-1", "KEEP_DAYS should be a number from 0 to 3650, such as `3`."),
        ("CARD_SECONDS=0", "CARD_SECONDS should be a number above 0, such as `5`."),
        ("MAX_ALLOWANCE=-1", "MAX_ALLOWANCE should be a whole number from 0 to 1000000, such as `10`."),
        ("BOT_DAILY_BUDGET=much", f"BOT_DAILY_BUDGET should be {AMOUNT}"),
        ("VENICE_PRICE=0.1234567", f"VENICE_PRICE should be {AMOUNT}"),
        ("DEFAULT_WINDOW=year", "DEFAULT_WINDOW should be one of day, week or month, such as `day`."),
        ("LOG_LEVEL=loud", "LOG_LEVEL should be one of debug, info, warning or error, such as `info`."),
        (
            "DATABASE_URL=mysql://bot:hunter2@host/bot",
            (
                "DATABASE_URL should start with sqlite:/// or postgresql://, such as "
                "`postgresql://bot:password@localhost/bot`."
            ),
        ),
        (
            "DATABASE_URL=postgresql://bot:hun@ter2@host/bot",
            "DATABASE_URL has more than one @: write the one in the password as %40, such as `p%40ss`.",
        ),
        ("EIGENAI_MAX_JOBS=0", "EIGENAI_MAX_JOBS should be a whole number of at least 1, such as `10`."),
        (
            "EIGENAI_BASE_URL=https://me:hunter2@host",
            f"EIGENAI_BASE_URL should be {ADDRESS}https://api-web.eigenai.com`.",
        ),
        (
            "OPENAI_VIDEOS_BASE_URL=http://gpu:x",
            f"OPENAI_VIDEOS_BASE_URL should be {ADDRESS}http://127.0.0.1:8091/v1`.",
        ),
        (
            "LOCAL_RESOLUTIONS=480p, 999p",
            (
                "LOCAL_RESOLUTIONS should be a list with commas between its entries, each one of "
                "288p, 480p or 720p, such as `480p, 720p, 288p`."
            ),
        ),
        (
            "SERVERS=mine",
            "SERVERS should be ids of servers, with commas between them, such as `123456789012345678`.",
        ),
        (
            "DEFAULT_PROVIDER=hunter2",
            (
                "DEFAULT_PROVIDER should be one of ecohash, eigenai, eternalai, local, openai_videos "
                "or venice, such as `venice`."
            ),
        ),
        (
            "DEFAULT_PROVIDER=Eigenai",
            "DEFAULT_PROVIDER is eigenai, which is not enabled; it should be one that is, such as `local`.",
        ),
        (
            "DISCORD_TOKEN=Bot hunter2",
            (
                "DISCORD_TOKEN should be the token alone, without `Bot ` before it, "
                "such as `MTIzNDU2.Gabc12.dEf345`."
            ),
        ),
        ("EIGENAI_API_KEY=Bearer hunter2", f"{KEY}without `Bearer ` before it, such as `sk_4f9c1d7e`."),
        ("EIGENAI_API_KEY=hunter 2", f"{KEY}in one line without spaces, such as `sk_4f9c1d7e`."),
        ("""EIGENAI_API_KEY='"hunter2"'""", f"{KEY}without quotes, such as `sk_4f9c1d7e`."),
        ("EIGENAI_API_KEY=\u201chunter2\u201d", f"{KEY}without quotes, such as `sk_4f9c1d7e`."),
        ('EIGENAI_API_KEY=hun"ter2', f"{KEY}without quotes, such as `sk_4f9c1d7e`."),
        (
            "EIGENAI_API_KYE=hunter2",
            "EIGENAI_API_KYE is not a setting of Stillmotion: remove it from .env or correct it.",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_the_variable(load: Load, line: str, sentence: str) -> None:
    assert wrong(load, line) == [sentence]


ANYTHING_GOES = {"data_dir", "blocked_words"}
NAMES = sorted(PROVIDER_SETTINGS | OWN_SETTINGS - ANYTHING_GOES)


@pytest.mark.parametrize("name", NAMES)
def test_every_sentence_says_what_the_setting_should_be_and_gives_an_example_that_works(
    load: Load, name: str
) -> None:
    [sentence] = wrong(load, environment={name.upper(): ": \u201chunter 2\u201d"})
    said = re.fullmatch(rf"{name.upper()} should (?:be|start with|have) (.+), such as `(.+)`\.", sentence)
    assert said is not None, sentence
    assert not re.search("(?i)hunter|input|valid|instance|equal|config|pydantic|string|integer", said[1])
    assert load(environment={name.upper(): said[2], "VENICE_API_KEY": "key"})


def test_everything_that_is_wrong_is_told_at_once(load: Load) -> None:
    lines = ("MEMBER_JOBS=two", "EIGENAI_MAX_JOBS=0", "LOCAL_ON=perhaps", "NONSENSE=1")
    named = [sentence.split()[0] for sentence in wrong(load, *lines)]
    assert sorted(named) == ["EIGENAI_MAX_JOBS", "LOCAL_ON", "MEMBER_JOBS", "NONSENSE"]


def test_with_no_provider_at_all_the_sentence_says_so(load: Load) -> None:
    [sentence] = wrong(load, "LOCAL_ON=false", "DEFAULT_PROVIDER=local")
    assert sentence == (
        "DEFAULT_PROVIDER is local, which is not enabled; it should be one that is, but none is: "
        "set a key, such as VENICE_API_KEY."
    )


def test_what_other_programs_set_in_the_environment_is_their_business(load: Load) -> None:
    assert load(environment={"NONSENSE": "1", "PROVIDERS": "not json"}) == load()


SECRETS = {
    "DISCORD_TOKEN": "hunter2-token",
    "EIGENAI_API_KEY": "hunter2-key",
    "DATABASE_URL": "postgresql://bot:hunter2@host/bot",
}


def test_settings_never_show_a_secret(load: Load) -> None:
    settings = load(environment=SECRETS)
    assert settings.providers["eigenai"].enabled
    for shown in (
        repr(settings),
        str(settings),
        repr(settings.providers),
        settings.model_dump_json(exclude={"database_url"}),
    ):
        assert "hunter2" not in shown


def test_complaints_never_show_a_value(load: Load) -> None:
    lines = [f"{name}=hunter2" for name in ("MAX_IMAGE_MB", "EIGENAI_MAX_JOBS", "LOCAL_ON", "LOG_LEVEL", "X")]
    with pytest.raises(ValidationError) as caught:
        load(*lines, environment=SECRETS)
    assert "hunter2" not in " ".join(complaints(caught.value))
    assert "hunter2" not in str(caught.value)


def test_settings_do_not_change(load: Load) -> None:
    with pytest.raises(ValidationError):
        load().member_jobs = 3


def test_settings_that_are_given_take_nothing_from_this_machine(load: Load) -> None:
    settings = load("EIGENAI_API_KEY=key", environment={"MEMBER_JOBS": "3", "VENICE_API_KEY": "key"})
    given = GivenSettings(ecohash_api_key="key")
    assert given.member_jobs != settings.member_jobs
    assert [name for name, config in given.providers.items() if config.enabled] == ["ecohash", "local"]


def test_a_name_that_is_given_and_unknown_is_wrong(load: Load) -> None:
    assert sorted(sentence.split()[0] for sentence in wrong(load, eigenai_api_kye="key", nonsense=1)) == [
        "EIGENAI_API_KYE",
        "NONSENSE",
    ]
