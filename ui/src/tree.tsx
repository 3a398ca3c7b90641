/** The versions as a tree: days, editing sessions, and the versions in them. */

import {
  LabIcon,
  caretDownIcon,
  caretRightIcon,
  ellipsesIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import React, { useEffect, useRef, useState } from 'react';

import type { IVersion } from './api';
import type { ISession } from './grouping';
import { group, isMilestone, restoredFrom, timeOf } from './grouping';
import { CommandIDs, TREE_CLASS, VERSION_CLASS } from './ids';
import { colourOf, initials, inkedOn } from './people';
import type { IServices } from './services';

interface IProps {
  services: IServices;
  commands: CommandRegistry;
  now: Date;
}

export function HistoryTree(props: IProps & { versions: readonly IVersion[] }): JSX.Element {
  const { services, versions, now } = props;
  const { model, wording } = services;
  const trans = wording.trans;
  const days = group(versions, services.sessionGap);
  const [focused, setFocused] = useState<string | null>(null);
  const tree = useRef<HTMLDivElement>(null);
  const items = days.flatMap(day => day.sessions.flatMap(session => itemsOf(session, services)));
  // A session has another id when older versions of it are loaded.
  const active = (
    items.find(({ id }) => id === focused) ??
    items.find(({ session }) => session && isOf(session, focused)) ??
    items[0]
  )?.id;
  const newest = model.versions.find(version => version.kind !== 'published')?.version_id;

  const hasFocus = useRef(false);
  useEffect(() => {
    if (hasFocus.current && document.activeElement === document.body) {
      // The row that had it was made anew.
      tree.current?.querySelector<HTMLElement>('[role=treeitem][tabindex="0"]')?.focus();
    }
  });

  const move = (by: number): void => focusItem(tree.current, by);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const target = (event.target as HTMLElement).closest<HTMLElement>('[role=treeitem]');
    if (!target || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const item = items.find(item => item.id === target.dataset.id);
    const onRow = event.target === target;
    const done = (): void => {
      event.preventDefault();
      event.stopPropagation();
    };
    if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) {
      done();
      openMenu(target, services);
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      done();
      move(event.key === 'ArrowDown' ? 1 : -1);
    } else if (event.key === 'Home' || event.key === 'End') {
      done();
      move(event.key === 'Home' ? -Infinity : Infinity);
    } else if (event.key === 'Escape' && !onRow) {
      done();
      target.focus();
    } else if (!onRow || !item) {
      return;
    } else if (item.session && (event.key === 'ArrowRight' || event.key === 'ArrowLeft')) {
      done();
      model.setOpen(item.session.versions, event.key === 'ArrowRight');
    } else if (event.key === 'ArrowLeft' && item.parent) {
      done();
      tree.current?.querySelector<HTMLElement>(`[data-id="${item.parent}"]`)?.focus();
    } else if (event.key === 'Enter' || event.key === ' ') {
      done();
      if (item.session) {
        model.setOpen(item.session.versions, !model.isOpen(item.session.versions));
      } else if (event.key === 'Enter') {
        void props.commands.execute(CommandIDs.look, { versionId: item.id });
      } else {
        model.select(model.selected?.version_id === item.id ? null : item.id);
      }
    }
  };

  const row = (version: IVersion, level: number, parent?: string): JSX.Element => (
    <VersionRow
      key={version.version_id}
      {...props}
      version={version}
      level={level}
      parent={parent}
      isNewest={version.version_id === newest}
      focusable={version.version_id === active}
      onFocus={setFocused}
    />
  );

  return (
    <div className="jp-BookstoreHistory-scroll">
      <div
        ref={tree}
        className={TREE_CLASS}
        role="tree"
        aria-label={trans.__('Versions, newest first')}
        aria-busy={model.loadingMore}
        onKeyDown={onKeyDown}
        onFocus={() => {
          hasFocus.current = true;
        }}
        onBlur={() => {
          hasFocus.current = false;
        }}
      >
        {days.map(day => {
          const title = wording.day(day.date, now);
          return (
            <div key={day.id} role="group" aria-label={title}>
              <div className="jp-BookstoreHistory-day" aria-hidden="true">
                {title}
              </div>
              {day.sessions.map(session => {
                if (session.versions.length === 1) {
                  return row(session.versions[0]!, 1);
                }
                const isOpen = model.isOpen(session.versions);
                const id = sessionId(session);
                return (
                  <React.Fragment key={id}>
                    <SessionRow
                      {...props}
                      session={session}
                      isOpen={isOpen}
                      isNewest={session.versions.some(each => each.version_id === newest)}
                      focusable={id === active}
                      onFocus={setFocused}
                    />
                    {shownOf(session, services).map(version => row(version, 2, id))}
                  </React.Fragment>
                );
              })}
            </div>
          );
        })}
      </div>
      {model.hasMore && <More {...props} count={versions.length} />}
    </div>
  );
}

interface IItem {
  id: string;
  session?: ISession;
  parent?: string;
}

function sessionId(session: ISession): string {
  return `session-${session.id}`;
}

/** Whether an id is that of one of a session's versions, or was the session's. */
function isOf(session: ISession, id: string | null): boolean {
  return session.versions.some(each => id === each.version_id || id === `session-${each.version_id}`);
}

/** What the tree shows of a session, in its order. */
function itemsOf(session: ISession, services: IServices): IItem[] {
  if (session.versions.length === 1) {
    return [{ id: session.id }];
  }
  const parent = sessionId(session);
  const shown = shownOf(session, services);
  return [{ id: parent, session }, ...shown.map(({ version_id: id }) => ({ id, parent }))];
}

/** The versions of a session that are shown: folded, those that matter and the selected one. */
function shownOf(session: ISession, { model }: IServices): IVersion[] {
  return model.isOpen(session.versions)
    ? session.versions
    : session.versions.filter(each => isMilestone(each) || each === model.selected);
}

function focusItem(tree: HTMLElement | null, by: number): void {
  const all = [...(tree?.querySelectorAll<HTMLElement>('[role=treeitem]') ?? [])];
  const at = all.findIndex(item => item.contains(document.activeElement));
  const to = Math.min(all.length - 1, Math.max(0, at + by));
  all[to]?.focus();
  all[to]?.scrollIntoView({ block: 'nearest' });
}

/** Open the context menu of an item, as a right click in it would; it has the focus afterwards. */
function openMenu(item: HTMLElement, { app }: IServices): void {
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

function SessionRow(
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

function VersionRow(
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
              {trans.__('Authors and label cannot be read')}
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

/** Loads the next page when it comes into view. */
function More(props: IProps & { count: number }): JSX.Element {
  const { model, wording } = props.services;
  const node = useRef<HTMLDivElement>(null);
  const failed = model.error !== null;
  useEffect(() => {
    if (failed) {
      return; // it would fail again, at once
    }
    const observer = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) {
        void model.more();
      }
    });
    observer.observe(node.current!);
    return () => observer.disconnect();
    // Observed anew after each page, since it may be in view still.
  }, [model, failed, props.count, model.loadingMore, model.versions.length]);
  return (
    <div ref={node} className="jp-BookstoreHistory-more">
      <button className="jp-mod-styled jp-mod-minimal" onClick={() => void model.more()}>
        {model.loadingMore
          ? wording.trans.__('Loading older versions…')
          : wording.trans.__('Load older versions')}
      </button>
    </div>
  );
}
