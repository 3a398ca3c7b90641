import { describe, expect, it } from 'vitest';

import type { IStatus } from './api';
import { archivedOf, refusedOf } from './statusmodel';

function status(more: Partial<IStatus>): IStatus {
  return {
    bucket: 'notebooks',
    workspace_prefix: 'workspace/',
    published_prefix: 'published/',
    features: { archive_valid: true, publish_valid: true, s3_clone_valid: true },
    status: 'ok',
    ...more
  };
}

describe('archivedOf', () => {
  it('tells of a bucket that does not answer', () => {
    const waiting = status({ status: 'retrying', waiting_since: 1, error: 'Waiting.' });
    expect(archivedOf(waiting, null)).toBe('waiting');
  });

  it('tells of a store that is not in use', () => {
    const unused = status({ status: 'not configured', error: 'It is not in use.' });
    expect(archivedOf(unused, null)).toBe('not configured');
  });
});

describe('refusedOf', () => {
  it('leaves out what has not been tried yet', () => {
    const change = { id: 1, what: 'deletion', path: 'a', target: null, since: null } as const;
    const changes = [
      { ...change, state: 'waiting', reason: null } as const,
      { ...change, id: 2, state: 'set aside', reason: 'Refused.' } as const
    ];
    expect(refusedOf(status({ path_changes: changes })).map(each => each.id)).toEqual([2]);
    expect(refusedOf(null)).toEqual([]);
  });
});
