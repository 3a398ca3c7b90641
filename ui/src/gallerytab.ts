/** Adds the gallery: its command, the launcher's card, and the address `/lab?bookstore`. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import { LabIcon } from '@jupyterlab/ui-components';

import { attempt } from './attempt';
import { CommandIDs } from './ids';
import type { IServices, IViewers } from './services';
import { addTab, findTab } from './tabs';

const TAB_ID = 'bookstore-gallery';

const galleryIcon = new LabIcon({
  name: 'bookstore-y:gallery',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M4 4h4v16H4zm6 0h4v16h-4zm5.6.9 3.9-.9 3.6 15.5-3.9.9z"/>
</svg>`
});

/** Add the gallery to the application. */
export function addGallery(
  services: IServices,
  viewers: IViewers,
  palette: ICommandPalette | null,
  launcher: ILauncher | null
): void {
  const { app, wording } = services;
  const trans = wording.trans;
  app.commands.addCommand(CommandIDs.gallery, {
    label: trans.__('Published Notebooks'),
    caption: trans.__('Search, preview and clone what your organization has published'),
    icon: galleryIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => attempt(trans, trans.__("The gallery can't be shown now"), () => open(app))
  });
  palette?.addItem({ command: CommandIDs.gallery, category: trans.__('Version History') });
  launcher?.add({ command: CommandIDs.gallery, category: trans.__('Other'), rank: 50 });
  if (new URLSearchParams(window.location.search).has('bookstore')) {
    void app.restored.then(() => open(app));
  }

  async function open(app: JupyterFrontEnd): Promise<void> {
    if (findTab(app, TAB_ID)) {
      app.shell.activateById(TAB_ID);
    } else {
      const { GalleryView } = await import('./gallery');
      const content = new GalleryView(services, viewers);
      const widget = new MainAreaWidget({ content, translator: viewers.translator });
      widget.id = TAB_ID;
      widget.toolbar.hide();
      widget.title.label = trans.__('Published Notebooks');
      widget.title.icon = galleryIcon;
      widget.title.closable = true;
      addTab(app, widget);
    }
  }
}
