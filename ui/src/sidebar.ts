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
    _services.status.changed.connect(() => {
      if (this._failure && this.isVisible) {
        void this._load();
      }
    });
  }

  /** Show the content, and move the focus into it. */
  async focusContent(): Promise<void> {
    const view = await this._load();
    await view?.renderPromise;
    view?.focus();
  }

  protected onAfterShow(_: Message): void {
    this._services.model.active = true;
    this._keepNotificationsBeside();
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

  protected onAfterHide(_: Message): void {
    this._keepNotificationsBeside();
  }

  protected onResize(_: Widget.ResizeMessage): void {
    this._keepNotificationsBeside();
  }

  /** Tell the style sheet how much at the right of the page is the panel's. */
  private _keepNotificationsBeside(): void {
    const { left, right } = this.node.getBoundingClientRect();
    const isAtRight = this.isVisible && left > document.body.clientWidth - right;
    const width = isAtRight ? document.body.clientWidth - left : 0;
    // In a narrow window they would have no room there.
    const beside = width < document.body.clientWidth / 2 ? width : 0;
    document.body.style.setProperty('--jp-bookstore-beside', `${Math.round(beside)}px`);
  }

  protected onUpdateRequest(_: Message): void {
    void this._view?.then(view => view?.update());
  }

  /** The content; null if the server does not answer. */
  private _load(): Promise<HistoryView | null> {
    this._view ??= import('./panel').then(
      ({ HistoryView }) => {
        const view = new HistoryView(this._services, this._services.app.commands);
        this._failure = null;
        this._fill(view);
        return view;
      },
      () => {
        this._view = null;
        this._failure = new Widget();
        this._failure.addClass('jp-BookstoreMessage');
        this._failure.node.setAttribute('role', 'alert');
        this._failure.node.textContent = this._services.wording.trans.__(
          'The Jupyter server does not answer. The versions appear when it is back.'
        );
        this._fill(this._failure);
        return null;
      }
    );
    return this._view;
  }

  private _fill(content: Widget): void {
    for (const widget of [...this.layout!]) {
      widget.dispose();
    }
    (this.layout as PanelLayout).addWidget(content);
  }

  private _view: Promise<HistoryView | null> | null = null;
  private _failure: Widget | null = null;
}
