/** The status bar's item. */

import { TextItem } from '@jupyterlab/statusbar';
import { ReactWidget, UseSignal, historyIcon } from '@jupyterlab/ui-components';
import React from 'react';

import type { IServices } from './services';
import type { IPathChange } from './api';
import { refusedOf } from './statusmodel';
import type { Archived } from './statusmodel';
import { workspaceExplained, workspaceSaid } from './workspace';

/** Whether the current document is archived. A click opens the panel. */
export class StatusItem extends ReactWidget {
  constructor(
    private readonly _services: IServices,
    private readonly _open: () => void
  ) {
    super();
    this.addClass('jp-BookstoreStatus');
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this._services.status.changed}>
        {() => <Item services={this._services} open={this._open} />}
      </UseSignal>
    );
  }
}

function Item(props: { services: IServices; open: () => void }): JSX.Element | null {
  const { status, wording } = props.services;
  const { archived } = status;
  const files = workspaceSaid(status.status?.workspace, wording.trans);
  if (archived === 'unknown' && !files) {
    return null;
  }
  const refused = refusedOf(status.status).length;
  const text =
    (archived === 'unknown' ? files! : said(archived, props.services)) +
    (refused
      ? ' · ' + wording.trans._n('%1 change refused', '%1 changes refused', refused)
      : '');
  const title = explained(archived, props.services);
  return (
    <button
      className={`jp-BookstoreStatus-button jp-mod-${archived.replace(' ', '-')}`}
      title={title}
      aria-label={`${wording.trans.__('Version history')}: ${text}`}
      onClick={props.open}
    >
      <historyIcon.react tag="span" stylesheet="statusBar" />
      <TextItem source={text} />
      {files && archived !== 'unknown' && <TextItem source={files} />}
    </button>
  );
}

function said(archived: Archived, services: IServices): string {
  const { status, wording } = services;
  const trans = wording.trans;
  const newest = status.status?.document?.newest;
  switch (archived) {
    case 'archived':
      return trans.__(
        'Archived %1',
        wording.brief(new Date(newest!.last_modified), new Date())
      );
    case 'pending':
      return trans.__('Archiving…');
    case 'waiting':
      return trans.__(
        'Waiting for the bucket since %1',
        wording.brief(new Date(status.status!.waiting_since! * 1000), new Date())
      );
    case 'retrying':
      return trans.__('Not archived: retrying');
    case 'not configured':
      return trans.__('Not archived: not configured');
    case 'offline':
      return trans.__('The server does not answer');
    case 'failed':
      return trans.__('Not known whether archived');
    default:
      return trans.__('No versions yet');
  }
}

function explained(archived: Archived, services: IServices): string {
  const { status, wording } = services;
  const trans = wording.trans;
  const state = status.status;
  const document = state?.document;
  const lines: (string | null | undefined)[] = [];
  if (archived === 'retrying') {
    lines.push(document?.error ?? state?.error);
    lines.push(trans.__('Your edits are kept, and archived when the bucket is back.'));
  } else if (archived === 'waiting') {
    lines.push(state?.error);
  } else if (archived === 'not configured') {
    lines.push(
      state?.error ?? trans.__('No bucket is configured: c.BookstoreSettings.s3_bucket is empty.')
    );
  } else if (archived === 'offline') {
    lines.push(trans.__('The Jupyter server does not answer.'));
  } else if (archived === 'failed') {
    lines.push(status.error!.message);
  } else if (archived === 'pending') {
    lines.push(trans.__('The last edits are being archived.'));
  }
  if (document?.newest) {
    const exact = wording.exact(new Date(document.newest.last_modified));
    lines.push(trans.__('Last version: %1', exact));
  }
  if (state?.bucket) {
    lines.push(trans.__('Bucket: %1', state.bucket));
    const key = document?.newest?.key ?? (document && state.workspace_prefix + document.path);
    lines.push(key && trans.__('Key: %1', key));
  }
  lines.push(...workspaceExplained(state?.workspace, trans));
  const refused = refusedOf(state);
  for (const change of refused.slice(0, SHOWN)) {
    lines.push(`${named(change, services)}: ${change.reason}`);
  }
  if (refused.length) {
    lines.push(
      trans.__('`jupyter bookstore moves` lists, retries and drops such changes.')
    );
  }
  lines.push(trans.__('Click to see the version history.'));
  return lines.filter(Boolean).join('\n');
}

/** Refused changes that the explanation names. */
const SHOWN = 3;

function named(change: IPathChange, services: IServices): string {
  const trans = services.wording.trans;
  switch (change.what) {
    case 'rename':
      return trans.__('Rename of %1 to %2', change.path, change.target ?? '');
    case 'deletion':
      return trans.__('Deletion of %1', change.path);
    default:
      return trans.__('Last edits of the former %1', change.path);
  }
}
