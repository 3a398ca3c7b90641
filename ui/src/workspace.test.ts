import { describe, expect, it } from 'vitest';

import type { IWorkspaceStatus } from './api';
import { ApiError } from './api';
import { isComing, workspaceExplained, workspaceSaid } from './workspace';

const trans = {
  __: (text: string, ...args: (string | number)[]) =>
    text.replace(/%(\d)/g, (_, n) => String(args[Number(n) - 1]))
};

const whole: IWorkspaceStatus = {
  state: 'restored',
  missing: 0,
  restored: 0,
  restored_bytes: 0,
  failed: {},
  failures: 0,
  error: null
};

describe('The workspace', () => {
  it('is no news when all of it is there, or none is to be', () => {
    for (const state of ['starting', 'restored', 'off', 'partial'] as const) {
      expect(workspaceSaid({ ...whole, state }, trans)).toBeNull();
      expect(workspaceExplained({ ...whole, state }, trans)).toEqual([]);
    }
    expect(workspaceSaid(undefined, trans)).toBeNull();
  });

  it('says how many files are still to come', () => {
    const coming: IWorkspaceStatus = { ...whole, state: 'restoring', missing: 12 };
    expect(workspaceSaid(coming, trans)).toBe('Files coming back: 12 to go');
    expect(workspaceExplained(coming, trans)[0]).toContain('You can open');
  });

  it('is asked about until it is settled', () => {
    const asked = (state: IWorkspaceStatus['state']) =>
      isComing({ status: { workspace: { ...whole, state } } as never, error: null });
    expect(isComing({ status: null, error: null })).toBe(true);
    expect(isComing({ status: null, error: new ApiError('There is none.', 404) })).toBe(false);
    expect(asked('waiting')).toBe(true);
    expect(asked('restoring')).toBe(true);
    expect(asked('restored')).toBe(false);
    expect(asked('off')).toBe(false);
  });

  it('says why files are not back', () => {
    const waiting: IWorkspaceStatus = { ...whole, state: 'waiting', error: 'The bucket is away.' };
    expect(workspaceSaid(waiting, trans)).toBe('Files not back yet');
    expect(workspaceExplained(waiting, trans)).toEqual(['The bucket is away.']);
    const partial: IWorkspaceStatus = {
      ...whole,
      state: 'partial',
      missing: 1,
      failures: 1,
      failed: { 'a.txt': 'No space left.' }
    };
    expect(workspaceSaid(partial, trans)).toBe('Files not back: 1');
    expect(workspaceExplained(partial, trans)).toEqual(['a.txt: No space left.']);
  });
});
