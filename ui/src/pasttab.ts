/** PastTab: a tab that shows what is past. What is done in it is done to nothing but the tab.
 *
 * A past notebook looks like one to JupyterLab, whose menu for cells and whose shortcuts are found
 * by CSS selectors, and act on the notebook that was worked on last.
 */

import { Clipboard, MainAreaWidget } from '@jupyterlab/apputils';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Menu, type Widget } from '@lumino/widgets';

import { DOMAIN } from './ids';
import { PastBar, type IPastAction } from './past';

export class PastTab extends MainAreaWidget {
  constructor(
    content: Widget,
    said: { title: string; text: string },
    private readonly _actions: IPastAction[],
    translator: ITranslator
  ) {
    super({ content, translator });
    this._trans = translator.load(DOMAIN);
    this.addClass('jp-BookstorePast-tab');
    this.toolbar.hide();
    content.node.tabIndex = 0;
    const inBar = _actions.filter(action => !action.inMenuOnly);
    this._bar = new PastBar(said.title, said.text, inBar);
    this.contentHeader.addWidget(this._bar);
  }

  /** What the bar says has become of it since. */
  set notice(text: string) {
    this._bar.notice = text;
  }

  protected onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.node.addEventListener('contextmenu', this._onContextMenu, true);
    // Before the document's listener, which runs the shortcuts.
    window.addEventListener('keydown', this._onKey, true);
    window.addEventListener('keyup', this._onKey, true);
  }

  protected onBeforeDetach(message: Message): void {
    this.node.removeEventListener('contextmenu', this._onContextMenu, true);
    window.removeEventListener('keydown', this._onKey, true);
    window.removeEventListener('keyup', this._onKey, true);
    super.onBeforeDetach(message);
  }

  private readonly _bar: PastBar;
  private readonly _trans: TranslationBundle;

  /** Have shortcuts found for the tab, and not for what looks like a cell in it. */
  private readonly _onKey = (event: KeyboardEvent): void => {
    const target = event.target as Node | null;
    if (target === this.node || !this.node.contains(target)) {
      return;
    }
    event.stopImmediatePropagation();
    if (!this.node.dispatchEvent(new KeyboardEvent(event.type, event))) {
      event.preventDefault();
    } else if (isSelectAll(event) && !(target instanceof HTMLInputElement)) {
      event.preventDefault();
      window.getSelection()?.selectAllChildren(this.content.node);
    }
  };

  /** Show our own menu. With Shift it is the browser's, as everywhere in JupyterLab. */
  private readonly _onContextMenu = (event: MouseEvent): void => {
    event.stopPropagation();
    if (event.shiftKey) {
      return;
    }
    event.preventDefault();
    const commands = new CommandRegistry();
    const menu = new Menu({ commands });
    const add = ({ label, onClick }: IPastAction): void => {
      commands.addCommand(label, { label, execute: onClick });
      menu.addItem({ command: label });
    };
    const selected = window.getSelection()?.toString();
    if (selected) {
      add({
        label: this._trans.__('Copy'),
        onClick: () => Clipboard.copyToSystem(selected)
      });
      if (this._actions.length) {
        menu.addItem({ type: 'separator' });
      }
    }
    this._actions.forEach(add);
    if (!menu.items.length) {
      menu.dispose();
      return;
    }
    menu.aboutToClose.connect(() => {
      // Once what was chosen has been done.
      window.setTimeout(() => menu.dispose());
    });
    const { left, top } = (event.target as Element).getBoundingClientRect();
    const byKeyboard = event.clientX === 0 && event.clientY === 0;
    menu.open(byKeyboard ? left : event.clientX, byKeyboard ? top : event.clientY);
  };
}

function isSelectAll(event: KeyboardEvent): boolean {
  return event.type === 'keydown' && (event.ctrlKey || event.metaKey) && event.key === 'a';
}
