/** Folds runs of unchanged cells in nbdime's view, behind a button that says how many they are. */

import type { TranslationBundle } from '@jupyterlab/translation';

const UNCHANGED = 'jp-Diff-unchanged';

/** Fold what is unchanged among the cells below `root`. */
export function foldUnchanged(root: HTMLElement, trans: TranslationBundle): void {
  let run: HTMLElement[] = [];
  const close = (): void => {
    const [first] = run;
    if (first) {
      first.before(buttonOf(run, trans));
    }
    run = [];
  };
  let parent: HTMLElement | null = null;
  for (const cell of root.querySelectorAll<HTMLElement>('.jp-Cell-diff')) {
    if (cell.parentElement !== parent) {
      close();
      parent = cell.parentElement;
    }
    if (cell.classList.contains(UNCHANGED)) {
      run.push(cell);
    } else {
      close();
    }
  }
  close();
}

function buttonOf(cells: HTMLElement[], trans: TranslationBundle): HTMLElement {
  const button = document.createElement('button');
  button.className = 'jp-BookstoreCompare-fold';
  const fold = (folded: boolean): void => {
    button.setAttribute('aria-expanded', String(!folded));
    button.textContent = folded
      ? trans._n('%1 unchanged cell', '%1 unchanged cells', cells.length)
      : trans._n('Hide %1 unchanged cell', 'Hide %1 unchanged cells', cells.length);
    for (const cell of cells) {
      cell.hidden = folded;
    }
  };
  button.onclick = () => fold(button.getAttribute('aria-expanded') === 'true');
  fold(true);
  return button;
}
