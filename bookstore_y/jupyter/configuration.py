"""Whether this server archives what its configuration asks for."""

from __future__ import annotations

from typing import Any

from jupyter_server.serverapp import ServerApp

from ..store import S3YStore

COLLABORATION = "jupyter_server_ydoc"

OTHERS = ("jupyter_server_documents", "jupyter_rtc_core")
"""Extensions that bring collaboration of their own, which knows no ystore_class."""


def not_in_use(serverapp: ServerApp) -> str | None:
    """Why collaborative documents do not go to our store, though the configuration says so, and
    what to do; None if they do, or nobody has said so."""
    config = serverapp.config
    named = _names_our_store(config.get("YDocExtension", {}).get("ystore_class"))
    if not (named or config.get("S3YStore")):
        return None
    return _why_not_in_use(serverapp) or None


def archives_nothing(serverapp: ServerApp) -> str | None:
    """What to do for anything to be archived; None if something is."""
    if _stores(serverapp) or _archives_files(serverapp):
        return None
    return (
        "Nothing is archived automatically: set c.YDocExtension.ystore_class = "
        '"bookstore_y.S3YStore" for collaborative documents, or '
        'c.ServerApp.contents_manager_class = "bookstore_y.BookstoreContentsArchiver" for '
        "saved files."
    )


def _why_not_in_use(serverapp: ServerApp) -> str:
    """Why collaborative documents do not go to our store, though they are to; empty if they do."""
    if _stores(serverapp):
        return ""
    other = next((name for name in OTHERS if _is_enabled(serverapp, name)), None)
    if _collaboration(serverapp) is not None:
        return (
            "S3YStore is configured but not in use: collaborative documents go to another "
            'store; set c.YDocExtension.ystore_class = "bookstore_y.S3YStore".'
        )
    instead = f"; {other} runs instead and has no ystore_class" if other else ""
    return (
        "S3YStore is configured but not in use: jupyter-collaboration's extension "
        f"{COLLABORATION} does not run{instead}. Install jupyter-collaboration and run `jupyter "
        f"server extension enable {COLLABORATION}`" + (f", and disable {other}." if other else ".")
    )


def _names_our_store(store_class: Any) -> bool:
    if isinstance(store_class, str):
        return bool(store_class.rpartition(".")[2] == S3YStore.__name__)
    return isinstance(store_class, type) and issubclass(store_class, S3YStore)


def _stores(serverapp: ServerApp) -> bool:
    """Whether rooms store with our class."""
    collaboration = _collaboration(serverapp)
    return collaboration is not None and _names_our_store(
        getattr(collaboration, "ystore_class", None)
    )


def _archives_files(serverapp: ServerApp) -> bool:
    from .checkpoints import S3Checkpoints  # which uses the handlers, which use this
    from .contents import BookstoreContentsMixin

    server: Any = serverapp
    manager = server.contents_manager
    return isinstance(manager, BookstoreContentsMixin) or isinstance(
        getattr(manager, "checkpoints", None), S3Checkpoints
    )


def _collaboration(serverapp: ServerApp) -> Any:
    if not _is_enabled(serverapp, COLLABORATION):
        return None
    apps = serverapp.extension_manager.extension_apps.get(COLLABORATION, ())
    return next((app for app in apps if hasattr(app, "ywebsocket_server")), None)


def _is_enabled(serverapp: ServerApp, name: str) -> bool:
    extension: Any = serverapp.extension_manager.extensions.get(name)
    return extension is not None and bool(extension.enabled)
