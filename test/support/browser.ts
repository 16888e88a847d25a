// A browser that has no network, to look at pages as their readers do. Debian's package chromium.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const executablePath = process.env['ISMIO_TEST_CHROMIUM'] ?? '/usr/bin/chromium';

/** Why there is no browser; false where there is one. */
export const noBrowser = missing();

function missing(): string | false {
  if (!['x64', 'arm64'].includes(process.arch)) return `Chromium is not made for ${process.arch}`;
  if (existsSync(executablePath)) return false;
  return `${executablePath} is not there (Debian: chromium); ISMIO_TEST_CHROMIUM names another`;
}

const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
const quieter = ['--disable-component-update', '--disable-sync'];
/** Its sandbox does not start for root. */
const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];

export interface Visit {
  readonly page: Page;
  /** What went wrong in the page, and what it asked the network for. */
  readonly complaints: readonly string[];
}

export class Browser {
  readonly #context: BrowserContext;
  readonly #folder: string;

  private constructor(context: BrowserContext, folder: string) {
    this.#context = context;
    this.#folder = folder;
  }

  /** @param offline whether it has no network at all; else it has that of this machine, by `visit` */
  static async start({ offline = true } = {}): Promise<Browser> {
    const folder = mkdtempSync(join(tmpdir(), 'ismio-test-browser-'));
    const args = [...quiet, ...quieter, ...sandbox];
    const context = await chromium.launchPersistentContext(folder, { executablePath, args, offline });
    return new Browser(context, folder);
  }

  /** Opens a file, and waits until its charts are drawn. */
  async open(path: string, width = 1280): Promise<Visit> {
    const own = pathToFileURL(path).href;
    const visit = await this.#begin((url) => url === own, width);
    await visit.page.goto(own);
    // The charts are drawn when their widths are first seen, before the second frame.
    await visit.page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
    return visit;
  }

  /** Opens a page of a server of this machine, which may ask for what this server has. */
  async visit(url: string): Promise<Visit> {
    const { origin } = new URL(url);
    const visit = await this.#begin((one) => new URL(one).origin === origin || one.startsWith('data:'), 1280);
    await visit.page.goto(url);
    return visit;
  }

  async #begin(isOwn: (url: string) => boolean, width: number): Promise<Visit> {
    const page = await this.#context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.setViewportSize({ width, height: 900 });
    await page.route('**/*', (route) => {
      const url = route.request().url();
      if (isOwn(url)) return route.continue();
      complaints.push(`asked for ${url}`);
      return route.abort();
    });
    return { page, complaints };
  }

  async close(): Promise<void> {
    await this.#context.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
