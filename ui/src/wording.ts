/** How versions are put into words. Pure functions. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IVersion } from './api';
import { dayOf, timeOf } from './grouping';

/** Words, times and sizes in the user's language. */
export class Wording {
  constructor(
    readonly trans: TranslationBundle,
    languageCode: string
  ) {
    const locale = validLocale(languageCode);
    this._relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
    this._short = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' });
    this._time = new Intl.DateTimeFormat(locale, { timeStyle: 'short' });
    this._clock = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' });
    this._exact = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' });
    this._moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
    this._brief = new Intl.DateTimeFormat(locale, {
      day: 'numeric',
      month: 'short',
      hour: 'numeric',
      minute: '2-digit'
    });
    this._day = new Intl.DateTimeFormat(locale, {
      weekday: 'long',
      day: 'numeric',
      month: 'long'
    });
    this._dayOfYear = new Intl.DateTimeFormat(locale, { dateStyle: 'long' });
    this._tenths = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
    this._whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  }

  private readonly _relative: Intl.RelativeTimeFormat;
  private readonly _short: Intl.RelativeTimeFormat;
  private readonly _time: Intl.DateTimeFormat;
  private readonly _clock: Intl.DateTimeFormat;
  private readonly _exact: Intl.DateTimeFormat;
  private readonly _moment: Intl.DateTimeFormat;
  private readonly _brief: Intl.DateTimeFormat;
  private readonly _day: Intl.DateTimeFormat;
  private readonly _dayOfYear: Intl.DateTimeFormat;
  private readonly _tenths: Intl.NumberFormat;
  private readonly _whole: Intl.NumberFormat;

  /** The hour and minute. */
  time(date: Date): string {
    return this._time.format(date);
  }

  /** To the second, which tells the versions of one minute apart. */
  clock(date: Date): string {
    return this._clock.format(date);
  }

  /** "10:02 – 10:34"; one time if both are in one minute. */
  span(start: Date, end: Date): string {
    const [from, to] = [this.time(start), this.time(end)];
    return from === to ? to : `${from} – ${to}`;
  }

  /** Date and time to the second. */
  exact(date: Date): string {
    return this._exact.format(date);
  }

  /** Date and time to the minute. */
  moment(date: Date): string {
    return this._moment.format(date);
  }

  /** The time; of another day the date, too, without its year. */
  brief(date: Date, now: Date): string {
    return dayOf(date) === dayOf(now) ? this.time(date) : this._brief.format(date);
  }

  /** "2 minutes ago". */
  ago(date: Date, now: Date): string {
    return this._ago(date, now, this._relative);
  }

  /** "2 min. ago", for where there is little room. */
  agoInBrief(date: Date, now: Date): string {
    return this._ago(date, now, this._short);
  }

  private _ago(date: Date, now: Date, format: Intl.RelativeTimeFormat): string {
    const seconds = (now.getTime() - date.getTime()) / 1000;
    const found = UNITS.find(([, length]) => seconds >= 0.9 * length);
    if (!found) {
      return this.trans.__('just now');
    }
    const [unit, length] = found;
    return format.format(-Math.round(seconds / length), unit);
  }

  /** "Today", or the date. */
  day(date: Date, now: Date): string {
    const yesterday = new Date(now);
    yesterday.setDate(now.getDate() - 1);
    if (dayOf(date) === dayOf(now)) {
      return this.trans.__('Today');
    }
    if (dayOf(date) === dayOf(yesterday)) {
      return this.trans.__('Yesterday');
    }
    const sameYear = date.getFullYear() === now.getFullYear();
    return (sameYear ? this._day : this._dayOfYear).format(date);
  }

  /** "5.1 kB". */
  size(bytes: number): string {
    const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
    const value = bytes / 1000 ** power;
    return `${(value < 10 ? this._tenths : this._whole).format(value)} ${SIZES[power]}`;
  }

  /** What made a version. */
  made(version: IVersion): string {
    const [what] = version.origin.split(':');
    switch (what) {
      case 'restore':
        return this.trans.__('Restored');
      case 'undelete':
        return this.trans.__('Undeleted');
      case 'publish':
        return this.trans.__('Published');
      case 'import':
        return this.trans.__('Imported');
      case 'reset':
        return this.trans.__('File changed');
      case 'late':
        return this.trans.__('Late edits');
      case 'renamed-from':
        return this.trans.__('Renamed');
      default:
        return version.kind === 'published'
          ? this.trans.__('Published')
          : version.kind === 'save'
            ? this.trans.__('Save')
            : this.trans.__('Checkpoint');
    }
  }

  /** That somebody typed into what was not in the file any more. */
  lateEdits(path: string): string {
    return this.trans.__(
      'Another program changed the file %1, and cells that somebody typed into are gone. The typed text is a version: compare or restore “Late edits” in the history.',
      path
    );
  }

  /** What it was made of: the version restored, where that is known, or the former path. */
  from(version: IVersion, source: IVersion | null): string | null {
    const [what, ...rest] = version.origin.split(':');
    if (what === 'renamed-from') {
      return this.trans.__('from %1', rest.join(':'));
    }
    if (!source) {
      return null;
    }
    const [then, now] = [timeOf(source), timeOf(version)];
    const time = dayOf(then) === dayOf(now) ? this.clock(then) : this.moment(then);
    return source.label
      ? this.trans.__('from “%1”, %2', source.label, time)
      : this.trans.__('from %1', time);
  }

  /** What a screen reader says of a version. */
  description(version: IVersion, now: Date, source: IVersion | null = null): string {
    const made = [this.made(version), this.from(version, source)].filter(Boolean).join(' ');
    const parts = [version.label, made, this.ago(timeOf(version), now)];
    parts.push(this.exact(timeOf(version)));
    if (version.authors.length) {
      parts.push(this.trans.__('by %1', version.authors.join(', ')));
    }
    if (version.details_error) {
      parts.push(this.trans.__("authors and label can't be read"));
    }
    if (version.cold) {
      parts.push(this.trans.__('in cold storage'));
    }
    return parts.filter(Boolean).join(', ');
  }
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB'];

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60]
];

function validLocale(code: string): string | undefined {
  const tag = code.replace('_', '-');
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(tag).length ? tag : undefined;
  } catch {
    return undefined;
  }
}

/** The name that a clone of a version gets: the file's, with the version's date and time. */
export function cloneName(path: string, date: Date): string {
  const pad = (n: number): string => String(n).padStart(2, '0');
  const stamp = `${dayOf(date)}-${pad(date.getHours())}${pad(date.getMinutes())}`;
  const slash = path.lastIndexOf('/') + 1;
  const dot = path.lastIndexOf('.');
  const end = dot > slash ? dot : path.length;
  return `${path.slice(0, end)}-${stamp}${path.slice(end)}`;
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
