/** Tabs of the main area, where there are some. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Widget } from '@lumino/widgets';
import { SplitPanel } from '@lumino/widgets';

/** Whether it is Jupyter Notebook: one document in its main area, and a place for more below it. */
export function isNotebookApp(app: JupyterFrontEnd): boolean {
  return app.name === 'Jupyter Notebook';
}

/** Add a tab, and show it. */
export function addTab(app: JupyterFrontEnd, widget: Widget): void {
  app.shell.add(widget, isNotebookApp(app) ? 'down' : 'main');
  app.shell.activateById(widget.id);
  if (isNotebookApp(app)) {
    // The place below has no height of its own.
    let parent = widget.parent;
    while (parent && !(parent instanceof SplitPanel)) {
      parent = parent.parent;
    }
    parent?.setRelativeSizes([1, 1]);
  }
}

/** The tab with this id. */
export function findTab(app: JupyterFrontEnd, id: string): Widget | undefined {
  const area = isNotebookApp(app) ? 'down' : 'main';
  return [...app.shell.widgets(area)].find(widget => widget.id === id);
}
