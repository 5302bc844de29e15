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

_CONTRACT = {"base", "errors", "http", "limits", "options", "specs"}


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
    return {
        name: known[name](config, replace(resources, folder=resources.folder / name))
        for name, config in configs.items()
        if config.enabled
    }
