// A profile of one workload: stages and latency first, on their own; then, where files are wanted, the timeline and the CPU
// profile, which disturb more.
import { IsmioError } from '../../src/support/errors.js';
import { packageRoot } from '../../src/support/package.js';
import type { BuiltSide } from '../compare/sides.js';
import { versionOf } from '../engine.js';
import { environment } from '../environment.js';
import { checkFolder, writeFolder } from '../outputs/write.js';
import { makeWindow } from '../window.js';
import { cpuProfile } from './cpu.js';
import { type ProfileReport, profileSchema } from './report.js';
import { profileStages } from './stages.js';
import type { Opened, Subject } from './subject.js';
import { drawTimeline } from './timeline.js';

export interface ProfileOptions {
  /** For the stages; the files take one more. */
  readonly seconds: number;
  /** Folder for trace.json, profile.cpuprofile and profile.json. */
  readonly out?: string | undefined;
  /** The build that the subject is of; this package where it is left out. */
  readonly of?: BuiltSide | undefined;
  onProgress?(share: number, doing: string): void;
}

export async function profile(
  subject: Subject,
  options: ProfileOptions,
): Promise<{ report: ProfileReport; files: string[] }> {
  const { seconds, out, of, onProgress } = options;
  if (out !== undefined) checkFolder(out);
  const started = new Date();
  const where = environment();
  const window = makeWindow(Math.max(subject.windowBytes, 1));
  let opened: Opened | null = null;
  try {
    opened = await subject.open(window);
    if (of !== undefined) timesStages(of, opened);
    const tell = (share: number): void => onProgress?.(out === undefined ? share : share * 0.8, 'stages');
    const measured = await profileStages(subject, opened, seconds, tell);
    const { name, title, operations, bytes } = subject;
    const report: ProfileReport = {
      schema: profileSchema,
      version: of?.version ?? versionOf(packageRoot),
      started: started.toISOString(),
      seconds: (Date.now() - started.getTime()) / 1000,
      workload: { name, title, operations, bytes },
      of: of === undefined ? null : { spec: of.spec, kind: of.kind, version: of.version, commit: of.commit },
      environment: where,
      ...measured,
    };
    if (out === undefined) return { report, files: [] };
    onProgress?.(0.8, 'timeline');
    const trace = JSON.stringify((await drawTimeline(name, opened)).file());
    onProgress?.(0.9, 'CPU profile');
    const cpu = await cpuProfile(opened.running, Math.min(1, seconds));
    const files = writeFolder(out, [
      { name: 'profile.json', text: `${JSON.stringify(report, null, 2)}\n` },
      { name: 'trace.json', text: trace },
      { name: 'profile.cpuprofile', text: cpu },
    ]);
    return { report, files };
  } finally {
    await opened?.running.close();
    window.remove();
  }
}

/** A build from before stages were timed has none to show. */
function timesStages({ spec, version }: BuiltSide, { regions }: Opened): void {
  if (regions.every((region) => typeof region.timeStages === 'function')) return;
  throw new IsmioError('ERR_ISMIO_BENCH', `${spec} (${version}) times no stages: it is too old to be profiled`, {
    spec,
  });
}
