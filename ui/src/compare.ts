/** What changed between two versions: nbdime's view of notebooks, a unified diff of texts. */

import 'nbdime/lib/styles/variables.css';
import 'nbdime/lib/common/collapsible.css';
import 'nbdime/lib/common/dragpanel.css';
import 'nbdime/lib/upstreaming/flexpanel.css';
import 'nbdime/lib/styles/common.css';
import 'nbdime/lib/styles/diff.css';
import '../style/compare.css';

import type { MainAreaWidget } from '@jupyterlab/apputils';
import { historyIcon } from '@jupyterlab/ui-components';
import { Panel, Widget } from '@lumino/widgets';
import { NotebookDiffModel } from 'nbdime/lib/diff/model';
import { NotebookDiffWidget } from 'nbdime/lib/diff/widget';

import { restore } from './actions';
import type { IDiff, IVersion } from './api';
import { timeOf } from './grouping';
import { foldUnchanged } from './folding';
import type { IPastAction } from './past';
import { PastTab } from './pasttab';
import type { IServices, IViewers } from './services';
import { whenStale } from './stale';
import { textDiff } from './textdiff';
import { nameOf } from './wording';

/** The tab of a comparison. `after` is null for what the document says now; then `refresh` opens
 * the comparison again. */
export async function viewOf(
  services: IServices,
  viewers: IViewers,
  path: string,
  before: IVersion,
  after: IVersion | null,
  diff: IDiff,
  refresh: () => Promise<void>
): Promise<MainAreaWidget> {
  const { wording } = services;
  const trans = wording.trans;
  const content = new Panel();
  content.addClass('jp-BookstoreCompare');
  const from = titleOf(services, before);
  const to = after ? titleOf(services, after) : trans.__('now');
  const actions: IPastAction[] = [
    { label: trans.__('Restore the Older…'), onClick: () => void restore(services, path, before) }
  ];
  if (after === null) {
    actions.unshift({
      label: trans.__('Refresh'),
      onClick: () => void refresh()
    });
  }
  const widget = new PastTab(
    content,
    { title: trans.__('%1 → %2', from, to), text: '' },
    actions,
    viewers.translator
  );
  widget.addClass('jp-BookstoreCompare-tab');
  widget.title.label = trans.__('%1 · changes', nameOf(path));
  widget.title.caption = trans.__('What changed in %1 from %2 to %3', path, from, to);
  widget.title.icon = historyIcon;
  widget.title.closable = true;
  if (after === null) {
    whenStale(widget, services, path, before.version_id, diff, () => {
      widget.notice = trans.__('Changed since');
    });
  }

  if (!diff.changed) {
    content.addWidget(message(trans.__('There are no differences.')));
  } else if (diff.type === 'notebook') {
    const view = new NotebookDiffWidget({
      model: new NotebookDiffModel(diff.base, diff.diff),
      rendermime: viewers.rendermime,
      editorFactory: viewers.editors.factoryService.newInlineEditor,
      collapseIdentical: true,
      translator: viewers.translator
    });
    const root = new Panel();
    root.addClass('nbdime-root');
    root.addWidget(view);
    content.addWidget(root);
    await view.init();
    foldUnchanged(root.node, trans);
  } else if (diff.type === 'text') {
    content.addWidget(new Widget({ node: textDiff(diff.diff as string, trans) }));
  } else {
    content.addWidget(message(trans.__('They differ, but this is not text that can be compared.')));
  }
  return widget;
}

function titleOf(services: IServices, version: IVersion): string {
  const when = services.wording.moment(timeOf(version));
  return version.label ? `“${version.label}”, ${when}` : when;
}

function message(text: string): Widget {
  const widget = new Widget();
  widget.addClass('jp-BookstoreMessage');
  widget.node.textContent = text;
  return widget;
}
