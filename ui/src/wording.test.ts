import { describe, expect, it } from 'vitest';

import { archivedOf } from './statusmodel';
import type { IStatus, IVersion } from './api';
import { ApiError } from './api';
import { linesOf } from './textdiff';
import { Wording, cloneName } from './wording';

const trans = {
  __: (text: string, ...args: string[]) => text.replace(/%(\d)/g, (_, n) => args[Number(n) - 1]!)
};
const wording = new Wording(trans as never, 'en');
const now = new Date('2026-11-21T12:00:00');

describe('Wording', () => {
  it.each([
    ['2026-11-21T11:59:30', 'just now'],
    ['2026-11-21T12:00:30', 'just now'],
    ['2026-11-21T11:58:00', '2 minutes ago'],
    ['2026-11-21T09:00:00', '3 hours ago'],
    ['2026-11-20T12:00:00', 'yesterday'],
    ['2026-10-01T12:00:00', '2 months ago']
  ])('says of %s that it is %s', (time, said) => {
    expect(wording.ago(new Date(time), now)).toBe(said);
    const brief = said.replace(/minutes?/, 'min.').replace(/hours?/, 'hr.');
    if (brief !== said) {
      expect(wording.agoInBrief(new Date(time), now)).toBe(brief);
    }
  });

  it('has words for every second of two minutes', () => {
    for (let seconds = 0; seconds <= 120; seconds++) {
      const said = wording.ago(new Date(now.getTime() - 1000 * seconds), now);
      expect(said).toMatch(/^(just now|[12] minutes? ago)$/);
    }
  });

  it('tells a screen reader of cold storage, and of details that are denied', () => {
    const version = {
      origin: '',
      kind: 'save',
      last_modified: now.toISOString(),
      authors: [],
      label: null,
      cold: true,
      details_error: 'S3 refused it.'
    } as unknown as IVersion;
    const said = wording.description(version, now);
    expect(said).toContain('in cold storage');
    expect(said).toContain("authors and label can't be read");
  });

  it('says which version was restored, if it is known', () => {
    const at = (last_modified: string, origin: string): IVersion =>
      ({ kind: 'snapshot', origin, last_modified }) as IVersion;
    const restored = at('2026-11-21T10:05:00', 'restore:v1');
    expect(wording.from(restored, null)).toBeNull();
    expect(wording.from(restored, at('2026-11-21T10:03:07', 'checkpoint'))).toBe(
      'from 10:03:07 AM'
    );
    expect(wording.from(restored, at('2026-11-20T10:03:07', 'checkpoint'))).toBe(
      'from Nov 20, 2026, 10:03 AM'
    );
    const labelled = { ...at('2026-11-21T10:03:07', 'checkpoint'), label: 'as sent' };
    expect(wording.from(restored, labelled)).toBe('from “as sent”, 10:03:07 AM');
  });

  it.each([
    ['reset:v1', 'File changed'],
    ['late:v1', 'Late edits']
  ])('says what %s was made by', (origin, said) => {
    expect(wording.made({ kind: 'snapshot', origin } as IVersion)).toBe(said);
  });

  it('says what a document was called', () => {
    const renamed = { kind: 'snapshot', origin: 'renamed-from:a:b.ipynb' } as IVersion;
    expect(`${wording.made(renamed)} ${wording.from(renamed, null)}`).toBe('Renamed from a:b.ipynb');
  });

  it.each([
    ['2026-11-21T00:00:00', 'Today'],
    ['2026-11-20T23:59:00', 'Yesterday'],
    ['2026-11-19T12:00:00', 'Thursday, November 19'],
    ['2025-11-19T12:00:00', 'November 19, 2025']
  ])('calls the day of %s %s', (time, said) => {
    expect(wording.day(new Date(time), now)).toBe(said);
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [5120, '5.1 kB'],
    [12_400_000, '12 MB']
  ])('says that %i bytes are %s', (bytes, said) => {
    expect(wording.size(bytes)).toBe(said);
  });

  it('works in a language that the browser does not know', () => {
    expect(() => new Wording(trans as never, 'not a language').time(now)).not.toThrow();
  });
});

describe('cloneName', () => {
  it('puts the time between name and ending', () => {
    expect(cloneName('work/tides.ipynb', now)).toBe('work/tides-2026-11-21-1200.ipynb');
    expect(cloneName('.profile', now)).toBe('.profile-2026-11-21-1200');
    expect(cloneName('a.b/Makefile', now)).toBe('a.b/Makefile-2026-11-21-1200');
  });
});

describe('linesOf', () => {
  it('numbers the lines of both sides', () => {
    const diff = ['--- a', '+++ b', '@@ -3,3 +3,3 @@', ' same', '-old', '+new', ' end', ''];
    expect(linesOf(diff.join('\n')).map(line => [line.kind, line.before, line.after])).toEqual([
      ['gap', null, null],
      ['same', 3, 3],
      ['removed', 4, null],
      ['added', null, 4],
      ['same', 5, 5]
    ]);
  });

  it('tells an end without a newline', () => {
    const end = '\\ No newline at end of file';
    const diff = ['--- a', '+++ b', '@@ -1 +1 @@', '-old', end, '+old', ''];
    expect(linesOf(diff.join('\n')).map(line => !!line.unended)).toEqual([true, false]);
  });

  it('takes lines that look like a header for what they are', () => {
    const diff = ['--- a', '+++ b', '@@ -1 +1 @@', '--- old', '+++ new'];
    expect(linesOf(diff.join('\n')).map(line => line.text)).toEqual(['-- old', '++ new']);
  });
});

describe('archivedOf', () => {
  const status = {
    bucket: 'notebooks',
    features: { archive_valid: true, publish_valid: true, s3_clone_valid: true },
    status: 'ok',
    error: null,
    document: { path: 'p', pending_updates: 0, pending_save: false, error: null, newest: {} }
  } as unknown as IStatus;
  const of = (more: object): string => archivedOf({ ...status, ...more }, null);
  const document = (more: object): string =>
    of({ document: { ...status.document, ...more } });

  it('tells the states apart', () => {
    expect(archivedOf(null, null)).toBe('unknown');
    expect(of({})).toBe('archived');
    expect(document({ newest: null })).toBe('no versions');
    expect(document({ pending_updates: 3 })).toBe('pending');
    expect(document({ pending_save: true })).toBe('pending');
    expect(document({ error: 'refused', pending_updates: 3 })).toBe('retrying');
    expect(of({ status: 'retrying', error: 'away' })).toBe('retrying');
    expect(of({ status: 'not configured' })).toBe('not configured');
    expect(archivedOf(status, new ApiError('', 0))).toBe('offline');
    expect(archivedOf(status, new ApiError('', 500))).toBe('failed');
    expect(archivedOf(null, new ApiError('', 404))).toBe('not configured');
  });

  it('does not call a document failing for another one’s sake', () => {
    expect(of({ status: 'retrying', failing_documents: { other: 'too large' } })).toBe('archived');
  });
});
