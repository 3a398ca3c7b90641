"""The commands' configuration: the same files as the server's.

`jupyter server` reads `jupyter_config`, then `jupyter_server_config`, as `.py` and `.json` from
every directory of `jupyter --paths`. Each extension adds a file of its own, over which the
server's win; JupyterLab's and ours are those that people put settings into.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ._errors import ASKED_WRONGLY, CommandError

if TYPE_CHECKING:
    from traitlets.config import Config

    from ..settings import BookstoreSettings

_SERVER = "jupyter_server_config"
_WEAKER = ("jupyter_config", "jupyter_bookstore_y_config", "jupyter_lab_config")
"""Files whose settings give way to the server's, the weakest first."""


def load_settings(args: argparse.Namespace) -> BookstoreSettings:
    """BookstoreSettings as the server would have them, changed as `args` ask.

    Raises `CommandError` for a configuration file that cannot be read, and for a value that a
    setting cannot take.
    """
    from traitlets import TraitError

    from ..settings import BookstoreSettings

    config = load_config(args)
    try:
        return BookstoreSettings(config=config)
    except (TraitError, ValueError) as error:
        raise CommandError(
            f"A setting has an invalid value: {error} Correct it in the configuration file or "
            "on the command line.",
            ASKED_WRONGLY,
        ) from None


def require_bucket(settings: BookstoreSettings) -> str:
    """The name of the bucket, for a command that needs one. Raises `ConfigurationError`."""
    if not settings.s3_bucket:
        raise ConfigurationError(
            "No bucket is configured; add --bucket or, to configure the server too, set "
            "c.BookstoreSettings.s3_bucket or the environment variable JPYNB_S3_BUCKET."
        )
    return settings.require_bucket()


def load_config(args: argparse.Namespace) -> Config:
    """All of the server's configuration, changed as `args` ask. Raises `CommandError`."""
    from traitlets.config import Config

    config = Config()
    for path in config_files(args):
        config.merge(_read(path))
    for name, option in (
        ("s3_bucket", args.bucket),
        ("s3_endpoint_url", args.endpoint_url),
        ("workspace_prefix", args.prefix),
    ):
        if option is not None:
            config.BookstoreSettings[name] = option
    config.merge(_overrides(args.settings))
    return config


def config_files(args: argparse.Namespace) -> list[Path]:
    """The files that are read, in order: later ones win."""
    from jupyter_core.paths import jupyter_config_path

    directories = [Path(directory) for directory in reversed(jupyter_config_path())]
    found = [path for name in _WEAKER for path in _existing(directories, name)]
    if args.config is None:
        return found + list(_existing(directories, _SERVER))
    chosen = Path(args.config)
    if not chosen.is_file():
        raise CommandError(
            f"There is no configuration file {args.config}; name one that exists.", ASKED_WRONGLY
        )
    return [*found, chosen]


def unknown_settings(config: Config) -> list[str]:
    """What `config` sets on BookstoreSettings that has no such trait: misspelt, most likely."""
    from ..settings import BookstoreSettings

    known = BookstoreSettings.class_trait_names(config=True)
    return sorted(set(config.get("BookstoreSettings", {})) - set(known))


def _existing(directories: Iterable[Path], name: str) -> Iterator[Path]:
    for directory in directories:
        for suffix in (".py", ".json"):
            path = directory / f"{name}{suffix}"
            if path.is_file():
                yield path


def _read(path: Path) -> Config:
    from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

    loader = JSONFileConfigLoader if path.suffix == ".json" else PyFileConfigLoader
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a configuration file is a program
            return loader(path.name, str(path.parent)).load_config()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever such a program does
        line = _line_of(error, path)
        where = f"{path}, line {line}" if line else str(path)
        raise CommandError(
            f"The configuration file {where} can't be read: {type(error).__name__}: {error}. "
            "Correct it, or name another with --config.",
            ASKED_WRONGLY,
        ) from None


def _line_of(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _overrides(settings: Iterable[tuple[str, str]]) -> Config:
    from traitlets.config import Config
    from traitlets.config.loader import DeferredConfigList, DeferredConfigString

    values: dict[str, list[str]] = {}
    for name, value in settings:
        values.setdefault(name, []).append(value)
    config: Any = Config()
    for name, given in values.items():
        owner, _, trait = name.partition(".")
        config[owner][trait] = (
            DeferredConfigString(given[0]) if len(given) == 1 else DeferredConfigList(given)
        )
    unknown = unknown_settings(config)
    if unknown:
        raise CommandError(
            f"BookstoreSettings has no trait {unknown[0]!r}; docs/configuration.md lists all of "
            "them.",
            ASKED_WRONGLY,
        )
    return config  # type: ignore[no-any-return]
