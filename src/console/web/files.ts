// The files of the page, and the headers that every answer has. The page may load what this server has, and nothing else.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { IsmioError } from '../../support/errors.js';

interface PageFile {
  readonly type: string;
  readonly content: Buffer;
}

const types: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'main.js': 'text/javascript; charset=utf-8',
  'style.css': 'text/css; charset=utf-8',
};

/** By the paths that they are asked for. @throws IsmioError ERR_ISMIO_OPEN where the package was built without them */
export function filesOfPage(): ReadonlyMap<string, PageFile> {
  return new Map(
    Object.entries(types).map(([name, type]) => {
      const path = fileURLToPath(new URL(`./page/${name}`, import.meta.url));
      return [name === 'index.html' ? '/' : `/${name}`, { type, content: contentOf(path) }];
    }),
  );
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const text = `the page of the console is not there: ${path}. npm run build:pages makes it`;
    throw new IsmioError('ERR_ISMIO_OPEN', text, { path }, cause);
  }
}

/** Styles of the page may stand in it: the terminal makes its own as colours and sizes change. Scripts may not. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const headersOfPage: Readonly<Record<string, string>> = {
  'Content-Security-Policy': policy,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};
