/** What the parts of the extension share. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IEditorServices } from '@jupyterlab/codeeditor';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { ITranslator } from '@jupyterlab/translation';

import type { Api, IVersion } from './api';
import type { CurrentDocument } from './current';
import type { HistoryModel } from './model';
import type { StatusModel } from './statusmodel';
import type { Wording } from './wording';

/** A restore that can be undone. */
export interface IRestored {
  path: string;
  /** The id of the version before it. */
  before: string;
  /** The id of the version that it made. */
  made: string;
  /** The id of the notification that offers it. */
  message?: string;
}

export interface IServices {
  app: JupyterFrontEnd;
  api: Api;
  current: CurrentDocument;
  model: HistoryModel;
  status: StatusModel;
  wording: Wording;
  /** Minutes between two versions that end an editing session. */
  sessionGap: number;
  /** What undoing the last restore brings back. */
  lastRestore: IRestored | null;
  /** The restores that this page has asked for, done or not. */
  ownRestores: Promise<{ version: IVersion }>[];
}

/** What JupyterLab has to show documents with. */
export interface IViewers {
  rendermime: IRenderMimeRegistry;
  editors: IEditorServices;
  notebooks: NotebookPanel.IContentFactory | null;
  translator: ITranslator;
}
