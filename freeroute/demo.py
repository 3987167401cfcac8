"""The demo: the whole product on simulated providers, with nothing read from files, keys or the network."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import UNSET, UnsetType, structs

from freeroute.clock import Clock
from freeroute.config.entries import models_of
from freeroute.config.load import Overrides, Settings, load
from freeroute.config.provider_specs import KeySpec, ModelSpec, OnlyModels, ProviderSpec
from freeroute.config.specs import DiscoverySpec
from freeroute.upstreams.simulated.simulation import SimulatedProvider, Simulation, demo_providers

ADMIN_KEY = "demo"
DEFAULT_SEED = 2026
# What an ordinary laptop answers with, for models no catalogue lists.
LOCAL_QUALITY = 35.0


def demo_settings(
    args: Overrides, env: Mapping[str, str], state_dir: Path, entries: Mapping[str, ProviderSpec]
) -> Settings:
    """Return settings that know the simulated providers only; of *env* just the port is heeded."""
    kept = {name: value for name, value in env.items() if name == "PORT"}
    settings = load(args, kept, cwd=state_dir, home=state_dir)
    return structs.replace(
        settings,
        discovery=DiscoverySpec(env=False, local=False, keyless=False),
        providers={provider.id: _entry(provider, entries[provider.id]) for provider in demo_providers()},
        meta_models={},
        model_aliases={},
        clients=(),
        state_dir=state_dir,
        admin_key=ADMIN_KEY,
        environ=kept,
        shown="the demo",
    )


def _entry(provider: SimulatedProvider, known: ProviderSpec) -> ProviderSpec:
    if not isinstance(known.engine, UnsetType):
        local = tuple(
            ModelSpec(id=name, capabilities=("tools", "json_object"), quality=LOCAL_QUALITY)
            for name in provider.models
        )
        return ProviderSpec(models=local, keys=())
    ids = {model.id for model in models_of(known)}
    only = tuple(name for name in provider.models if name in ids)
    return ProviderSpec(keys=(KeySpec(key=ADMIN_KEY),), models=OnlyModels(only) if only else UNSET)


def simulation(clock: Clock, seed: int | None = None) -> Simulation:
    """Return the simulated providers of the demo, as a transport."""
    return Simulation(DEFAULT_SEED if seed is None else seed, clock, demo_providers())
