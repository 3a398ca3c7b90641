/** The colours of authors. */

import type { IPerson } from './current';

const COLOURS = 7; // that a JupyterLab theme has for collaborators

/** The colour that collaboration shows somebody in; of who is away, always the same one. */
export function colourOf(author: string, people: readonly IPerson[]): string {
  const present = people.find(person => person.name === author);
  if (present) {
    return present.color;
  }
  let hash = 0;
  for (const char of author) {
    hash = (31 * hash + char.codePointAt(0)!) >>> 0;
  }
  return `var(--jp-collaborator-color${1 + (hash % COLOURS)})`;
}

/** The style of letters on a colour. Those of the theme go with its own colour of text; others, which
 * an identity provider may give, get black or white, whichever is read better (WCAG 2.2, "contrast
 * ratio"). */
export function inkedOn(backgroundColor: string): { backgroundColor: string; color?: string } {
  const found = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(backgroundColor.trim());
  if (!found) {
    return { backgroundColor };
  }
  const digits = found[1]!.length === 3 ? found[1]!.replace(/./g, '$&$&') : found[1]!;
  const [red, green, blue] = [0, 2, 4].map(at => {
    const part = parseInt(digits.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return { backgroundColor, color: luminance > 0.179 ? '#000' : '#fff' };
}

/** Up to two letters for somebody. */
export function initials(author: string): string {
  const words = author.split(/\s+/).filter(Boolean);
  const ends = words.length > 1 ? [words[0]!, words[words.length - 1]!] : words;
  return ends.map(word => [...word][0]!.toUpperCase()).join('');
}
