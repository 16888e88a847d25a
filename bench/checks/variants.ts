// Builds that are worse than this checkout in a known way: the engine's sources with one line more.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package.js';

export interface Variant {
  /** What is worse. */
  readonly title: string;
  readonly file: string;
  /** A line of the file; `more` goes behind it. */
  readonly behind: string;
  readonly more: string;
  /** At the top of the file. */
  readonly include?: string;
}

/** Turns of an empty loop in front of every run of 8-byte loads: ISMIO_CHECK_DELAY of them. */
export const slowReads: Variant = {
  title: 'a delay in front of every run of 8-byte loads',
  file: 'native/exec/issuer.cc',
  include: '#include <cstdlib>',
  behind:
    'Status Issuer::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {',
  more: `
  static const char* const told = std::getenv("ISMIO_CHECK_DELAY");
  static const int turns = told == nullptr ? 0 : std::atoi(told);
  for (int i = 0; i < turns; i++) asm volatile("" ::: "memory");`,
};

export const oneMoreStore: Variant = {
  title: 'one store of a thousand is made twice',
  file: 'native/exec/issuer.cc',
  behind: 'Status Issuer::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {',
  more: `
  static uint64_t sum = 0;
  const uint64_t before = sum / 1000;
  sum += count;
  if (sum / 1000 != before) {
    const Status again = store(words[0].offset, reinterpret_cast<const uint8_t*>(&words[0].bytes), 8, failure);
    if (again != Status::ok) return again;
  }`,
};

/** A copy of this checkout, with the variant in it where there is one, built. */
export function buildVariant(variant: Variant | null, scratch: string): string {
  const folder = mkdtempSync(join(scratch, 'variant-'));
  for (const part of ['package.json', 'binding.gyp', 'dist', 'native', 'bench']) {
    cpSync(join(packageRoot, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  if (variant !== null) worsen(join(folder, variant.file), variant);
  // By way of npm, which knows where Node.js' headers are.
  execFileSync('npm', ['run', 'build:native'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return folder;
}

function worsen(path: string, { behind, more, include }: Variant): void {
  const text = readFileSync(path, 'utf8');
  const parts = text.split(`${behind}\n`);
  if (parts.length !== 2) throw new Error(`${path} does not have once: ${behind}`);
  writeFileSync(path, `${include ?? ''}\n${parts[0]}${behind}${more}\n${parts[1]}`);
}
