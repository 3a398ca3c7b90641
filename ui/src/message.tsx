/** A message in the place of a list: what is the matter, and what to do. */

import React from 'react';

export function Message(props: {
  title: string;
  text?: string;
  /** What only some want to read. */
  details?: { label: string; text: string };
  busy?: boolean;
  error?: boolean;
  action?: { label: string; onClick: () => void };
}): JSX.Element {
  return (
    <div
      className={`jp-BookstoreMessage${props.error ? ' jp-mod-error' : ''}`}
      role={props.error ? 'alert' : 'status'}
    >
      {props.busy && <div className="jp-BookstoreMessage-busy" aria-hidden="true" />}
      <p className="jp-BookstoreMessage-title">{props.title}</p>
      {props.text && <p>{props.text}</p>}
      {props.action && (
        <button className="jp-mod-styled" onClick={props.action.onClick}>
          {props.action.label}
        </button>
      )}
      {props.details && (
        <details>
          <summary>{props.details.label}</summary>
          <p>{props.details.text}</p>
        </details>
      )}
    </div>
  );
}
