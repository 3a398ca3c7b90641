/** The REST calls of bookstore_y's server extension; docs/openapi.yaml describes them. */

import { URLExt } from '@jupyterlab/coreutils';
import type { Contents } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';

/** What the server says of itself. */
export interface IStatus {
  bucket: string;
  workspace_prefix: string;
  published_prefix: string;
  features: { archive_valid: boolean; publish_valid: boolean; s3_clone_valid: boolean };
  status: 'ok' | 'retrying' | 'not configured' | 'starting';
  error?: string | null;
  retrying_since?: number | null;
  pending_documents?: number;
  pending_saves?: number;
  last_checkpoint?: number | null;
  failing_documents?: Record<string, string>;
  failing_saves?: Record<string, string>;
  /** What the archive holds and the server's disk has lost. */
  workspace?: IWorkspaceStatus;
  /** Since when the bucket has not answered, in seconds since the epoch; null while it does. */
  waiting_since?: number | null;
  /** Renames and deletions that the bucket has not followed; the first hundred. */
  path_changes?: IPathChange[];
  /** All of those. */
  waiting_path_changes?: number;
  /** Of the document that was asked about. */
  document?: IDocumentStatus;
}

/** How far what the archive holds is back on the server's disk. */
export interface IWorkspaceStatus {
  state: 'starting' | 'waiting' | 'restoring' | 'restored' | 'partial' | 'off';
  missing: number;
  restored: number;
  restored_bytes: number;
  /** Why files could not be written, by path; not of all if there are many. */
  failed: Record<string, string>;
  failures: number;
  error: string | null;
}

/** A rename or a deletion that the bucket has not followed. */
export interface IPathChange {
  id: number;
  what: 'rename' | 'deletion' | 'displaced';
  path: string;
  target: string | null;
  state: 'waiting' | 'set aside';
  since: number | null;
  reason: string | null;
}

/** How far one document is archived. */
export interface IDocumentStatus {
  path: string;
  pending_updates: number;
  pending_save: boolean;
  error: string | null;
  newest: IVersion | null;
}

export type Kind = 'snapshot' | 'save' | 'published' | 'live' | 'file';

/** One version. Without details `label`, `authors`, `parent` and `origin` are empty. */
export interface IVersion {
  version_id: string;
  key: string;
  last_modified: string;
  size: number;
  is_latest: boolean;
  kind: Kind;
  label: string | null;
  authors: string[];
  parent: string;
  origin: string;
  path: string;
  type: string | null;
  /** Whether it is in a storage class that S3 reads nothing from at once; missing from older servers. */
  cold?: boolean;
  /** Why the bucket refuses its details; empty if it does not, missing from older servers. */
  details_error?: string;
}

export interface IPage {
  versions: IVersion[];
  next: string | null;
}

export interface IDiff {
  type: 'notebook' | 'text' | 'binary';
  base: any;
  diff: any;
  changed: boolean;
  before: IVersion;
  after: IVersion;
}

/** One published document. */
export interface IPublished {
  path: string;
  versions: IVersion[];
}

/** A call that failed. `status` is HTTP's, or 0 if the server did not answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface IVersionsQuery {
  limit?: number;
  after?: string | null;
  labelled?: boolean;
  details?: boolean;
}

/** The calls to one server. All of them reject with an `ApiError`. */
export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  status(path?: string, fresh = false): Promise<IStatus> {
    return this._ask('', { path, fresh: fresh ? 1 : undefined });
  }

  versions(path: string, query: IVersionsQuery = {}): Promise<IPage> {
    return this._ask(`versions/${encoded(path)}`, {
      kind: ['snapshot', 'save', 'published'],
      limit: query.limit,
      after: query.after,
      labelled: query.labelled ? 1 : undefined,
      details: query.details ? 1 : undefined
    });
  }

  version(
    path: string,
    versionId: string
  ): Promise<{ version: IVersion; model: Contents.IModel }> {
    return this._ask(`version/${encoded(path)}`, { version_id: versionId });
  }

  /** The file itself, as it was. */
  async file(path: string, versionId: string): Promise<Blob> {
    const query = { version_id: versionId, format: 'raw' };
    return (await this._request(`version/${encoded(path)}`, query)).blob();
  }

  diff(path: string, before: string, after?: string): Promise<IDiff> {
    return this._ask(`diff/${encoded(path)}`, { before, after });
  }

  async label(path: string, versionId: string, label: string): Promise<IVersion> {
    const body = { version_id: versionId, label };
    return (await this._ask(`label/${encoded(path)}`, {}, 'PUT', body)).version;
  }

  async unlabel(path: string, versionId: string): Promise<IVersion> {
    const query = { version_id: versionId };
    return (await this._ask(`label/${encoded(path)}`, query, 'DELETE')).version;
  }

  restore(path: string, versionId: string): Promise<{ version: IVersion; changed: boolean }> {
    return this._ask(`restore/${encoded(path)}`, {}, 'POST', { version_id: versionId });
  }

  /** Publish a version, or what the notebook says now. */
  publish(path: string, versionId?: string): Promise<{ s3_path: string; versionID: string }> {
    const what = versionId ? { version_id: versionId } : { live: true };
    return this._ask(`publish/${encoded(path)}`, {}, 'PUT', { type: 'notebook', ...what });
  }

  clone(
    bucket: string,
    key: string,
    versionId: string | null,
    targetPath?: string
  ): Promise<Contents.IModel> {
    return this._ask('clone', {}, 'POST', {
      s3_bucket: bucket,
      s3_key: key,
      s3_version_id: versionId,
      target_path: targetPath
    });
  }

  published(query: {
    q?: string;
    limit?: number;
    after?: string | null;
    details?: boolean;
  }): Promise<{ documents: IPublished[]; next: string | null }> {
    return this._ask('published', { ...query, details: query.details ? 1 : undefined });
  }

  private async _ask(call: string, query: Query, method = 'GET', body?: unknown): Promise<any> {
    const response = await this._request(call, query, method, body);
    try {
      return await response.json();
    } catch {
      throw new ApiError(`${response.url} did not answer with JSON.`, response.status);
    }
  }

  private async _request(
    call: string,
    query: Query,
    method = 'GET',
    body?: unknown
  ): Promise<Response> {
    const url = URLExt.join(this._settings.baseUrl, 'api/bookstore', call) + queryString(query);
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
    }
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, init, this._settings);
    } catch (error) {
      throw new ApiError(error instanceof Error ? error.message : String(error), 0);
    }
    if (!response.ok) {
      const answer = await response.json().catch(() => ({}));
      throw new ApiError(
        answer.message || `${response.status} ${response.statusText}`,
        response.status
      );
    }
    return response;
  }
}

type Query = Record<string, string | number | string[] | null | undefined>;

function queryString(query: Query): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') {
        found.append(name, String(one));
      }
    }
  }
  const text = found.toString();
  return text && `?${text}`;
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
