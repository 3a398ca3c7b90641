/** HistorySidebar: the side panel, empty until it is first shown. */

import type { Message } from '@lumino/messaging';
import { PanelLayout, Widget } from '@lumino/widgets';

import type { HistoryView } from './panel';
import type { IServices } from './services';

export class HistorySidebar extends Widget {
  constructor(private readonly _services: IServices) {
    super();
    this.addClass('jp-BookstoreSidebar');
    this.layout = new PanelLayout();
  }

  /** Show the content, and move the focus into it. */
  async focusContent(): Promise<void> {
    const view = await this._load();
    await view.renderPromise;
    view.focus();
  }

  protected onAfterShow(_: Message): void {
    this._services.model.active = true;
    void this._load();
  }

  protected onAfterAttach(_: Message): void {
    if (this.isVisible) {
      this._services.model.active = true;
      void this._load();
    }
  }

  protected onBeforeHide(_: Message): void {
    this._services.model.active = false;
  }

  protected onUpdateRequest(_: Message): void {
    void this._view?.then(view => view.update());
  }

  private _load(): Promise<HistoryView> {
    this._view ??= import('./panel').then(({ HistoryView }) => {
      const view = new HistoryView(this._services, this._services.app.commands);
      (this.layout as PanelLayout).addWidget(view);
      return view;
    });
    return this._view;
  }

  private _view: Promise<HistoryView> | null = null;
}
