/** StatusModel: whether what is edited reaches the bucket. */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Api, IPathChange, IStatus } from './api';
import { ApiError } from './api';

/** How a document stands with the bucket. */
export type Archived =
  | 'unknown'
  | 'archived'
  | 'pending'
  | 'waiting'
  | 'retrying'
  | 'not configured'
  | 'offline'
  | 'failed'
  | 'no versions';

/** The server's state, and the current document's. */
export class StatusModel {
  constructor(private readonly _api: Pick<Api, 'status'>) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get path(): string | null {
    return this._path;
  }

  /** What the server has said last; null before it has said anything. */
  get status(): IStatus | null {
    return this._status;
  }

  get error(): ApiError | null {
    return this._error;
  }

  get archived(): Archived {
    return archivedOf(this._status, this._error);
  }

  setPath(path: string | null): Promise<void> {
    if (path !== this._path) {
      this._path = path;
      return this.refresh();
    }
    return Promise.resolve();
  }

  /** Ask anew; `fresh` if there may be a version that the server does not know of. */
  async refresh(fresh = false): Promise<void> {
    const path = this._path;
    try {
      const status = await this._api.status(path ?? undefined, fresh);
      if (path !== this._path) {
        return;
      }
      this._status = status;
      this._error = null;
    } catch (error) {
      if (path !== this._path) {
        return;
      }
      this._error = error instanceof ApiError ? error : new ApiError(String(error), -1);
    }
    this._changed.emit();
  }

  private _path: string | null = null;
  private _status: IStatus | null = null;
  private _error: ApiError | null = null;
  private _changed = new Signal<this, void>(this);
}

/** Renames and deletions that have failed, though others may go on. */
export function refusedOf(status: IStatus | null): IPathChange[] {
  return (status?.path_changes ?? []).filter(change => change.reason !== null);
}

/** What the answers of the server mean for the document that was asked about. */
export function archivedOf(status: IStatus | null, error: ApiError | null): Archived {
  if (error) {
    return error.status === 404 ? 'not configured' : error.status === 0 ? 'offline' : 'failed';
  }
  if (!status || status.status === 'starting') {
    return 'unknown';
  }
  if (!status.features.archive_valid || status.status === 'not configured') {
    return 'not configured';
  }
  const document = status.document;
  if (status.waiting_since) {
    return 'waiting';
  }
  if (status.error || document?.error) {
    return 'retrying';
  }
  if (!document) {
    return 'unknown';
  }
  if (document.pending_updates || document.pending_save) {
    return 'pending';
  }
  return document.newest ? 'archived' : 'no versions';
}
