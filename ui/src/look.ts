/** A version in a tab of its own: rendered as the document is, read-only, marked as the past. */

import type { MainAreaWidget } from '@jupyterlab/apputils';
import { CodeEditor, CodeEditorWrapper } from '@jupyterlab/codeeditor';
import type * as nbformat from '@jupyterlab/nbformat';
import { NotebookModel, StaticNotebook } from '@jupyterlab/notebook';
import { MimeModel } from '@jupyterlab/rendermime';
import type { Contents } from '@jupyterlab/services';
import { historyIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import { clone, copyId, download, restore } from './actions';
import type { IVersion } from './api';
import { timeOf } from './grouping';
import type { IPastAction } from './past';
import { PastTab } from './pasttab';
import type { IServices, IViewers } from './services';
import { cloneName, nameOf } from './wording';

/** The tab of a version, with its content as the contents API models it. `compare` shows what has
 * changed since. */
export async function viewOf(
  services: IServices,
  viewers: IViewers,
  path: string,
  version: IVersion,
  model: Contents.IModel,
  compare: () => Promise<void>
): Promise<MainAreaWidget> {
  const { wording } = services;
  const trans = wording.trans;
  const content = await render(viewers, model, trans.__("It can't be shown; download it."));
  content.addClass('jp-BookstoreLook');
  const when = wording.moment(timeOf(version));
  const by = version.authors.length ? trans.__('by %1', version.authors.join(', ')) : '';
  const title =
    version.kind === 'published'
      ? trans.__('Published on %1', when)
      : version.label
        ? trans.__('Past version “%1”, %2', version.label, when)
        : trans.__('Past version of %1', when);
  const widget = new PastTab(
    content,
    { title, text: [trans.__('read-only'), by].filter(Boolean).join(' · ') },
    actionsOn(services, path, version, compare),
    viewers.translator
  );
  widget.addClass('jp-BookstoreLook-tab');
  widget.title.label = `${nameOf(path)} · ${wording.brief(timeOf(version), new Date())}`;
  widget.title.icon = historyIcon;
  widget.title.caption = trans.__('%1 as it was on %2', path, wording.exact(timeOf(version)));
  widget.title.closable = true;
  return widget;
}

function actionsOn(
  services: IServices,
  path: string,
  version: IVersion,
  compare: () => Promise<void>
): IPastAction[] {
  const { trans } = services.wording;
  const more: IPastAction[] = [
    {
      label: path.endsWith('.ipynb')
        ? trans.__('Clone as New Notebook')
        : trans.__('Clone as New File'),
      onClick: () => void clone(services, version, cloneName(path, timeOf(version))),
      inMenuOnly: true
    },
    {
      label: trans.__('Copy Version Id'),
      onClick: () => copyId(services, version),
      inMenuOnly: true
    }
  ];
  // What the gallery shows is no document of this server's.
  return version.kind === 'published' && services.model.path !== path
    ? more
    : [
        { label: trans.__('Compare'), onClick: () => void compare() },
        { label: trans.__('Restore…'), onClick: () => void restore(services, path, version) },
        {
          label: trans.__('Download Version'),
          onClick: () => void download(services, path, version),
          inMenuOnly: true
        },
        ...more
      ];
}

async function render(
  viewers: IViewers,
  model: Contents.IModel,
  otherwise: string
): Promise<Widget> {
  if (model.type === 'notebook' && viewers.notebooks) {
    return notebook(viewers, model.content as nbformat.INotebookContent);
  }
  if (model.format === 'text') {
    return text(viewers, model);
  }
  const type = model.mimetype ?? '';
  const preferred = viewers.rendermime.preferredMimeType({ [type]: model.content }, 'any');
  if (preferred) {
    const renderer = viewers.rendermime.createRenderer(preferred);
    await renderer.renderModel(new MimeModel({ data: { [type]: model.content } }));
    return renderer;
  }
  const said = new Widget();
  said.node.textContent = otherwise;
  return said;
}

function notebook(viewers: IViewers, content: nbformat.INotebookContent): Widget {
  const { rendermime, editors, notebooks, translator } = viewers;
  const view = new StaticNotebook({
    rendermime: rendermime.clone(),
    contentFactory: notebooks!,
    mimeTypeService: editors.mimeTypeService,
    notebookConfig: {
      ...StaticNotebook.defaultNotebookConfig,
      windowingMode: 'contentVisibility',
      showHiddenCellsButton: false
    },
    translator
  });
  const model = new NotebookModel();
  model.fromJSON(content);
  model.readOnly = true;
  view.model = model;
  for (const cell of view.widgets) {
    cell.readOnly = true;
  }
  view.addClass('jp-Notebook');
  view.addClass('jp-mod-readOnly');
  view.disposed.connect(() => model.dispose());
  return view;
}

function text(viewers: IViewers, model: Contents.IModel): Widget {
  const { editors } = viewers;
  const editorModel = new CodeEditor.Model({
    mimeType: editors.mimeTypeService.getMimeTypeByFilePath(model.path)
  });
  editorModel.sharedModel.setSource(model.content as string);
  const view = new CodeEditorWrapper({
    model: editorModel,
    factory: options =>
      editors.factoryService.newDocumentEditor({
        ...options,
        config: { ...options.config, readOnly: true, lineNumbers: true }
      })
  });
  view.disposed.connect(() => editorModel.dispose());
  return view;
}
