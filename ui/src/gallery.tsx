/** The published gallery: what the organisation has published, to search, look at and clone. */

import { ReactWidget } from '@jupyterlab/ui-components';
import React, { useCallback, useEffect, useRef, useState } from 'react';

import { clone, share } from './actions';
import type { IPublished, IVersion } from './api';
import { ApiError } from './api';
import { timeOf } from './grouping';
import { Message } from './message';
import { look } from './opening';
import type { IServices, IViewers } from './services';
import { nameOf } from './wording';

const PAGE = 60;
const TYPING = 250;

export class GalleryView extends ReactWidget {
  constructor(
    private readonly _services: IServices,
    private readonly _viewers: IViewers
  ) {
    super();
    this.addClass('jp-BookstoreGallery');
  }

  protected render(): JSX.Element {
    return <Gallery services={this._services} viewers={this._viewers} />;
  }
}

interface IListing {
  documents: IPublished[];
  next: string | null;
}

function Gallery(props: { services: IServices; viewers: IViewers }): JSX.Element {
  const { services } = props;
  const { api, wording } = services;
  const trans = wording.trans;
  const [search, setSearch] = useState('');
  const [listing, setListing] = useState<IListing | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const turn = useRef(0);

  const load = useCallback(
    async (q: string, before: IListing | null) => {
      const mine = ++turn.current;
      try {
        // A page is shown at once, and its details as they arrive.
        for (const details of [false, true]) {
          const page = await api.published({ q, limit: PAGE, after: before?.next, details });
          if (mine !== turn.current) {
            return;
          }
          setListing({ ...page, documents: [...(before?.documents ?? []), ...page.documents] });
          setError(null);
        }
      } catch (problem) {
        if (mine === turn.current) {
          setError(problem instanceof ApiError ? problem : new ApiError(String(problem), -1));
        }
      }
    },
    [api]
  );

  useEffect(() => {
    const timer = setTimeout(() => void load(search, null), search ? TYPING : 0);
    return () => clearTimeout(timer);
  }, [load, search]);

  return (
    <>
      <header className="jp-BookstoreGallery-header">
        <h1>{trans.__('Published notebooks')}</h1>
        <input
          type="search"
          className="jp-mod-styled jp-BookstoreHistory-filter"
          placeholder={trans.__('Search by name')}
          aria-label={trans.__('Search published notebooks')}
          value={search}
          onChange={event => setSearch(event.target.value)}
        />
      </header>
      {error ? (
        <Message
          error
          title={trans.__('What is published cannot be listed now')}
          text={error.status === 0 ? trans.__('The Jupyter server does not answer.') : error.message}
          action={{ label: trans.__('Try again'), onClick: () => void load(search, null) }}
        />
      ) : listing === null ? (
        <Message busy title={trans.__('Looking for published notebooks…')} />
      ) : !listing.documents.length ? (
        search ? (
          <Message
            title={trans.__('Nothing published matches')}
            text={trans.__('No path contains “%1”.', search)}
          />
        ) : (
          <Message
            title={trans.__('Nothing is published yet')}
            text={trans.__('Publish a notebook with “Publish Notebook…” in the File menu.')}
          />
        )
      ) : (
        <ul className="jp-BookstoreGallery-list" aria-label={trans.__('Published notebooks')}>
          {listing.documents.map(document => (
            <Card key={document.path} {...props} document={document} />
          ))}
        </ul>
      )}
      {!error && listing?.next && (
        <div className="jp-BookstoreHistory-more">
          <button className="jp-mod-styled" onClick={() => void load(search, listing)}>
            {trans.__('Show more')}
          </button>
        </div>
      )}
    </>
  );
}

function Card(props: {
  services: IServices;
  viewers: IViewers;
  document: IPublished;
}): JSX.Element {
  const { services, viewers, document } = props;
  const { wording } = services;
  const trans = wording.trans;
  // The file is what is cloned and read by any tool; its snapshot stands beside it.
  const version = document.versions.find(isFile) ?? document.versions[0]!;
  const time = timeOf(version);
  const folder = document.path.slice(0, -nameOf(document.path).length);
  const authors = version.authors.join(', ');
  const ago = wording.ago(time, new Date());
  return (
    <li className="jp-BookstoreGallery-card">
      <h2 title={document.path}>{nameOf(document.path)}</h2>
      {folder && <p className="jp-BookstoreGallery-folder">{folder}</p>}
      {version.label && <p className="jp-BookstoreHistory-label">{version.label}</p>}
      <p title={wording.exact(time)}>
        {authors
          ? trans.__('Published %1 by %2', ago, authors)
          : trans.__('Published %1', ago)}{' '}
        · {wording.size(version.size)}
      </p>
      <div className="jp-BookstoreHistory-actions">
        <button
          className="jp-mod-styled jp-mod-accept"
          aria-label={trans.__('Preview %1', document.path)}
          onClick={() => void look(services, viewers, document.path, version)}
        >
          {trans.__('Preview')}
        </button>
        <button
          className="jp-mod-styled"
          aria-label={trans.__('Clone %1', document.path)}
          onClick={() => void clone(services, version)}
        >
          {trans.__('Clone')}
        </button>
        <button
          className="jp-mod-styled"
          aria-label={trans.__('Copy a link to clone %1', document.path)}
          onClick={() => void share(services, version)}
        >
          {trans.__('Copy Link')}
        </button>
      </div>
    </li>
  );
}

function isFile(version: IVersion): boolean {
  return !version.key.endsWith('.y.zst');
}
