/** HistoryModel: what is known about the versions of the current document. */

import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import type { Api, IVersion } from './api';
import { ApiError } from './api';
import { merge } from './grouping';

const PAGE = 50;
const LOOK = 20;

export type State = 'no document' | 'loading' | 'ready' | 'failed';

/** The calls that the model makes. */
export type History = Pick<Api, 'versions'>;

/** Pages of versions, kept current. A page is shown at once, and its details as they arrive. */
export class HistoryModel {
  constructor(private readonly _api: History) {}

  /** Emitted when anything here has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The document's path; null without one. */
  get path(): string | null {
    return this._path;
  }

  get state(): State {
    return this._state;
  }

  /** Why the last call failed; null if it did not. What is listed may be old then. */
  get error(): ApiError | null {
    return this._error;
  }

  /** Newest first. */
  get versions(): readonly IVersion[] {
    return this._versions;
  }

  get hasMore(): boolean {
    return this._next !== null;
  }

  get loadingMore(): boolean {
    return this._loadingMore;
  }

  get filter(): string {
    return this._filter;
  }

  set filter(filter: string) {
    if (filter !== this._filter) {
      this._filter = filter;
      this._emit();
    }
  }

  get labelledOnly(): boolean {
    return this._labelledOnly;
  }

  /** The server lists them then, so that labels far back are found, too. */
  set labelledOnly(labelledOnly: boolean) {
    if (labelledOnly !== this._labelledOnly) {
      this._labelledOnly = labelledOnly;
      void this.reload();
    }
  }

  /** The version that commands without arguments are about. */
  get selected(): IVersion | null {
    return this.find(this._selected);
  }

  /** The version that was marked to compare others with. */
  get marked(): IVersion | null {
    return this.find(this._marked);
  }

  set marked(version: IVersion | null) {
    this._marked = version?.version_id ?? null;
    this._emit();
  }

  find(versionId: string | null | undefined): IVersion | null {
    return this._versions.find(version => version.version_id === versionId) ?? null;
  }

  select(versionId: string | null): void {
    if (versionId !== this._selected) {
      this._selected = versionId;
      this._emit();
    }
  }

  isOpen(ids: readonly IVersion[]): boolean {
    return ids.some(version => this._open.has(version.version_id));
  }

  /** Open or fold a session, which is known by its versions. */
  setOpen(versions: readonly IVersion[], open: boolean): void {
    for (const version of versions) {
      if (open) {
        this._open.add(version.version_id);
      } else {
        this._open.delete(version.version_id);
        if (version.version_id === this._selected) {
          this._selected = null;
        }
      }
    }
    this._emit();
  }

  /** Whether calls are to be made at all: nobody may be looking. */
  get active(): boolean {
    return this._active;
  }

  set active(active: boolean) {
    if (active === this._active) {
      return;
    }
    this._active = active;
    if (active) {
      void (this._loadedPath === this._path ? this.refresh() : this.reload());
    }
  }

  /** Show the versions of another document. */
  setPath(path: string | null): Promise<void> {
    if (path === this._path) {
      return Promise.resolve();
    }
    this._path = path;
    this._selected = null;
    this._marked = null;
    this._open.clear();
    return this.reload();
  }

  /** List from the beginning. */
  async reload(): Promise<void> {
    const turn = ++this._turn;
    this._versions = [];
    this._next = null;
    this._error = null;
    this._loadingMore = false;
    this._loadedPath = null;
    this._state = this._path === null ? 'no document' : 'loading';
    this._emit();
    if (this._path === null || !this._active) {
      return;
    }
    this._loadedPath = this._path;
    await this._load(turn, null);
  }

  /** The next page. */
  async more(): Promise<void> {
    if (this._next === null || this._loadingMore || this._state !== 'ready') {
      return;
    }
    this._loadingMore = true;
    this._emit();
    await this._load(this._turn, this._next);
  }

  /** See whether there are newer versions. */
  async refresh(): Promise<void> {
    const path = this._path;
    if (path === null || !this._active || this._state === 'loading') {
      return;
    }
    if (this._state === 'failed') {
      return this._load(this._turn, null); // what failed is said until it works
    }
    const turn = this._turn;
    try {
      const labelled = this._labelledOnly;
      const page = await this._api.versions(path, { limit: LOOK, labelled });
      if (turn !== this._turn) {
        return;
      }
      const merged = merge(this._versions, page.versions, false);
      if (merged === null) {
        return this.reload();
      }
      const failed = this._error !== null;
      const isNew = merged.length !== this._versions.length;
      if (!this._versions.length) {
        this._next = page.next;
      }
      this._versions = merged;
      this._error = null;
      if (isNew || failed) {
        this._emit();
      }
      if (isNew) {
        const detailed = await this._api.versions(path, { limit: LOOK, labelled, details: true });
        this._fillIn(turn, detailed.versions);
      }
    } catch (error) {
      this._fail(turn, error);
    }
  }

  /** Take in a version as a call has answered it. */
  update(version: IVersion): void {
    this._fillIn(this._turn, [version]);
  }

  private async _load(turn: number, after: string | null): Promise<void> {
    const path = this._path!;
    const query = { limit: PAGE, after, labelled: this._labelledOnly };
    try {
      const page = await this._api.versions(path, query);
      if (turn !== this._turn) {
        return;
      }
      const known = new Set(this._versions.map(version => version.version_id));
      const fresh = page.versions.filter(version => !known.has(version.version_id));
      this._versions = [...this._versions, ...fresh];
      this._next = page.next;
      this._state = 'ready';
      this._error = null;
      this._loadingMore = false;
      this._emit();
      if (page.versions.length) {
        const detailed = await this._api.versions(path, { ...query, details: true });
        this._fillIn(turn, detailed.versions);
      }
    } catch (error) {
      this._fail(turn, error);
    }
  }

  private _fillIn(turn: number, versions: readonly IVersion[]): void {
    if (turn !== this._turn) {
      return;
    }
    const byId = new Map(versions.map(version => [version.version_id, version]));
    this._versions = this._versions.map(version => byId.get(version.version_id) ?? version);
    this._emit();
  }

  private _fail(turn: number, error: unknown): void {
    if (turn !== this._turn) {
      return;
    }
    this._error = error instanceof ApiError ? error : new ApiError(String(error), -1);
    this._loadingMore = false;
    if (this._state === 'loading') {
      this._state = 'failed';
    }
    this._emit();
  }

  private _emit(): void {
    this._changed.emit();
  }

  private _path: string | null = null;
  private _loadedPath: string | null = null;
  private _state: State = 'no document';
  private _error: ApiError | null = null;
  private _versions: IVersion[] = [];
  private _next: string | null = null;
  private _loadingMore = false;
  private _filter = '';
  private _labelledOnly = false;
  private _selected: string | null = null;
  private _marked: string | null = null;
  private _open = new Set<string>();
  private _active = false;
  /** Counts reloads: an answer to a question from before the last one is not taken in. */
  private _turn = 0;
  private _changed = new Signal<this, void>(this);
}
