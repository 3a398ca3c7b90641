/** The bar above what is past: what it is, and what can be done with it. */

import { ReactWidget, historyIcon } from '@jupyterlab/ui-components';
import React from 'react';

/** What a tab offers; in the bar above what is past, or in its menu alone. */
export interface IPastAction {
  label: string;
  onClick: () => void;
  inMenuOnly?: boolean;
}

export class PastBar extends ReactWidget {
  constructor(
    private readonly _title: string,
    private readonly _text: string,
    private readonly _actions: IPastAction[]
  ) {
    super();
    this.addClass('jp-BookstorePast');
    this.node.setAttribute('role', 'note');
    this.node.setAttribute('aria-live', 'polite');
  }

  /** Say what has become of it since, in full however narrow the bar is. */
  set notice(text: string) {
    this._notice = text;
    this.update();
  }

  protected render(): JSX.Element {
    return (
      <>
        <historyIcon.react tag="span" className="jp-BookstorePast-icon" stylesheet="menuItem" />
        <span className="jp-BookstorePast-text" title={`${this._title} ${this._text}`}>
          <strong>{this._title}</strong> <span>{this._text}</span>
        </span>
        {this._notice && <span className="jp-BookstorePast-notice">{this._notice}</span>}
        {this._actions.map(action => (
          <button key={action.label} className="jp-mod-styled" onClick={action.onClick}>
            {action.label}
          </button>
        ))}
      </>
    );
  }

  private _notice = '';
}
