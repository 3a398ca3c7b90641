/** Versions by day and editing session. Pure functions. */

import type { IVersion } from './api';

/** Versions of one sitting, newest first. */
export interface ISession {
  /** The id of its oldest version, which stays when newer ones land. */
  id: string;
  versions: IVersion[];
  authors: string[];
  start: Date;
  end: Date;
}

/** The sessions of one local day, newest first. `id` is its date, in ISO 8601. */
export interface IDay {
  id: string;
  date: Date;
  sessions: ISession[];
}

/** Whether a version is more than a step on the way: somebody named, restored or published it, or it is
 * what a change of the file replaced, or kept out. */
export function isMilestone(version: IVersion): boolean {
  return (
    !!version.label ||
    version.kind === 'published' ||
    /^(restore|undelete|publish|import|renamed-from|reset|late)\b/.test(version.origin)
  );
}

/** The id of the version that a version restored; null if it is none of that kind. */
export function restoredFrom(version: IVersion): string | null {
  const [what, ...id] = version.origin.split(':');
  return what === 'restore' ? id.join(':') : null;
}

/**
 * Group versions, which come newest first, by local day and session.
 *
 * A session ends where more than `gap` minutes lie between two versions, and at midnight.
 */
export function group(versions: readonly IVersion[], gap: number): IDay[] {
  const days: IDay[] = [];
  let run: IVersion[] = [];
  const close = (): void => {
    const newest = run[0];
    if (!newest) {
      return;
    }
    const end = timeOf(newest);
    const id = dayOf(end);
    let day = days[days.length - 1];
    if (!day || day.id !== id) {
      day = { id, date: end, sessions: [] };
      days.push(day);
    }
    day.sessions.push(sessionOf(run));
    run = [];
  };
  for (const version of versions) {
    const before = run[run.length - 1];
    if (before && !sameSitting(timeOf(version), timeOf(before), gap)) {
      close();
    }
    run.push(version);
  }
  close();
  return days;
}

function sessionOf(versions: IVersion[]): ISession {
  const oldest = versions[versions.length - 1]!;
  return {
    id: oldest.version_id,
    versions,
    authors: [...new Set(versions.flatMap(version => version.authors))],
    start: timeOf(oldest),
    end: timeOf(versions[0]!)
  };
}

function sameSitting(older: Date, newer: Date, gap: number): boolean {
  return newer.getTime() - older.getTime() <= gap * 60_000 && dayOf(older) === dayOf(newer);
}

/** When a version was written. */
export function timeOf(version: IVersion): Date {
  return new Date(version.last_modified);
}

/** The local date in ISO 8601. */
export function dayOf(time: Date): string {
  const pad = (n: number): string => String(n).padStart(2, '0');
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
}

/** Whether all words of the filter are in what is known about a version. */
export function matches(version: IVersion, filter: string, exact: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [
    version.label ?? '',
    ...version.authors,
    version.origin,
    version.kind,
    version.path,
    version.version_id,
    exact
  ]
    .join('\n')
    .toLowerCase();
  return words.every(word => text.includes(word));
}

/**
 * What is known after a look at the newest versions: `known` with `newest` in front.
 *
 * Details that the look did not ask for are kept. Null if the two do not meet, so that there are
 * versions between them that nobody has seen.
 */
export function merge(
  known: readonly IVersion[],
  newest: readonly IVersion[],
  detailed: boolean
): IVersion[] | null {
  const byId = new Map(known.map(version => [version.version_id, version]));
  const meet = known.length === 0 || newest.some(version => byId.has(version.version_id));
  if (!meet) {
    return null;
  }
  const seen = new Set(newest.map(version => version.version_id));
  const fresh = newest.map(version => {
    const old = byId.get(version.version_id);
    return old && !detailed
      ? { ...version, label: old.label, authors: old.authors, parent: old.parent, origin: old.origin }
      : version;
  });
  const merged = [...fresh, ...known.filter(version => !seen.has(version.version_id))];
  return merged.sort((a, b) => timeOf(b).getTime() - timeOf(a).getTime());
}
