/** The versions as a tree: days, editing sessions, and the versions in them. */

import React, { useEffect, useRef, useState } from 'react';

import type { IVersion } from './api';
import type { ISession } from './grouping';
import { group, isMilestone } from './grouping';
import { CommandIDs, TREE_CLASS } from './ids';
import { type IProps, SessionRow, VersionRow, openMenu, sessionId } from './rows';
import type { IServices } from './services';

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
