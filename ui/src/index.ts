/** The extension: what JupyterLab loads at its start. Views are loaded when they are first shown. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { ILauncher } from '@jupyterlab/launcher';
import { NotebookPanel } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { historyIcon } from '@jupyterlab/ui-components';

import { Api } from './api';
import { addCommands } from './commands';
import { CurrentDocument } from './current';
import { addGallery } from './gallerytab';
import { CommandIDs, DOMAIN, PACKAGE, PANEL_ID } from './ids';
import { keepCurrent } from './live';
import { offerLogin } from './login';
import { HistoryModel } from './model';
import { followOthers } from './others';
import type { IServices } from './services';
import { HistorySidebar } from './sidebar';
import { StatusItem } from './status';
import { StatusModel } from './statusmodel';
import { Wording } from './wording';

const plugin: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:plugin`,
  description: 'The version history of the current document.',
  autoStart: true,
  requires: [IDocumentManager, IRenderMimeRegistry, IEditorServices],
  optional: [
    ITranslator,
    NotebookPanel.IContentFactory,
    ILabShell,
    ILayoutRestorer,
    ICommandPalette,
    ISettingRegistry,
    IStatusBar,
    ILauncher
  ],
  activate: (
    app: JupyterFrontEnd,
    documents: IDocumentManager,
    rendermime: IRenderMimeRegistry,
    editors: IEditorServices,
    anyTranslator: ITranslator | null,
    notebooks: NotebookPanel.IContentFactory | null,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null,
    statusBar: IStatusBar | null,
    launcher: ILauncher | null
  ) => {
    const translator = anyTranslator ?? nullTranslator;
    const trans = translator.load(DOMAIN);
    const api = new Api(app.serviceManager.serverSettings);
    const services: IServices = {
      app,
      api,
      current: new CurrentDocument(app, documents),
      model: new HistoryModel(api),
      status: new StatusModel(api),
      wording: new Wording(trans, translator.languageCode),
      sessionGap: 15,
      lastRestore: null,
      ownRestores: []
    };
    const viewers = { rendermime, editors, notebooks, translator };
    addCommands(services, viewers, palette);
    addGallery(services, viewers, palette, launcher);

    const sidebar = new HistorySidebar(services);
    sidebar.id = PANEL_ID;
    sidebar.title.icon = historyIcon;
    sidebar.title.caption = trans.__('Version history');
    sidebar.node.setAttribute('role', 'region');
    sidebar.node.setAttribute('aria-label', trans.__('Version history'));
    if (!labShell) {
      sidebar.title.label = trans.__('Version history');
    }
    app.shell.add(sidebar, 'right', { rank: 650, type: 'Version History' });
    restorer?.add(sidebar, PANEL_ID);

    const open = async (): Promise<void> => {
      app.shell.activateById(PANEL_ID);
      await sidebar.focusContent();
    };
    app.commands.addCommand(CommandIDs.open, {
      label: trans.__('Version History'),
      caption: trans.__('Show the versions of the current document'),
      icon: historyIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: open
    });
    palette?.addItem({ command: CommandIDs.open, category: trans.__('Version History') });

    const pace = keepCurrent(services);
    offerLogin(services);
    followOthers(services, viewers);
    if (settings) {
      void settings.load(plugin.id).then(loaded => {
        const apply = (): void => {
          services.sessionGap = loaded.get('sessionGap').composite as number;
          pace.seconds = loaded.get('refreshInterval').composite as number;
          sidebar.update();
        };
        loaded.changed.connect(apply);
        apply();
      });
    }
    statusBar?.registerStatusItem(`${PACKAGE}:status`, {
      item: new StatusItem(services, () => void open()),
      align: 'right',
      rank: 40,
      isActive: () => services.current.path !== null,
      activeStateChanged: services.current.changed
    });
  }
};

export default [plugin];
