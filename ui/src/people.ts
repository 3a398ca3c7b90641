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

/** Up to two letters for somebody. */
export function initials(author: string): string {
  const words = author.split(/\s+/).filter(Boolean);
  const ends = words.length > 1 ? [words[0]!, words[words.length - 1]!] : words;
  return ends.map(word => [...word][0]!.toUpperCase()).join('');
}
