// Files that a test makes, and that go when it ends.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A test, or all of a suite. */
interface Ending {
  after(end: () => void): void;
}

/** A folder of this test's own. */
export function temporaryFolder(test: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'ismio-test-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with these bytes, or of this many zeros. */
export function temporaryFile(test: Ending, content: Uint8Array | number): string {
  const path = join(temporaryFolder(test), 'bytes');
  writeFileSync(path, typeof content === 'number' ? new Uint8Array(content) : content);
  return path;
}
