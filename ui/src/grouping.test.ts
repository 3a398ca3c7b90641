import { describe, expect, it } from 'vitest';

import type { IVersion } from './api';
import { group, isMilestone, matches, merge, restoredFrom } from './grouping';

let made = 0;

function version(time: string, more: Partial<IVersion> = {}): IVersion {
  return {
    version_id: `v${++made}`,
    key: 'workspace/tides.ipynb.notebook.y.zst',
    last_modified: time,
    size: 100,
    is_latest: false,
    kind: 'snapshot',
    label: null,
    authors: [],
    parent: '',
    origin: 'checkpoint',
    path: 'tides.ipynb',
    type: 'notebook',
    ...more
  };
}

describe('group', () => {
  it('has no days without versions', () => {
    expect(group([], 15)).toEqual([]);
  });

  it('makes one session of versions that are close', () => {
    const versions = [
      version('2026-11-21T10:20:00'),
      version('2026-11-21T10:06:00'),
      version('2026-11-21T10:00:00')
    ];
    const [day, ...others] = group(versions, 15);
    expect(others).toEqual([]);
    expect(day!.sessions).toHaveLength(1);
    const session = day!.sessions[0]!;
    expect(session.versions).toEqual(versions);
    expect(session.start).toEqual(new Date('2026-11-21T10:00:00'));
    expect(session.end).toEqual(new Date('2026-11-21T10:20:00'));
  });

  it('begins another session after a pause', () => {
    const versions = [version('2026-11-21T10:20:00'), version('2026-11-21T10:04:59')];
    expect(group(versions, 15)[0]!.sessions).toHaveLength(2);
    expect(group(versions, 16)[0]!.sessions).toHaveLength(1);
  });

  it('begins another day and session at midnight', () => {
    const days = group([version('2026-11-21T00:01:00'), version('2026-11-20T23:59:00')], 15);
    expect(days.map(day => day.id)).toEqual(['2026-11-21', '2026-11-20']);
  });

  it('keeps the name of a session as newer versions land', () => {
    const old = version('2026-11-21T10:00:00');
    const [before] = group([old], 15);
    const [after] = group([version('2026-11-21T10:01:00'), old], 15);
    expect(after!.sessions[0]!.id).toBe(before!.sessions[0]!.id);
  });

  it('names every author once', () => {
    const [day] = group(
      [
        version('2026-11-21T10:01:00', { authors: ['Ada', 'Ben'] }),
        version('2026-11-21T10:00:00', { authors: ['Ben'] })
      ],
      15
    );
    expect(day!.sessions[0]!.authors).toEqual(['Ada', 'Ben']);
  });

  it('takes for milestones what is labelled, restored or published', () => {
    const plain = version('2026-11-21T10:00:00');
    const kept = [
      version('2026-11-21T10:04:00', { label: 'as submitted' }),
      version('2026-11-21T10:03:00', { origin: 'restore:v1' }),
      version('2026-11-21T10:02:00', { kind: 'published' })
    ];
    expect([...kept, plain].filter(isMilestone)).toEqual(kept);
  });

  it('tells what a version was restored from', () => {
    expect(restoredFrom(version('2026-11-21T10:00:00', { origin: 'restore:v1' }))).toBe('v1');
    expect(restoredFrom(version('2026-11-21T10:00:00', { origin: 'publish:v1' }))).toBeNull();
  });
});

describe('matches', () => {
  const labelled = version('2026-11-21T10:00:00', { label: 'As submitted', authors: ['Ada L.'] });

  it('finds words in any order and case, in label, author and date', () => {
    expect(matches(labelled, 'ada SUBMITTED', '21 Nov 2026')).toBe(true);
    expect(matches(labelled, 'nov', '21 Nov 2026')).toBe(true);
  });

  it('wants all words', () => {
    expect(matches(labelled, 'ada draft', '')).toBe(false);
  });

  it('takes an empty filter for none', () => {
    expect(matches(labelled, '  ', '')).toBe(true);
  });
});

describe('merge', () => {
  const old = version('2026-11-21T10:00:00', { label: 'first', authors: ['Ada'] });
  const newer = version('2026-11-21T10:01:00');

  it('puts newer versions in front', () => {
    expect(merge([old], [newer, old], false)!.map(each => each.version_id)).toEqual([
      newer.version_id,
      old.version_id
    ]);
  });

  it('keeps the details that a look did not ask for', () => {
    const bare = { ...old, label: null, authors: [] };
    expect(merge([old], [newer, bare], false)![1]).toEqual(old);
    expect(merge([old], [newer, bare], true)![1]).toEqual(bare);
  });

  it('says when there is a hole between what is known and what is newest', () => {
    expect(merge([old], [newer], false)).toBeNull();
  });
});
