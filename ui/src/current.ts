/** CurrentDocument: the document that the history is about. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

/** Somebody who is in the document now. */
export interface IPerson {
  name: string;
  color: string;
}

/** The last document that had the focus. A look at its past does not take its place. */
export class CurrentDocument {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _documents: IDocumentManager
  ) {
    const shell = _app.shell;
    shell.currentChanged?.connect(() => this._look());
    void _app.restored.then(() => this._look());
  }

  /** Emitted when it is another document, or has another path. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when it was edited together: there will be a version. */
  get edited(): ISignal<this, void> {
    return this._edited;
  }

  /** Emitted when it was saved or renamed: there is a version, or there will be at once. */
  get saved(): ISignal<this, void> {
    return this._saved;
  }

  get context(): DocumentRegistry.Context | null {
    return this._context;
  }

  /** Its path as the server knows it, without a drive. */
  get path(): string | null {
    return this._context && this._localPath(this._context);
  }

  /** What has the document at `path` open: it may be more than one, as a text and rendered. */
  contextsOf(path: string): DocumentRegistry.Context[] {
    const found = new Set<DocumentRegistry.Context>();
    for (const widget of this._app.shell.widgets()) {
      const context = this._documents.contextForWidget(widget);
      if (context && this._localPath(context as DocumentRegistry.Context) === path) {
        found.add(context as DocumentRegistry.Context);
      }
    }
    return [...found];
  }

  /** Who has it open, as real-time collaboration shows them. */
  get people(): IPerson[] {
    const states = this._context?.model.sharedModel?.awareness?.getStates();
    const found: IPerson[] = [];
    states?.forEach(state => {
      const user = state.user as Record<string, string> | undefined;
      const color = user?.color;
      if (user && color) {
        for (const name of new Set([user.display_name, user.name, user.username])) {
          if (name) {
            found.push({ name, color });
          }
        }
      }
    });
    return found;
  }

  private _localPath(context: DocumentRegistry.Context): string {
    return this._app.serviceManager.contents.localPath(context.path);
  }

  private _look(): void {
    const widget: Widget | null = this._app.shell.currentWidget;
    const context = widget && this._documents.contextForWidget(widget);
    if (context) {
      this._set(context as DocumentRegistry.Context);
    } else if (this._context?.isDisposed) {
      this._set(null);
    }
  }

  private _set(context: DocumentRegistry.Context | null): void {
    if (context === this._context) {
      return;
    }
    if (this._context) {
      Signal.disconnectBetween(this._context, this);
      Signal.disconnectBetween(this._context.model ?? this._context, this);
    }
    this._context = context;
    if (context) {
      context.pathChanged.connect(this._onPath, this);
      context.saveState.connect(this._onSave, this);
      context.model.contentChanged.connect(this._onEdit, this);
      context.disposed.connect(this._onDisposed, this);
    }
    this._changed.emit();
  }

  private _onPath(): void {
    this._changed.emit();
    this._saved.emit();
  }

  private _onEdit(): void {
    if (this._context?.model.collaborative) {
      this._edited.emit();
    }
  }

  private _onSave(_: unknown, state: DocumentRegistry.SaveState): void {
    if (state.startsWith('completed')) {
      this._saved.emit();
    }
  }

  private _onDisposed(): void {
    this._context = null;
    this._changed.emit();
    // The widget that takes its place may be a document that is current already.
    this._look();
  }

  private _context: DocumentRegistry.Context | null = null;
  private _changed = new Signal<this, void>(this);
  private _edited = new Signal<this, void>(this);
  private _saved = new Signal<this, void>(this);
}
