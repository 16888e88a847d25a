// The frame of every page: one file, with its style, its script and its data in it, that asks no network for anything.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PageData } from './data.js';
import { html, inlineJson, Markup } from './markup.js';

export interface Page {
  readonly title: string;
  /** What stands on top: the verdict, and of what. */
  readonly header: Markup;
  readonly sections: readonly Section[];
  readonly data: PageData;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: Markup;
}

export function drawPage({ title, header, sections, data }: Page): string {
  const [script, style] = [asset('main.js'), asset('style.css')];
  // Nothing may be loaded, and no script but this one runs, whatever a title may hold.
  const policy = `default-src 'none'; script-src 'sha256-${hashOf(script)}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>${header}
<nav aria-label="Sections">${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>\n`)}</nav>
</header>
<main>${sections.map(drawSection)}</main>
<script type="application/json" id="data">${inlineJson(data)}</script>
<script>${new Markup(script)}</script>
</body>
</html>
`;
  return page.text;
}

function drawSection({ id, title, content }: Section): Markup {
  return html`<section id="${id}">\n<h2>${title}</h2>\n${content}\n</section>\n`;
}

/** A place for a drawing, which the page's script fills. */
export function chart(kind: string, caption: Markup | string): Markup {
  return html`<figure class="chart" data-chart="${kind}">
<figcaption>${caption}</figcaption>
<div class="drawing"><noscript>The drawing needs JavaScript; the tables do not.</noscript></div>
</figure>`;
}

/** Made by the build, beside this file. */
function asset(file: string): string {
  return readFileSync(new URL(`../page/${file}`, import.meta.url), 'utf8');
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
