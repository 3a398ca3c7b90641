/** What the archive holds and the server's disk has lost, in words. */

import type { IWorkspaceStatus } from './api';
import type { StatusModel } from './statusmodel';

interface ITrans {
  __(text: string, ...args: (string | number)[]): string;
}

/** Whether files may still be on their way, as far as the server has said. */
export function isComing(status: Pick<StatusModel, 'status' | 'error'>): boolean {
  const { workspace } = status.status ?? {};
  const settled = workspace && !['starting', 'waiting', 'restoring'].includes(workspace.state);
  return status.error === null && !settled;
}

/** What is told where there is room for a line; null if all is there. */
export function workspaceSaid(
  workspace: IWorkspaceStatus | undefined,
  trans: ITrans
): string | null {
  if (workspace?.state === 'restoring' && workspace.missing) {
    return trans.__('Files coming back: %1 to go', String(workspace.missing));
  }
  if (workspace?.state === 'waiting') {
    return trans.__('Files not back yet');
  }
  if (workspace?.failures) {
    return trans.__('Files not back: %1', String(workspace.failures));
  }
  return null;
}

/** The sentences that explain it. */
export function workspaceExplained(
  workspace: IWorkspaceStatus | undefined,
  trans: ITrans
): string[] {
  if (!workspace || !workspaceSaid(workspace, trans)) {
    return workspace?.state === 'partial' && workspace.error ? [workspace.error] : [];
  }
  if (workspace.state === 'restoring') {
    return [
      trans.__(
        'The server is writing files that this disk has lost from the archive. You can open any file in the list now.'
      )
    ];
  }
  const failed = Object.entries(workspace.failed).map(([path, why]) => `${path}: ${why}`);
  return workspace.error ? [workspace.error, ...failed] : failed;
}
