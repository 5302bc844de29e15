import pytest
from pydantic import SecretStr

import providers
from providers.base import Provider, ProviderConfig, RemoteConfig, Resources
from providers.eigenai import EigenAI, EigenAIConfig

ALL = providers.discover()


@pytest.mark.parametrize("name", ALL)
def test_a_provider_is_named_after_its_module(name: str) -> None:
    cls = ALL[name]
    assert cls.__module__ == f"providers.{name}"
    assert cls.name == name
    assert cls.label


@pytest.mark.parametrize("name", ALL)
def test_a_provider_needs_no_settings_but_a_key(name: str) -> None:
    config = ALL[name].Config()
    assert config.enabled is not isinstance(config, RemoteConfig)


def test_providers_come_in_alphabetical_order() -> None:
    assert list(ALL) == sorted(ALL)
    assert ALL["eigenai"] is EigenAI


def test_only_enabled_providers_are_created_each_with_its_own_folder(resources: Resources) -> None:
    configs: dict[str, ProviderConfig] = {"eigenai": EigenAIConfig(api_key=SecretStr("key"), max_jobs=3)}
    [made] = providers.create(configs, resources).values()
    assert isinstance(made, EigenAI)
    assert made.resources.folder == resources.folder / "eigenai"
    assert made.config.max_jobs == 3
    assert providers.create({"eigenai": EigenAIConfig()}, resources) == {}


async def test_what_a_vendor_cannot_do_is_quietly_left_out(resources: Resources) -> None:
    eigenai: Provider[EigenAIConfig] = EigenAI(EigenAIConfig(), resources)
    await eigenai.cancel({})
    await eigenai.cleanup({})
    await eigenai.close()
