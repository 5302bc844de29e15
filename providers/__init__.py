"""Video providers behind one contract. Adding one is adding a module here: nothing else lists them."""

import importlib
import inspect
import pkgutil
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.base import Provider, ProviderConfig, Resources

AnyProvider: TypeAlias = "Provider[Any]"
"""A provider whose settings are its own business."""

_CONTRACT = {"base", "errors", "fields", "hosts", "http", "limits", "options", "specs"}


@cache
def discover() -> "Mapping[str, type[AnyProvider]]":
    """Every provider class in this package by name, whether enabled or not, in alphabetical order."""
    from providers.base import Provider  # noqa: PLC0415 - a child that renders needs none of it

    found: dict[str, type[AnyProvider]] = {}
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name in _CONTRACT or module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        classes = inspect.getmembers(module, inspect.isclass)
        for _, cls in classes:
            if issubclass(cls, Provider) and cls.__module__ == module.__name__:
                found[cls.name] = cls
    return found


def create(configs: "Mapping[str, ProviderConfig]", resources: "Resources") -> "dict[str, AnyProvider]":
    """The enabled providers, each with a folder of its own below `resources.folder`."""
    known = discover()
    enabled = {name: config for name, config in configs.items() if config.enabled}
    return {name: known[name](config, _own(name, enabled, resources)) for name, config in enabled.items()}


def _own(name: str, configs: "Mapping[str, ProviderConfig]", resources: "Resources") -> "Resources":
    """What one provider is lent: it trusts what is its own, and nothing that is another's."""
    from providers.hosts import hosts_of  # noqa: PLC0415 - the same

    trusted = {host for entry in resources.trusted_hosts if (host := _trusted_by(name, entry))}
    others = {entry.rpartition("@")[2] for entry in resources.trusted_hosts}
    others.update(*(hosts_of(config) for config in configs.values()))
    return replace(
        resources,
        folder=resources.folder / name,
        trusted_hosts=frozenset(trusted),
        foreign_hosts=frozenset(others - trusted - hosts_of(configs[name])),
    )


def _trusted_by(name: str, entry: str) -> str | None:
    """The host of `host` or `provider@host`, if this provider is meant."""
    provider, _, host = entry.rpartition("@")
    return host if provider in {"", name} else None
