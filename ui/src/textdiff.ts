/** A unified diff as a table. */

import type { TranslationBundle } from '@jupyterlab/translation';

/** A line of a unified diff, with its numbers on both sides. */
export interface ILine {
  kind: 'added' | 'removed' | 'same' | 'gap';
  before: number | null;
  after: number | null;
  text: string;
  /** Whether it is the last one, and the file ends without a newline. */
  unended?: boolean;
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;

/** The lines of a unified diff, without its header. */
export function linesOf(diff: string): ILine[] {
  const lines: ILine[] = [];
  let before = 0;
  let after = 0;
  let inHunk = false;
  for (const line of diff.split('\n')) {
    const hunk = HUNK.exec(line);
    if (hunk) {
      before = Number(hunk[1]);
      after = Number(hunk[2]);
      if (inHunk || before > 1 || after > 1) {
        lines.push({ kind: 'gap', before: null, after: null, text: '' });
      }
      inHunk = true;
    } else if (!inHunk || line === '') {
      continue;
    } else if (line.startsWith('\\')) {
      lines[lines.length - 1]!.unended = true;
    } else if (line.startsWith('+')) {
      lines.push({ kind: 'added', before: null, after: after++, text: line.slice(1) });
    } else if (line.startsWith('-')) {
      lines.push({ kind: 'removed', before: before++, after: null, text: line.slice(1) });
    } else if (line.startsWith(' ')) {
      lines.push({ kind: 'same', before: before++, after: after++, text: line.slice(1) });
    }
  }
  return lines;
}

/** The diff for people. */
export function textDiff(diff: string, trans: TranslationBundle): HTMLElement {
  const table = document.createElement('table');
  table.className = 'jp-BookstoreDiff';
  table.setAttribute('aria-label', trans.__('Changed lines'));
  const signs = { added: '+', removed: '−', same: '', gap: '' };
  for (const line of linesOf(diff)) {
    const row = table.insertRow();
    row.className = `jp-mod-${line.kind}`;
    for (const number of [line.before, line.after]) {
      const cell = row.insertCell();
      cell.className = 'jp-BookstoreDiff-number';
      cell.textContent = number === null ? '' : String(number);
    }
    const sign = row.insertCell();
    sign.className = 'jp-BookstoreDiff-sign';
    sign.textContent = signs[line.kind];
    const text = row.insertCell();
    text.className = 'jp-BookstoreDiff-text';
    text.textContent = line.kind === 'gap' ? '⋯' : line.text;
    if (line.unended) {
      const note = text.appendChild(document.createElement('span'));
      note.className = 'jp-BookstoreDiff-note';
      note.textContent = trans.__('no newline at the end');
    }
  }
  return table;
}
