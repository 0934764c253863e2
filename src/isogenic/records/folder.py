"""A node's folder: its settings, and its files by name.

Guarantees: an environment variable goes before the file; a setting that nobody knows is
refused; a file that cannot be read is named.
Leaves to others: which settings and files a node has (sites, network).
"""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from isogenic.errors import NotFound

__all__ = ["NodeSettings", "read_file"]


class NodeSettings(BaseSettings):
    """How a node runs. A node's kind says its settings and the prefix of their environment variables."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the file, whose values are given at the call."""
        return (env_settings, init_settings)


def read_file(path: Path) -> bytes:
    """A file's bytes, or a refusal that names it."""
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise NotFound(f"cannot read {path.name}", why=str(trouble.strerror or trouble), possible=f"check the folder {path.parent.name}") from trouble
