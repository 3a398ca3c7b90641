import { describe, expect, it } from 'vitest';

import type { IPage, IVersion, IVersionsQuery } from './api';
import { ApiError } from './api';
import { HistoryModel } from './model';

/** A server with so many versions of every document, one a minute. */
class Server {
  constructor(count: number) {
    this.add(count);
  }

  add(count: number): void {
    for (let i = 0; i < count; i++) {
      const n = this._all.length + 1;
      this._all.unshift({
        version_id: `v${n}`,
        key: 'k',
        last_modified: new Date(n * 60_000).toISOString(),
        size: n,
        is_latest: false,
        kind: 'snapshot',
        label: n % 7 === 0 ? `label ${n}` : null,
        authors: ['Ada'],
        parent: '',
        origin: 'checkpoint',
        path: 'p',
        type: 'notebook'
      });
    }
  }

  async versions(path: string, query: IVersionsQuery = {}): Promise<IPage> {
    this.calls.push({ path, ...query });
    if (this.failure) {
      throw this.failure;
    }
    await this.held;
    const all = query.labelled ? this._all.filter(version => version.label) : this._all;
    const start = Number(query.after ?? 0);
    const end = start + (query.limit ?? 50);
    const page = all.slice(start, end);
    return {
      versions: query.details
        ? page
        : page.map(version => ({ ...version, label: null, authors: [], origin: '' })),
      next: end < all.length ? String(end) : null
    };
  }

  calls: ({ path: string } & IVersionsQuery)[] = [];
  failure: ApiError | null = null;
  held: Promise<void> = Promise.resolve();
  private _all: IVersion[] = [];
}

async function shown(server: Server, path = 'tides.ipynb'): Promise<HistoryModel> {
  const model = new HistoryModel(server);
  model.active = true;
  await model.setPath(path);
  return model;
}

describe('HistoryModel', () => {
  it('asks nothing before somebody looks', async () => {
    const server = new Server(3);
    const model = new HistoryModel(server);
    await model.setPath('tides.ipynb');
    expect(server.calls).toEqual([]);
    model.active = true;
    expect(server.calls).toHaveLength(1);
  });

  it('shows a page at once, and its details when they arrive', async () => {
    const server = new Server(3);
    const model = new HistoryModel(server);
    const seen: (string | undefined)[] = [];
    model.changed.connect(() => {
      if (model.state === 'ready') {
        seen.push(model.versions[0]?.authors[0]);
      }
    });
    model.active = true;
    await model.setPath('tides.ipynb');
    expect(seen).toEqual([undefined, 'Ada']);
  });

  it('loads page after page, each version once', async () => {
    const model = await shown(new Server(120));
    expect(model.versions).toHaveLength(50);
    await model.more();
    await model.more();
    expect(model.hasMore).toBe(false);
    expect(new Set(model.versions.map(version => version.version_id)).size).toBe(120);
    expect(model.versions.every(version => version.authors.length)).toBe(true);
  });

  it('takes in what lands later, without losing older pages', async () => {
    const server = new Server(120);
    const model = await shown(server);
    await model.more();
    server.add(2);
    await model.refresh();
    expect(model.versions).toHaveLength(102);
    expect(model.versions[0]!.version_id).toBe('v122');
    expect(model.versions[0]!.authors).toEqual(['Ada']);
  });

  it('lists from the beginning when more has landed than it looks at', async () => {
    const server = new Server(60);
    const model = await shown(server);
    server.add(40);
    await model.refresh();
    expect(model.versions[0]!.version_id).toBe('v100');
    expect(model.versions).toHaveLength(50);
  });

  it('drops the answer about a document that is not current any more', async () => {
    const server = new Server(3);
    const model = new HistoryModel(server);
    model.active = true;
    let release = (): void => undefined;
    server.held = new Promise(resolve => (release = resolve));
    const first = model.setPath('first.ipynb');
    const second = model.setPath(null);
    release();
    await Promise.all([first, second]);
    expect(model.state).toBe('no document');
    expect(model.versions).toEqual([]);
  });

  it('lets the server find labels', async () => {
    const model = await shown(new Server(700));
    model.labelledOnly = true;
    await new Promise(resolve => setTimeout(resolve));
    expect(model.versions).toHaveLength(50);
    expect(model.versions.every(version => version.label)).toBe(true);
  });

  it('keeps the list through an outage, and says so', async () => {
    const server = new Server(3);
    const model = await shown(server);
    server.failure = new ApiError('gone', 503);
    await model.refresh();
    expect(model.state).toBe('ready');
    expect(model.error?.message).toBe('gone');
    server.failure = null;
    await model.refresh();
    expect(model.error).toBeNull();
    expect(model.versions).toHaveLength(3);
  });

  it('comes back by itself after it could not list at all', async () => {
    const server = new Server(3);
    server.failure = new ApiError('gone', 0);
    const model = await shown(server);
    expect(model.state).toBe('failed');
    const states = new Set<string>();
    model.changed.connect(() => states.add(model.state));
    await model.refresh();
    expect([...states]).toEqual(['failed']);
    server.failure = null;
    await model.refresh();
    expect(model.state).toBe('ready');
    expect(model.versions).toHaveLength(3);
  });

  it('selects nothing that a fold hides', async () => {
    const model = await shown(new Server(3));
    model.select('v2');
    model.setOpen(model.versions, false);
    expect(model.selected).toBeNull();
  });

  it('selects a version until the document changes', async () => {
    const model = await shown(new Server(3));
    model.select('v2');
    expect(model.selected?.version_id).toBe('v2');
    model.setOpen([model.versions[2]!], false);
    expect(model.selected?.version_id).toBe('v2');
    await model.setPath('other.ipynb');
    expect(model.selected).toBeNull();
  });
});
