/** HistoryView: the side panel's content. Loaded when the panel is first shown. */

import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import React, { useEffect, useState } from 'react';

import { matches, timeOf } from './grouping';
import type { IServices } from './services';
import { HistoryTree } from './tree';
import { Message } from './message';
import { nameOf } from './wording';
import { workspaceExplained, workspaceSaid } from './workspace';

/** What takes the focus: the first version, or the button of a message. */
const FIRST = '[role=treeitem][tabindex="0"], .jp-BookstoreMessage button';

/** The panel's content. */
export class HistoryView extends ReactWidget {
  constructor(
    private readonly _services: IServices,
    private readonly _commands: CommandRegistry
  ) {
    super();
    this.addClass('jp-BookstoreHistory');
  }

  /** Move the focus into the list, as soon as there is one. */
  focus(): void {
    this.node.tabIndex = -1;
    this.node.focus();
    const settle = (): boolean => {
      if (document.activeElement !== this.node) {
        return true; // who has gone on meanwhile is not called back
      }
      const item = this.node.querySelector<HTMLElement>(FIRST);
      item?.focus();
      return item !== null;
    };
    if (!settle()) {
      const observer = new MutationObserver(() => {
        if (settle()) {
          observer.disconnect();
        }
      });
      observer.observe(this.node, { childList: true, subtree: true });
    }
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this._services.model.changed}>
        {() => <History services={this._services} commands={this._commands} />}
      </UseSignal>
    );
  }
}

function History(props: { services: IServices; commands: CommandRegistry }): JSX.Element {
  const { model, wording } = props.services;
  const trans = wording.trans;
  const now = useNow(20_000);
  const path = model.path;
  const filterable =
    model.labelledOnly ||
    model.state === 'loading' ||
    (model.state === 'ready' && (model.versions.length > 0 || model.hasMore));
  return (
    <>
      <header className="jp-BookstoreHistory-header">
        <h2 title={path ?? undefined}>{path ? nameOf(path) : trans.__('Version history')}</h2>
        {filterable && (
          <div className="jp-BookstoreHistory-filters" role="search">
            <input
              type="search"
              className="jp-mod-styled jp-BookstoreHistory-filter"
              placeholder={trans.__('Filter by person, label or date')}
              aria-label={trans.__('Filter versions')}
              value={model.filter}
              onChange={event => {
                model.filter = event.target.value;
              }}
            />
            <label className="jp-BookstoreHistory-switch">
              <input
                type="checkbox"
                role="switch"
                checked={model.labelledOnly}
                onChange={event => {
                  model.labelledOnly = event.target.checked;
                }}
              />
              {trans.__('Labelled only')}
            </label>
          </div>
        )}
      </header>
      <Files services={props.services} />
      <Body {...props} now={now} />
    </>
  );
}

/** What is told of files that the disk has lost. */
function Files(props: { services: IServices }): JSX.Element {
  const { status, wording } = props.services;
  return (
    <UseSignal signal={status.changed}>
      {() => {
        const workspace = status.status?.workspace;
        const said = workspaceSaid(workspace, wording.trans);
        return said ? (
          <div className="jp-BookstoreHistory-banner" role="status">
            <span title={workspaceExplained(workspace, wording.trans).join('\n')}>{said}</span>
          </div>
        ) : null;
      }}
    </UseSignal>
  );
}

function Body(props: {
  services: IServices;
  commands: CommandRegistry;
  now: Date;
}): JSX.Element {
  const { services, now } = props;
  const { model, wording } = services;
  const trans = wording.trans;
  const retry = { label: trans.__('Try again'), onClick: () => void model.reload() };
  switch (model.state) {
    case 'no document':
      return (
        <Message
          title={trans.__('No document is open')}
          text={trans.__('Open a notebook or a file to see its versions.')}
        />
      );
    case 'loading':
      return <Message busy title={trans.__('Loading versions…')} />;
    case 'failed':
      return <Failure services={services} retry={retry} />;
  }
  const shown = model.filter
    ? model.versions.filter(version =>
        matches(version, model.filter, wording.exact(timeOf(version)) + wording.made(version))
      )
    : model.versions;
  if (!model.versions.length && !model.hasMore) {
    return model.labelledOnly ? (
      <Message
        title={trans.__('No version has a label')}
        text={trans.__('To find a version easily, name it with “Label Version…” in its menu.')}
      />
    ) : (
      <Message
        title={trans.__('No versions yet')}
        text={trans.__(
          'The first version appears when the file is saved, or soon after somebody edits it with collaboration on.'
        )}
      />
    );
  }
  return (
    <>
      {model.error && (
        <div className="jp-BookstoreHistory-banner" role="alert">
          <span title={model.error.message}>
            {model.error.status === 0
              ? trans.__('The server does not answer; this list may be old.')
              : model.error.status === 503
                ? trans.__('The bucket does not answer; this list may be old.')
                : trans.__("The versions can't be read; this list may be old.")}
          </span>
          <button className="jp-mod-styled jp-mod-minimal" onClick={() => void model.refresh()}>
            {retry.label}
          </button>
        </div>
      )}
      {shown.length || model.hasMore ? (
        <HistoryTree {...props} versions={shown} now={now} />
      ) : (
        <Message
          title={trans.__('No version matches')}
          text={trans.__('Nothing matches “%1”.', model.filter)}
          action={{
            label: trans.__('Clear the filter'),
            onClick: () => {
              model.filter = '';
            }
          }}
        />
      )}
    </>
  );
}

function Failure(props: {
  services: IServices;
  retry: { label: string; onClick: () => void };
}): JSX.Element {
  const { model, status, wording } = props.services;
  const trans = wording.trans;
  const error = model.error!;
  if (error.status === 0) {
    return (
      <Message
        error
        title={trans.__('The Jupyter server does not answer')}
        text={trans.__('Check your connection; the list reloads by itself.')}
        action={props.retry}
      />
    );
  }
  if (status.archived === 'not configured') {
    return (
      <Message
        title={trans.__('Nothing is archived here')}
        text={
          status.status?.error ??
          trans.__(
            "No bucket is configured. The server's administrator can set c.BookstoreSettings.s3_bucket."
          )
        }
        action={props.retry}
      />
    );
  }
  if (error.status === 404) {
    return (
      <Message title={trans.__('No versions')} text={error.message} action={props.retry} />
    );
  }
  return error.status === 503 ? (
    <Message
      error
      title={trans.__('The bucket does not answer')}
      text={trans.__(
        "The versions can't be listed now. Your edits are kept, and archived when the bucket is back."
      )}
      action={props.retry}
      details={{ label: trans.__('Details'), text: error.message }}
    />
  ) : (
    <Message
      error
      title={trans.__("The versions can't be read")}
      text={error.message}
      action={props.retry}
    />
  );
}

/** The time, anew every so many milliseconds. */
function useNow(every: number): Date {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick(count => count + 1), every);
    return () => clearInterval(timer);
  }, [every]);
  return new Date();
}
