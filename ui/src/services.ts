/** What the parts of the extension share. */

import type { JupyterFrontEnd } from '@jupyterlab/application';

import type { Api } from './api';
import type { CurrentDocument } from './current';
import type { HistoryModel } from './model';
import type { StatusModel } from './statusmodel';
import type { Wording } from './wording';

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
  lastRestore: { path: string; versionId: string } | null;
}
