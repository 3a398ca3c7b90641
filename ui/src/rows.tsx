/** The rows of the history's tree: one for a session, one for a version. */

import {
  LabIcon,
  caretDownIcon,
  caretRightIcon,
  ellipsesIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';

import type { IVersion } from './api';
import type { ISession } from './grouping';
import { restoredFrom, timeOf } from './grouping';
import { CommandIDs, VERSION_CLASS } from './ids';
import { colourOf, initials, inkedOn } from './people';
import type { IServices } from './services';

/** What each part of the tree is given. */
export interface IProps {
  services: IServices;
  commands: CommandRegistry;
  now: Date;
}

/** The id of a session's row. */
export function sessionId(session: ISession): string {
  return `session-${session.id}`;
}

/** Open the context menu of an item, as a right click in it would; it has the focus afterwards. */
export function openMenu(item: HTMLElement, { app }: IServices): void {
  const { left, top, height } = item.getBoundingClientRect();
  item.dispatchEvent(
    new MouseEvent('contextmenu', {
      bubbles: true,
      cancelable: true,
      clientX: left + 24,
      clientY: top + Math.min(height, 24)
    })
  );
  const { menu } = app.contextMenu;
  const back = (): void => {
    menu.aboutToClose.disconnect(back);
    item.focus();
  };
  if (menu.isAttached) {
    menu.aboutToClose.connect(back);
  }
}

/** A session's row, which folds its versions. */
export function SessionRow(
  props: IProps & {
    session: ISession;
    isOpen: boolean;
    isNewest: boolean;
    focusable: boolean;
    onFocus: (id: string) => void;
  }
): JSX.Element {
  const { services, session, isOpen, now } = props;
  const { model, wording } = services;
  const trans = wording.trans;
  const id = sessionId(session);
  const span = wording.span(session.start, session.end);
  const count = trans._n('%1 version', '%1 versions', session.versions.length);
  return (
    <div
      role="treeitem"
      className="jp-BookstoreHistory-session"
      aria-level={1}
      aria-expanded={isOpen}
      aria-label={[
        span,
        count,
        wording.ago(session.end, now),
        session.authors.length && trans.__('by %1', session.authors.join(', '))
      ]
        .filter(Boolean)
        .join(', ')}
      tabIndex={props.focusable ? 0 : -1}
      data-id={id}
      data-newest-id={session.versions[0]!.version_id}
      onFocus={() => props.onFocus(id)}
      onClick={() => model.setOpen(session.versions, !isOpen)}
      title={`${wording.exact(session.start)} – ${wording.exact(session.end)}`}
    >
      <Caret icon={isOpen ? caretDownIcon : caretRightIcon} />
      <div className="jp-BookstoreHistory-lines">
        <div className="jp-BookstoreHistory-line">
          <span className="jp-BookstoreHistory-time">{span}</span>
          <span className="jp-BookstoreHistory-end">{wording.agoInBrief(session.end, now)}</span>
        </div>
        <div className="jp-BookstoreHistory-line jp-mod-quiet">
          <Authors names={session.authors} services={services} />
          <span className="jp-BookstoreHistory-end">{count}</span>
        </div>
      </div>
    </div>
  );
}

function Caret(props: { icon: LabIcon }): JSX.Element {
  return <props.icon.react tag="span" className="jp-BookstoreHistory-caret" stylesheet="menuItem" />;
}

/** A version's row, with its actions while it is selected. */
export function VersionRow(
  props: IProps & {
    version: IVersion;
    level: number;
    parent?: string;
    isNewest: boolean;
    focusable: boolean;
    onFocus: (id: string) => void;
  }
): JSX.Element {
  const { services, version, now, commands } = props;
  const { model, wording } = services;
  const trans = wording.trans;
  const id = version.version_id;
  const selected = model.selected?.version_id === id;
  const time = timeOf(version);
  const source = model.find(restoredFrom(version));
  const from = wording.from(version, source);
  const run = (command: string) => (event: React.MouseEvent) => {
    event.stopPropagation();
    void commands.execute(command, { versionId: id });
  };
  return (
    <div
      role="treeitem"
      className={
        VERSION_CLASS +
        (selected ? ' jp-mod-selected' : '') +
        (model.marked?.version_id === id ? ' jp-mod-marked' : '') +
        (props.level > 1 ? ' jp-mod-nested' : '')
      }
      aria-level={props.level}
      aria-selected={selected}
      aria-label={
        wording.description(version, now, source) + (props.isNewest ? `, ${trans.__('newest')}` : '')
      }
      tabIndex={props.focusable ? 0 : -1}
      data-id={id}
      data-version-id={id}
      title={wording.exact(time)}
      onFocus={event => {
        props.onFocus(id);
        if (event.target === event.currentTarget) {
          model.select(id);
        }
      }}
      onClick={() => model.select(id)}
      onDoubleClick={run(CommandIDs.look)}
      onContextMenu={() => model.select(id)}
    >
      <span className={`jp-BookstoreHistory-dot jp-mod-${markOf(version)}`} aria-hidden="true" />
      <div className="jp-BookstoreHistory-lines">
        {version.label && (
          <div className="jp-BookstoreHistory-label">
            {version.label}
          </div>
        )}
        <div className="jp-BookstoreHistory-line">
          <span className="jp-BookstoreHistory-time">{wording.clock(time)}</span>
          <span className="jp-BookstoreHistory-made">{wording.made(version)}</span>
          <span className="jp-BookstoreHistory-end">{wording.agoInBrief(time, now)}</span>
        </div>
        {from && (
          <div className="jp-BookstoreHistory-line jp-mod-quiet">
            <span className="jp-BookstoreHistory-from" title={from}>
              {from}
            </span>
          </div>
        )}
        <div className="jp-BookstoreHistory-line jp-mod-quiet">
          {version.details_error ? (
            <span className="jp-BookstoreHistory-names" title={version.details_error}>
              {trans.__("Authors and label can't be read")}
            </span>
          ) : (
            <Authors names={version.authors} services={services} />
          )}
          <span className="jp-BookstoreHistory-end">
            {version.cold ? `${trans.__('in cold storage')}, ` : ''}
            {wording.size(version.size)}
          </span>
        </div>
        {selected && (
          <div className="jp-BookstoreHistory-actions">
            <button className="jp-mod-styled jp-mod-accept" onClick={run(CommandIDs.look)}>
              {trans.__('Look')}
            </button>
            <button className="jp-mod-styled" onClick={run(CommandIDs.compareNow)}>
              {trans.__('Compare')}
            </button>
            <button className="jp-mod-styled" onClick={run(CommandIDs.restore)}>
              {trans.__('Restore…')}
            </button>
            <button
              className="jp-mod-styled jp-mod-minimal"
              aria-haspopup="menu"
              aria-label={trans.__('More actions')}
              title={trans.__('More actions')}
              onClick={event => {
                event.stopPropagation();
                openMenu(event.currentTarget, services);
              }}
            >
              <ellipsesIcon.react tag="span" stylesheet="menuItem" />
            </button>
          </div>
        )}
      </div>
    </div>
  );
}

/** How a version is marked on the line of time. */
function markOf(version: IVersion): string {
  const origin = version.origin.split(':')[0];
  return version.kind === 'published' || origin === 'publish'
    ? 'published'
    : origin === 'restore' || origin === 'undelete'
      ? 'restored'
      : version.label
        ? 'labelled'
        : 'plain';
}

function Authors(props: { names: readonly string[]; services: IServices }): JSX.Element | null {
  const { names, services } = props;
  if (!names.length) {
    return null;
  }
  const people = services.current.people;
  const shown = names.slice(0, 3);
  return (
    <span className="jp-BookstoreHistory-authors" title={names.join(', ')}>
      {shown.map(name => (
        <span
          key={name}
          className="jp-BookstoreHistory-author"
          style={inkedOn(colourOf(name, people))}
          aria-hidden="true"
        >
          {initials(name)}
        </span>
      ))}
      <span className="jp-BookstoreHistory-names">
        {names.length > 3 ? `${shown[0]!} +${names.length - 1}` : names.join(', ')}
      </span>
    </span>
  );
}
